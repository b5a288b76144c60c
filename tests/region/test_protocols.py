# SPDX-License-Identifier: Apache-2.0
"""What is not supported is refused by name, in each service's own protocol; bugs become AWS errors too."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session
from moto.core.responses import BaseResponse
from moto.core.utils import camelcase_to_underscores, method_names_from_class
from moto.ec2.models import EC2Backend

from sandbox.api.allowlist import supported

# Where moto does not call a module as botocore calls the service.
MODULES = {"lambda": "awslambda", "service-quotas": "servicequotas"}
UNSUPPORTED = [
    ("ec2", "describe_fleets", {}),  # ec2
    ("iam", "list_users", {}),  # query
    ("ssm", "send_command", {"DocumentName": "AWS-RunShellScript", "InstanceIds": ["i-1"]}),  # json
    ("lambda", "list_layers", {}),  # rest-json
    ("s3", "get_bucket_acl", {"Bucket": "bucket"}),  # rest-xml
    ("cloudfront", "list_key_groups", {}),  # rest-xml
    ("sqs", "start_message_move_task", {"SourceArn": "arn"}),  # json with query errors
    ("pricing", "describe_services", {}),  # a service moto does not have
    ("cloudwatch", "list_metric_streams", {}),
    ("dynamodb", "list_tables", {}),
]


@pytest.mark.parametrize(
    ("service", "operation", "arguments"), UNSUPPORTED, ids=[f"{row[0]}.{row[1]}" for row in UNSUPPORTED]
)
def test_an_unsupported_operation_is_named(
    local: Any, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    client = local.client(service)
    name = client.meta.method_to_api_mapping[operation]
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**arguments)
    error = caught.value.response["Error"]
    assert error["Code"].rpartition(".")[2] == "UnsupportedOperation"
    assert f"{service}.{name} is not supported" in error["Message"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_operation_nobody_knows_is_refused(local: Any) -> None:
    body = local.fetch(
        "POST",
        "/",
        body=b"Action=DescribeUnicorns&Version=2016-11-15",
        headers={"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/ec2/aws4_request"},
    ).decode()
    assert "<Code>UnsupportedOperation</Code>" in body
    assert "ec2.DescribeUnicorns" in body


def test_another_region_is_refused(local: Any) -> None:
    ec2 = local.client("ec2")
    elsewhere = local.client("ec2", region_name="eu-west-1")
    assert ec2.describe_vpcs()["Vpcs"]
    with pytest.raises(ClientError, match=r"UnsupportedOperation.*eu-west-1"):
        elsewhere.describe_vpcs()


def test_a_bug_becomes_an_internal_error_with_an_incident(local: Any, monkeypatch: Any, caplog: Any) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(EC2Backend, "describe_vpcs", broken)
    with pytest.raises(ClientError) as caught:
        local.client("ec2").describe_vpcs()
    assert caught.value.response["Error"]["Code"] == "InternalError"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    incident = caught.value.response["Error"]["Message"].rstrip(".").rpartition(" ")[2]
    assert incident in caplog.text
    assert "a bug" in caplog.text


def test_the_list_names_only_real_operations_and_parameters() -> None:
    session = Session()
    for service, operations in supported().items():
        model = session.get_service_model(service)
        assert set(operations) <= set(model.operation_names), service
        for name, operation in operations.items():
            shape = model.operation_model(name).input_shape
            members = set(shape.members) if shape else set()
            assert (operation.takes or frozenset()) | operation.refuses <= members, f"{service}.{name}"


@pytest.mark.parametrize("service", [name for name in supported() if name != "s3"])
def test_moto_has_every_supported_operation(local: Any, service: str) -> None:
    """Look where moto itself looks. S3's operations are not one method each; others' tests try them."""
    del local  # the region adds operations of its own
    methods = {
        method
        for each in vars(import_module(f"moto.{MODULES.get(service, service)}.responses")).values()
        if isinstance(each, type) and issubclass(each, BaseResponse)
        for method in method_names_from_class(each)
    }
    missing = [name for name in supported()[service] if camelcase_to_underscores(name) not in methods]
    assert missing == []


def test_conditional_writes_do_not_race(local: Any) -> None:
    s3 = local.client("s3")
    s3.create_bucket(Bucket="locks")

    def write(owner: int) -> int | None:
        try:
            s3.put_object(Bucket="locks", Key="web", Body=str(owner).encode(), IfNoneMatch="*")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"
            return None
        return owner

    with ThreadPoolExecutor(8) as pool:
        winners = [owner for owner in pool.map(write, range(40)) if owner is not None]
    assert len(winners) == 1
    body = s3.get_object(Bucket="locks", Key="web")["Body"].read()
    assert int(body) == winners[0]


@pytest.mark.parametrize(
    ("condition", "is_denied"),
    [
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}, True),
        ({"Null": {"s3:x-amz-server-side-encryption": "true"}}, True),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, False),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_bucket_policy_denies_only_under_its_condition(
    local: Any, condition: dict[str, Any], is_denied: bool
) -> None:
    s3 = local.client("s3")
    s3.create_bucket(Bucket="bucket")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"],
        "Condition": condition,
    }
    s3.put_bucket_policy(
        Bucket="bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    if is_denied:
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket="bucket", Key="k", Body=b"v")
    else:
        s3.put_object(Bucket="bucket", Key="k", Body=b"v")


def test_an_assumed_role_is_who_it_says(local: Any) -> None:
    local.client("iam").create_role(RoleName="deployer", AssumeRolePolicyDocument="{}")
    role = local.client("sts").assume_role(
        RoleArn="arn:aws:iam::123456789012:role/deployer", RoleSessionName="me"
    )["Credentials"]
    identity = local.client(
        "sts",
        aws_access_key_id=role["AccessKeyId"],
        aws_secret_access_key=role["SecretAccessKey"],
        aws_session_token=role["SessionToken"],
    ).get_caller_identity()
    assert identity["Arn"] == "arn:aws:sts::123456789012:assumed-role/deployer/me"


def test_own_pages(local: Any) -> None:
    instance_id = local.launch()
    assert local.fetch("GET", "/_slipway/operator-address") == b"127.0.0.1"
    health = json.loads(local.fetch("GET", "/_slipway/health"))
    assert (health["service"], health["mode"], health["machines"]) == ("slipway-sandbox", "simulated", 1)
    status = json.loads(local.fetch("GET", "/_slipway/status"))
    assert [(row["instance_id"], row["state"]) for row in status["machines"]] == [(instance_id, "running")]
    assert status["daemon_memory_bytes"] > 0
