# SPDX-License-Identifier: Apache-2.0
"""A cluster in the VPC of a real region, what is made and changed of it, and how one asks it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from sandbox.names import of_checkout

from .conftest import RealRegion, until
from .database_client import DatabaseClient

NAME = "orders"
PARAMETERS = {"require_secure_transport": "ON", "tls_version": "TLSv1.2,TLSv1.3", "long_query_time": "3"}


@dataclass(frozen=True, slots=True)
class Database:
    """The cluster, and clients inside and outside of the security group that it admits."""

    region: RealRegion
    client: DatabaseClient
    stranger: DatabaseClient

    def describe(self) -> dict[str, Any]:
        found = self.region.client("rds").describe_db_clusters(DBClusterIdentifier=NAME)
        return dict(found["DBClusters"][0])

    @property
    def writer(self) -> str:
        return str(self.describe()["Endpoint"])

    @property
    def reader(self) -> str:
        return str(self.describe()["ReaderEndpoint"])

    def master(self) -> dict[str, str]:
        """Return the master's login as the managed secret has it."""
        secret = self.describe()["MasterUserSecret"]["SecretArn"]
        value = self.region.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
        held = json.loads(value)
        return {"user": held["username"], "password": held["password"]}

    def ask(self, host: str, *statements: str, **options: Any) -> Any:
        """Ask as the master."""
        return self.client.ask(host, *statements, **{**self.master(), **options})

    def token(self, host: str, user: str, session: Any = None) -> str:
        """Make a token as clients do; by default as the operator."""
        signer = session or boto3.session.Session("local", "local", region_name="us-east-1")
        made = signer.client("rds").generate_db_auth_token(DBHostname=host, Port=3306, DBUsername=user)
        return str(made)

    def pid(self, identifier: str) -> int:
        """Return the process of a member."""
        members = self.region.client("rds").describe_db_instances(DBInstanceIdentifier=identifier)
        resource_id = members["DBInstances"][0]["DbiResourceId"]
        return until(lambda: pids(resource_id), lambda found: len(found) == 1)[0]  # type: ignore[no-any-return]


def pids(part: str) -> list[int]:
    """Return the database servers with this in their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[0] == "mariadbd" and part in " ".join(words):
            found.append(int(process.name))
    return found


def make_cluster(region: RealRegion, group_id: str) -> None:
    rds, ec2 = region.client("rds"), region.client("ec2")
    # Of this VPC: other tests leave networks beside it.
    tier = [
        {"Name": "tag:slipway:tier", "Values": ["data"]},
        {"Name": "tag:slipway:network", "Values": ["sandbox"]},
    ]
    subnets = [each["SubnetId"] for each in ec2.describe_subnets(Filters=tier)["Subnets"]]
    rds.create_db_subnet_group(DBSubnetGroupName=NAME, DBSubnetGroupDescription="data", SubnetIds=subnets)
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName=NAME, DBParameterGroupFamily="aurora-mysql8.0", Description="TLS only"
    )
    rds.modify_db_cluster_parameter_group(
        DBClusterParameterGroupName=NAME,
        Parameters=[
            {"ParameterName": name, "ParameterValue": value, "ApplyMethod": "immediate"}
            for name, value in PARAMETERS.items()
        ],
    )
    rds.create_db_cluster(
        DBClusterIdentifier=NAME,
        Engine="aurora-mysql",
        EngineVersion="8.0.mysql_aurora.3.08.0",
        DatabaseName="shop",
        MasterUsername="root_of_shop",
        ManageMasterUserPassword=True,
        EnableIAMDatabaseAuthentication=True,
        DBSubnetGroupName=NAME,
        DBClusterParameterGroupName=NAME,
        VpcSecurityGroupIds=[group_id],
    )
    for member in ("1", "2"):
        add_member(region, member)


def add_member(region: RealRegion, member: str) -> None:
    rds, identifier = region.client("rds"), f"{NAME}-{member}"
    rds.create_db_instance(
        DBInstanceIdentifier=identifier,
        DBClusterIdentifier=NAME,
        Engine="aurora-mysql",
        DBInstanceClass="db.t4g.medium",
    )
    until(
        lambda: rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0],
        lambda shown: shown["DBInstanceStatus"] == "available",
    )


def remove_cluster(region: RealRegion) -> None:
    rds = region.client("rds")
    folder = region.state.path / "databases"
    for member in rds.describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]["DBClusterMembers"]:
        rds.delete_db_instance(DBInstanceIdentifier=member["DBInstanceIdentifier"], SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier=NAME, SkipFinalSnapshot=True)
    running = of_checkout(region.state.path.parent).runtime_dir / "databases"
    until(lambda: pids(str(running)), lambda found: found == [])
    until(lambda: list(folder.iterdir()), lambda found: found == [])
    until(lambda: sorted(each.name for each in running.iterdir()), lambda found: found == ["empty", "plugin"])
    until(lambda: interfaces(region), lambda found: found == [])


def interfaces(region: RealRegion) -> list[str]:
    """Return the subnets in which RDS holds an interface."""
    ours = [{"Name": "description", "Values": ["RDSNetworkInterface"]}]
    found = region.client("ec2").describe_network_interfaces(Filters=ours)["NetworkInterfaces"]
    return sorted(each["AvailabilityZone"] for each in found)


def fail_over(database: Database, *, writer: str, reader: str) -> None:
    """Let a member take over, and wait until both endpoints lead to where they should."""
    rds, ask = database.region.client("rds"), "SELECT @@aurora_server_id, @@innodb_read_only"
    rds.failover_db_cluster(DBClusterIdentifier=NAME, TargetDBInstanceIdentifier=f"{NAME}-{writer}")
    until(
        lambda: [database.ask(host, ask) for host in (database.writer, database.reader)],
        lambda rows: rows == [[(f"{NAME}-{writer}", 0)], [(f"{NAME}-{reader}", 1)]],
    )


def change(database: Database, name: str, value: str) -> None:
    """Change a parameter of the cluster."""
    parameter = {"ParameterName": name, "ParameterValue": value, "ApplyMethod": "immediate"}
    database.region.client("rds").modify_db_cluster_parameter_group(
        DBClusterParameterGroupName=NAME, Parameters=[parameter]
    )
