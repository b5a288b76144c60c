# SPDX-License-Identifier: Apache-2.0
"""The resource types of RDS go round."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloudformation.handler import Call, HandlerError
from sandbox.cloudformation.registry import handlers

from .round_trip import REMOVED, Trip, handler_calls, made, schema_of, travel

TAGS = [{"Key": "a", "Value": "b"}, {"Key": "z", "Value": "y"}]
FAMILY = "aurora-mysql8.0"
VERSION = "8.0.mysql_aurora.3.10.0"
KNOWN_OF_MEMBERS = {"DBInstanceArn", "DBInstanceStatus", "DbiResourceId", "InstanceCreateTime"}


@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    """Return what handlers work with."""
    yield from handler_calls()


@pytest.fixture(name="subnets", scope="module")
def fixture_subnets(call: Call) -> list[str]:
    """Return the subnets of the default VPC."""
    return [subnet["SubnetId"] for subnet in call.client("ec2").describe_subnets()["Subnets"]]


@pytest.fixture(name="key", scope="module")
def fixture_key(call: Call) -> str:
    """Return a key of KMS."""
    return str(call.client("kms").create_key()["KeyMetadata"]["Arn"])


def _cluster(**more: Any) -> dict[str, Any]:
    return {
        "Engine": "aurora-mysql",
        "EngineVersion": VERSION,
        "MasterUsername": "slipway",
        "ManageMasterUserPassword": True,
    } | more


def test_a_subnet_group_goes_round(call: Call, subnets: list[str]) -> None:
    given = {
        "DBSubnetGroupName": "data",
        "DBSubnetGroupDescription": "data subnets",
        "SubnetIds": subnets[:2],
        "Tags": TAGS,
    }
    changes = ({"SubnetIds": subnets[1:], "DBSubnetGroupDescription": "others"}, {"Tags": REMOVED})
    travel(call, Trip("AWS::RDS::DBSubnetGroup", given, changes))


@pytest.mark.parametrize("noun", ["DBClusterParameterGroup", "DBParameterGroup"])
def test_parameters_go_round(call: Call, noun: str) -> None:
    given = {
        f"{noun}Name": "tls",
        "Description": "TLS only",
        "Family": FAMILY,
        "Parameters": {"require_secure_transport": "ON", "long_query_time": "1"},
        "Tags": TAGS,
    }
    changes = ({"Parameters": {"require_secure_transport": "OFF"}}, {"Tags": TAGS[:1]})
    travel(call, Trip(f"AWS::RDS::{noun}", given, changes))


def test_a_cluster_goes_round(call: Call, subnets: list[str], key: str) -> None:
    groups = {"DBSubnetGroupDescription": "data", "SubnetIds": subnets}
    parameters = {"Description": "d", "Family": FAMILY, "Parameters": {}}
    with (
        made(call, "AWS::RDS::DBSubnetGroup", groups) as subnet_group,
        made(call, "AWS::RDS::DBClusterParameterGroup", parameters) as one,
        made(call, "AWS::RDS::DBClusterParameterGroup", parameters) as other,
    ):
        given = _cluster(
            DBClusterIdentifier="slipway-test",
            DatabaseName="levels",
            Port=3306,
            DBClusterParameterGroupName=one.physical_id,
            DBSubnetGroupName=subnet_group.physical_id,
            VpcSecurityGroupIds=["sg-1", "sg-2"],
            MasterUserSecret={"KmsKeyId": key},
            EnableIAMDatabaseAuthentication=True,
            StorageEncrypted=True,
            KmsKeyId=key,
            BackupRetentionPeriod=7,
            PreferredBackupWindow="02:00-03:00",
            PreferredMaintenanceWindow="sun:04:00-sun:05:00",
            CopyTagsToSnapshot=True,
            DeletionProtection=True,
            EnableCloudwatchLogsExports=["audit", "error"],
            ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 4.0},
            BacktrackWindow=3600,
            Tags=TAGS,
        )
        changes = (
            {
                "DBClusterParameterGroupName": other.physical_id,
                "EnableIAMDatabaseAuthentication": False,
                "EnableCloudwatchLogsExports": ["error", "slowquery"],
                "BackupRetentionPeriod": 14,
                "ServerlessV2ScalingConfiguration": {"MinCapacity": 1.0, "MaxCapacity": 8.0},
                "VpcSecurityGroupIds": ["sg-3"],
                "DeletionProtection": False,
                "EngineVersion": "8.0.mysql_aurora.3.11.0",
                "Tags": TAGS[:1],
            },
            {
                name: REMOVED
                for name in (
                    "BackupRetentionPeriod",
                    "CopyTagsToSnapshot",
                    "BacktrackWindow",
                    "EnableCloudwatchLogsExports",
                    "Tags",
                )
            },
        )
        without = frozenset({"Endpoint", "ReadEndpoint", "StorageEncryptionType", "StorageThroughput"})
        travel(call, Trip("AWS::RDS::DBCluster", given, changes, without=without))


def test_a_clusters_master_password_is_a_real_secret(call: Call, key: str) -> None:
    secret_key = {"MasterUserSecret": {"KmsKeyId": key}}
    with made(call, "AWS::RDS::DBCluster", _cluster(**secret_key)) as cluster:
        arn = cluster.attributes["MasterUserSecret.SecretArn"]
        value = call.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
        secret = json.loads(value)
        assert secret["username"] == "slipway"
        assert len(secret["password"]) >= 20
        call.client("rds").modify_db_cluster(
            DBClusterIdentifier=cluster.physical_id, RotateMasterUserPassword=True, ApplyImmediately=True
        )
        rotated = call.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
        assert json.loads(rotated)["password"] != secret["password"]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        call.client("secretsmanager").get_secret_value(SecretId=arn)


def test_a_cluster_answers_its_endpoints(call: Call, key: str) -> None:
    secret_key = {"MasterUserSecret": {"KmsKeyId": key}}
    with made(call, "AWS::RDS::DBCluster", _cluster(DBClusterIdentifier="named", **secret_key)) as cluster:
        writer, reader = (cluster.attributes[f"{kind}.Address"] for kind in ("Endpoint", "ReadEndpoint"))
        assert writer.startswith("named.cluster-")
        assert reader.startswith("named.cluster-ro-")
        assert cluster.attributes["Endpoint.Port"] == "3306"
        assert cluster.attributes["DBClusterResourceId"].startswith("cluster-")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"DBSubnetGroupName": "none"}, "DBSubnetGroupNotFoundFault"),
        ({"DBClusterParameterGroupName": "none"}, "DBClusterParameterGroupNotFound"),
        ({"DBClusterIdentifier": "taken"}, "DBClusterAlreadyExistsFault"),
    ],
    ids=["subnets", "parameters", "name"],
)
def test_a_cluster_that_aws_would_refuse_is_refused(
    call: Call, key: str, more: dict[str, Any], code: str
) -> None:
    password = {"ManageMasterUserPassword": False, "MasterUserPassword": "not-a-secret"}
    taken = _cluster(DBClusterIdentifier="taken", **password)
    with (
        made(call, "AWS::RDS::DBCluster", taken),
        pytest.raises(ClientError, match=code),
    ):
        handlers()["AWS::RDS::DBCluster"].create(call, _cluster(**password) | more)


def test_members_go_round(call: Call, subnets: list[str], key: str) -> None:
    groups = {"DBSubnetGroupDescription": "data", "SubnetIds": subnets}
    with made(call, "AWS::RDS::DBSubnetGroup", groups) as subnet_group:
        secret_key = {"MasterUserSecret": {"KmsKeyId": key}, "DBSubnetGroupName": subnet_group.physical_id}
        with made(call, "AWS::RDS::DBCluster", _cluster(**secret_key)) as cluster:
            given = {
                "DBInstanceIdentifier": "slipway-test-one",
                "DBClusterIdentifier": cluster.physical_id,
                "DBInstanceClass": "db.r6g.large",
                "DBSubnetGroupName": subnet_group.physical_id,
                "Engine": "aurora-mysql",
                "PromotionTier": 2,
                "PubliclyAccessible": False,
                "AutoMinorVersionUpgrade": False,
                "EnablePerformanceInsights": True,
                "PerformanceInsightsKMSKeyId": key,
                "PerformanceInsightsRetentionPeriod": 31,
                "MonitoringInterval": 60,
                "MonitoringRoleArn": "arn:aws:iam::123456789012:role/monitoring",
                "PreferredMaintenanceWindow": "sun:04:00-sun:05:00",
                "Tags": TAGS,
            }
            changes = (
                {"PromotionTier": 0, "DBInstanceClass": "db.r6g.xlarge", "Tags": TAGS[1:]},
                {"EnablePerformanceInsights": REMOVED, "PerformanceInsightsKMSKeyId": REMOVED}
                | {"PerformanceInsightsRetentionPeriod": REMOVED, "AutoMinorVersionUpgrade": REMOVED},
            )
            listed = schema_of("AWS::RDS::DBInstance")["readOnlyProperties"]
            known = {path.removeprefix("/properties/") for path in listed} - KNOWN_OF_MEMBERS
            travel(call, Trip("AWS::RDS::DBInstance", given, changes, without=frozenset(known)))


def test_members_are_spread_over_the_zones(call: Call, subnets: list[str], key: str) -> None:
    groups = {"DBSubnetGroupDescription": "data", "SubnetIds": subnets}
    with made(call, "AWS::RDS::DBSubnetGroup", groups) as subnet_group:
        secret_key = {"MasterUserSecret": {"KmsKeyId": key}, "DBSubnetGroupName": subnet_group.physical_id}
        with made(call, "AWS::RDS::DBCluster", _cluster(**secret_key)) as cluster:
            member = {
                "DBClusterIdentifier": cluster.physical_id,
                "DBInstanceClass": "db.r6g.large",
                "Engine": "aurora-mysql",
            }
            with (
                made(call, "AWS::RDS::DBInstance", member) as one,
                made(call, "AWS::RDS::DBInstance", member) as two,
            ):
                seen = [
                    handlers()["AWS::RDS::DBInstance"].read(call, each.physical_id) or {}
                    for each in (one, two)
                ]
    assert len({each["AvailabilityZone"] for each in seen}) == 2
    assert {each["DBParameterGroupName"] for each in seen} == {f"default.{FAMILY}"}


def test_a_database_outside_of_a_cluster_is_refused_by_name(call: Call) -> None:
    with pytest.raises(HandlerError, match="without DBClusterIdentifier is not supported"):
        handlers()["AWS::RDS::DBInstance"].create(call, {"Engine": "mysql"})
