# SPDX-License-Identifier: Apache-2.0
"""What database servers there are to be is read from RDS's state; a simulated region runs none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.rds.models import rds_backends

from sandbox.databases import interfaces
from sandbox.databases.parameters import applied, configuration
from sandbox.databases.wanted import Cluster, Member, clusters

from .conftest import REGION, LocalRegion

PASSWORD = "a-password-of-tests"


def make_cluster(local: LocalRegion, **options: Any) -> dict[str, Any]:
    """Make a cluster of two members in the default VPC's subnets."""
    rds, ec2 = local.client("rds"), local.client("ec2")
    zones = [{"Name": "availability-zone", "Values": [f"{REGION}a", f"{REGION}b"]}]
    subnets = [each["SubnetId"] for each in ec2.describe_subnets(Filters=zones)["Subnets"]]
    rds.create_db_subnet_group(DBSubnetGroupName="data", DBSubnetGroupDescription="data", SubnetIds=subnets)
    given = {
        "DBClusterIdentifier": "orders",
        "Engine": "aurora-mysql",
        "EngineVersion": "8.0.mysql_aurora.3.08.0",
        "MasterUsername": "admin",
        "MasterUserPassword": PASSWORD,
        "DBSubnetGroupName": "data",
        "DatabaseName": "shop",
    } | options
    cluster = rds.create_db_cluster(**given)["DBCluster"]
    for member in ("one", "two"):
        rds.create_db_instance(
            DBInstanceIdentifier=f"orders-{member}",
            DBClusterIdentifier="orders",
            Engine="aurora-mysql",
            DBInstanceClass="db.r6g.large",
        )
    return dict(cluster)


def read_clusters() -> tuple[Cluster, ...]:
    """Return the clusters of the region of this process."""
    return clusters(rds_backends[DEFAULT_ACCOUNT_ID][REGION])


def subnet_of(local: LocalRegion, zone: str) -> str:
    """Return the default VPC's subnet in a zone."""
    zones = [{"Name": "availability-zone", "Values": [zone]}]
    return str(local.client("ec2").describe_subnets(Filters=zones)["Subnets"][0]["SubnetId"])


def test_members_of_a_simulated_region_are_available_at_once_and_hold_no_interface(
    local: LocalRegion,
) -> None:
    make_cluster(local)
    members = local.client("rds").describe_db_instances()["DBInstances"]
    assert [each["DBInstanceStatus"] for each in members] == ["available", "available"]
    assert local.client("ec2").describe_network_interfaces()["NetworkInterfaces"] == []


def test_a_page_tells_who_signs_the_servers_certificates(local: LocalRegion) -> None:
    page = local.fetch("GET", "/_slipway/database-ca.pem").decode().splitlines()
    assert (page[0], page[-1]) == ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----")


def test_a_member_s_name_ends_as_its_cluster_s(local: LocalRegion) -> None:
    suffix = make_cluster(local)["Endpoint"].removeprefix("orders.cluster-")
    members = local.client("rds").describe_db_instances()["DBInstances"]
    names = [each["Endpoint"]["Address"] for each in members]
    assert names == [f"orders-one.{suffix}", f"orders-two.{suffix}"]


def test_a_cluster_is_read_with_what_its_servers_need(local: LocalRegion) -> None:
    rds = local.client("rds")
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName="strict", DBParameterGroupFamily="aurora-mysql8.0", Description="strict"
    )
    parameter = {"ParameterName": "wait_timeout", "ParameterValue": "60", "ApplyMethod": "immediate"}
    rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName="strict", Parameters=[parameter])
    made = make_cluster(
        local,
        DBClusterParameterGroupName="strict",
        VpcSecurityGroupIds=["sg-1"],
        EnableIAMDatabaseAuthentication=True,
    )
    suffix = made["Endpoint"].removeprefix("orders.cluster-")
    shown = {each["DBInstanceIdentifier"]: each for each in rds.describe_db_instances()["DBInstances"]}
    members = tuple(
        Member(
            resource_id=shown[name]["DbiResourceId"],
            identifier=name,
            endpoint=f"{name}.{suffix}",
            subnet_id=subnet_of(local, zone),
            is_writer=name == "orders-one",
        )
        for name, zone in (("orders-one", f"{REGION}a"), ("orders-two", f"{REGION}b"))
    )
    wanted = Cluster(
        resource_id=made["DbClusterResourceId"],
        identifier="orders",
        endpoint=made["Endpoint"],
        reader_endpoint=made["ReaderEndpoint"],
        port=3306,
        version="8.0.mysql_aurora.3.08.0",
        database="shop",
        master="admin",
        secret_arn=None,
        password=PASSWORD,
        has_tokens=True,
        group_ids=("sg-1",),
        parameters={"wait_timeout": "60"},
        members=members,
    )
    assert read_clusters() == (wanted,)
    assert wanted.writer == members[0]
    assert PASSWORD not in repr(wanted)


