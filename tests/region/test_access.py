# SPDX-License-Identifier: Apache-2.0
"""Sessions of a role may do what its policies allow, and machines nothing without a role."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.region.conftest import LocalRegion

TRUSTED = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
TRUST = {"Version": "2012-10-17", "Statement": [TRUSTED]}
READ_DEV = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["ssm:GetParameter", "ssm:GetParametersByPath"],
            "Resource": "arn:aws:ssm:*:*:parameter/slipway/dev/*",
        }
    ],
}


@pytest.fixture(name="session")
def fixture_session(local: LocalRegion) -> dict[str, str]:
    """Return credentials of a role that may read dev's parameters."""
    iam, ssm = local.client("iam"), local.client("ssm")
    arn = iam.create_role(RoleName="dev-api", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="dev-api", PolicyName="read", PolicyDocument=json.dumps(READ_DEV))
    for environment in ("dev", "production"):
        ssm.put_parameter(Name=f"/slipway/{environment}/key", Value=environment, Type="SecureString")
    given = local.client("sts").assume_role(RoleArn=arn, RoleSessionName="i-1")["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def refusal(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_role_reads_what_its_policy_names(local: LocalRegion, session: dict[str, str]) -> None:
    ssm = local.client("ssm", **session)
    assert ssm.get_parameter(Name="/slipway/dev/key")["Parameter"]["Name"] == "/slipway/dev/key"


def test_a_role_can_t_read_another_environment_s_parameter(
    local: LocalRegion, session: dict[str, str]
) -> None:
    ssm = local.client("ssm", **session)
    assert refusal(ssm.get_parameter, Name="/slipway/production/key") == (
        "AccessDeniedException",
        "User: arn:aws:sts::123456789012:assumed-role/dev-api/i-1 is not authorized to perform: "
        "ssm:GetParameter on resource: arn:aws:ssm:us-east-1:123456789012:parameter/slipway/production/key "
        "because no identity-based policy allows the ssm:GetParameter action",
    )
    assert refusal(ssm.get_parameters_by_path, Path="/slipway")[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("s3", "list_buckets", "AccessDenied"),
        ("ec2", "describe_instances", "UnauthorizedOperation"),
        ("iam", "list_roles", "AccessDenied"),
    ],
)
def test_what_no_policy_allows_is_refused_in_the_words_of_the_service(
    local: LocalRegion, session: dict[str, str], service: str, operation: str, code: str
) -> None:
    client = local.client(service, **session)
    assert refusal(getattr(client, operation))[0] == code


def test_a_changed_policy_counts_at_once(local: LocalRegion, session: dict[str, str]) -> None:
    ssm = local.client("ssm", **session)
    ssm.get_parameter(Name="/slipway/dev/key")
    local.client("iam").delete_role_policy(RoleName="dev-api", PolicyName="read")
    assert refusal(ssm.get_parameter, Name="/slipway/dev/key")[0] == "AccessDeniedException"


def test_everyone_may_ask_who_they_are(local: LocalRegion, session: dict[str, str]) -> None:
    arn = local.client("sts", **session).get_caller_identity()["Arn"]
    assert arn == "arn:aws:sts::123456789012:assumed-role/dev-api/i-1"