def test_a_failover_changes_who_writes(local: LocalRegion) -> None:
    make_cluster(local)
    local.client("rds").failover_db_cluster(
        DBClusterIdentifier="orders", TargetDBInstanceIdentifier="orders-two"
    )
    (cluster,) = read_clusters()
    assert [(each.identifier, each.is_writer) for each in cluster.members] == [
        ("orders-one", False),
        ("orders-two", True),
    ]


def test_a_managed_password_is_read_from_its_secret(local: LocalRegion) -> None:
    made = make_cluster(local, ManageMasterUserPassword=True, MasterUserPassword="")
    (cluster,) = read_clusters()
    assert (cluster.secret_arn, cluster.password) == (made["MasterUserSecret"]["SecretArn"], None)


def test_clusters_of_another_engine_have_no_servers(local: LocalRegion) -> None:
    local.client("rds").create_db_cluster(
        DBClusterIdentifier="other",
        Engine="aurora-postgresql",
        MasterUsername="admin",
        MasterUserPassword=PASSWORD,
    )
    assert read_clusters() == ()


def shown_interfaces(local: LocalRegion) -> list[dict[str, Any]]:
    return list(local.client("ec2").describe_network_interfaces()["NetworkInterfaces"])


def test_an_interface_is_held_for_each_member_and_given_back(local: LocalRegion) -> None:
    backend = ec2_backends[DEFAULT_ACCOUNT_ID][REGION]
    vpc_id = local.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    group_id = local.client("ec2").create_security_group(GroupName="g", Description="g", VpcId=vpc_id)[
        "GroupId"
    ]
    places = [
        interfaces.Wanted("db-1", subnet_of(local, f"{REGION}a"), (group_id,)),
        interfaces.Wanted("db-2", subnet_of(local, f"{REGION}b"), ()),
    ]
    held, changed = interfaces.arrange(backend, places)
    assert changed
    default = next(
        each["GroupId"]
        for each in local.client("ec2").describe_security_groups()["SecurityGroups"]
        if each["GroupName"] == "default" and each["VpcId"] == vpc_id
    )
    assert {
        each["NetworkInterfaceId"]: (
            each["SubnetId"],
            each["Groups"][0]["GroupId"],
            each["Description"],
            each["RequesterManaged"],
        )
        for each in shown_interfaces(local)
    } == {
        held["db-1"].id: (places[0].subnet_id, group_id, "RDSNetworkInterface", True),
        held["db-2"].id: (places[1].subnet_id, default, "RDSNetworkInterface", True),
    }
    assert interfaces.arrange(backend, places) == (held, False)
    assert interfaces.arrange(backend, places[:1]) == ({"db-1": held["db-1"]}, True)
    assert [each["NetworkInterfaceId"] for each in shown_interfaces(local)] == [held["db-1"].id]


def test_only_parameters_that_mean_the_same_are_applied() -> None:
    given = {
        "require_secure_transport": "ON",
        "server_audit_logging": "1",
        "max_connections": "{DBInstanceClassMemory/12582880}",
        "wait_timeout": "60",
    }
    assert applied(given) == {"require_secure_transport": "ON", "wait_timeout": "60"}


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("STRICT_TRANS_TABLES,ANSI", 'sql_mode = "STRICT_TRANS_TABLES,ANSI"'),
        ('x"\ninit_file=/etc/passwd', 'sql_mode = "x\\" init_file=/etc/passwd"'),
    ],
)
def test_a_parameter_stays_within_its_line(value: str, line: str) -> None:
    made = configuration({"sql_mode": value}, {"datadir": Path("/data")})
    lines = made.splitlines()
    assert lines[0] == "[mariadbd]"
    assert [each for each in lines if each.startswith("sql_mode")] == [line]
    assert 'datadir = "/data"' in lines
    assert not any(each.startswith("init_file") for each in lines)