def test_managed_policies_and_boundaries_count_in_their_default_version(local: LocalRegion) -> None:
    iam, ssm = local.client("iam"), local.client("ssm")
    ssm.put_parameter(Name="/slipway/dev/key", Value="dev", Type="String")
    arns = [
        iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(READ_DEV))["Policy"]["Arn"]
        for name in ("read", "boundary")
    ]
    role = iam.create_role(
        RoleName="dev-reader", AssumeRolePolicyDocument=json.dumps(TRUST), PermissionsBoundary=arns[1]
    )["Role"]
    iam.attach_role_policy(RoleName="dev-reader", PolicyArn=arns[0])
    given = local.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="ann")["Credentials"]
    reader = local.client(
        "ssm",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    assert reader.get_parameter(Name="/slipway/dev/key")["Parameter"]["Value"] == "dev"
    statement = {"Effect": "Allow", "Action": "ssm:PutParameter", "Resource": "*"}
    changed = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_policy_version(PolicyArn=arns[0], PolicyDocument=changed, SetAsDefault=True)
    assert refusal(reader.get_parameter, Name="/slipway/dev/key")[0] == "AccessDeniedException"
    assert refusal(reader.put_parameter, Name="/slipway/dev/key", Value="x", Overwrite=True)[0] == (
        "AccessDeniedException"
    )


def test_roles_and_profiles_are_named_with_their_path_in_policies(local: LocalRegion) -> None:
    iam = local.client("iam")
    for path, name in (("/slipway/dev/", "dev"), ("/slipway/qa/", "qa")):
        iam.create_instance_profile(InstanceProfileName=name, Path=path)
    arn = "arn:aws:iam::*:instance-profile/slipway/dev/*"
    statement = {"Effect": "Allow", "Action": "iam:GetInstanceProfile", "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = iam.create_role(RoleName="operator", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    iam.put_role_policy(RoleName="operator", PolicyName="look", PolicyDocument=document)
    given = local.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="ann")["Credentials"]
    operator = local.client(
        "iam",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    found = operator.get_instance_profile(InstanceProfileName="dev")["InstanceProfile"]
    assert found["Path"] == "/slipway/dev/"
    assert refusal(operator.get_instance_profile, InstanceProfileName="qa")[0] == "AccessDenied"


@pytest.fixture(name="narrow")
def fixture_narrow(local: LocalRegion) -> dict[str, str]:
    """Return credentials of a role that may write its own things and see one cluster."""
    here = "us-east-1:123456789012"
    allowed = {
        "ssm:PutParameter": f"arn:aws:ssm:{here}:parameter/slipway/dev/host-keys/*",
        "logs:CreateLogStream": f"arn:aws:logs:{here}:log-group:/slipway/dev/access:log-stream:api/*",
        "logs:PutLogEvents": f"arn:aws:logs:{here}:log-group:/slipway/dev/access:log-stream:api/*",
        "rds:DescribeDBClusters": f"arn:aws:rds:{here}:cluster:one",
    }
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in allowed.items()
    ]
    statements[0]["Condition"] = {"StringNotEquals": {"ssm:Overwrite": "true"}}
    iam = local.client("iam")
    arn = iam.create_role(RoleName="narrow", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName="narrow", PolicyName="narrow", PolicyDocument=policy)
    given = local.client("sts").assume_role(RoleArn=arn, RoleSessionName="i-1")["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def test_what_may_be_written_once_is_not_written_over(local: LocalRegion, narrow: dict[str, str]) -> None:
    ssm = local.client("ssm", **narrow)
    parameter = {"Name": "/slipway/dev/host-keys/api/i-1", "Value": "ssh-ed25519 AAAA", "Type": "String"}
    assert ssm.put_parameter(**parameter)["Version"] == 1
    assert refusal(ssm.put_parameter, **parameter)[0] == "ParameterAlreadyExists"
    assert refusal(ssm.put_parameter, **parameter, Overwrite=True)[0] == "AccessDeniedException"


def test_a_role_writes_to_its_own_streams_of_a_group(local: LocalRegion, narrow: dict[str, str]) -> None:
    group = "/slipway/dev/access"
    local.client("logs").create_log_group(logGroupName=group)
    logs = local.client("logs", **narrow)
    logs.create_log_stream(logGroupName=group, logStreamName="api/i-1")
    event = {"timestamp": int(time.time() * 1000), "message": "came"}
    logs.put_log_events(logGroupName=group, logStreamName="api/i-1", logEvents=[event])
    other = {"logGroupName": group, "logStreamName": "worker/i-2"}
    assert refusal(logs.create_log_stream, **other)[0] == "AccessDeniedException"
    assert refusal(logs.put_log_events, **other, logEvents=[event])[0] == "AccessDeniedException"
    assert refusal(logs.filter_log_events, logGroupName=group)[0] == "AccessDeniedException"
    read = local.client("logs").filter_log_events(logGroupName=group)["events"]
    assert [(each["logStreamName"], each["message"]) for each in read] == [("api/i-1", "came")]


def test_a_role_sees_its_own_cluster(local: LocalRegion, narrow: dict[str, str]) -> None:
    rds = local.client("rds", **narrow)
    assert refusal(rds.describe_db_clusters, DBClusterIdentifier="one")[0] == "DBClusterNotFoundFault"
    assert refusal(rds.describe_db_clusters, DBClusterIdentifier="other")[0] == "AccessDenied"
    assert refusal(rds.describe_db_clusters)[0] == "AccessDenied"
