# SPDX-License-Identifier: Apache-2.0
"""The resource types of Lambda go round."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloudformation.handler import Call, HandlerError
from sandbox.cloudformation.registry import handlers
from sandbox.lambdas.function import RUNTIME

from .round_trip import REMOVED, Trip, handler_calls, made, travel

TAGS = [{"Key": "a", "Value": "b"}, {"Key": "z", "Value": "y"}]
BUNDLES = "bundles"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:dead"
NO_SNAP_START = frozenset({"SnapStartResponse"})


@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    """Return what handlers work with, in an account that has two bundles."""
    for call in handler_calls():
        call.client("s3").create_bucket(Bucket=BUNDLES)
        for key in ("one.zip", "two.zip"):
            call.client("s3").put_object(Bucket=BUNDLES, Key=key, Body=_bundle(key))
        yield call


@pytest.fixture(name="role", scope="module")
def fixture_role(call: Call) -> str:
    """Return a role that functions may have."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    iam = call.client("iam")
    return str(iam.create_role(RoleName="f", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"])


@pytest.fixture(name="function", scope="module")
def fixture_function(call: Call, role: str) -> Iterator[str]:
    """Return the name of a function."""
    with made(call, "AWS::Lambda::Function", _function(role, FunctionName="shared")) as function:
        yield function.physical_id


def _bundle(text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("handler.py", f"# {text}")
    return packed.getvalue()


def _function(role: str, **more: Any) -> dict[str, Any]:
    code = {"S3Bucket": BUNDLES, "S3Key": "one.zip"}
    return {"Code": code, "Handler": "handler.handle", "Role": role, "Runtime": RUNTIME} | more


def test_a_function_goes_round(call: Call, role: str) -> None:
    given = _function(
        role,
        Architectures=["x86_64"],
        DeadLetterConfig={"TargetArn": QUEUE},
        Description="makes variants",
        Environment={"Variables": {"A": "1"}},
        EphemeralStorage={"Size": 1024},
        FunctionName="variants",
        KmsKeyArn="arn:aws:kms:us-east-1:123456789012:key/1",
        LoggingConfig={"LogFormat": "JSON", "LogGroup": "/aws/lambda/other"},
        MemorySize=512,
        ReservedConcurrentExecutions=10,
        Tags=TAGS,
        Timeout=60,
        TracingConfig={"Mode": "Active"},
    )
    changes = (
        {
            "Architectures": ["arm64"],
            "Code": {"S3Bucket": BUNDLES, "S3Key": "two.zip"},
            "Environment": {"Variables": {"B": "2"}},
            "MemorySize": 1024,
            "ReservedConcurrentExecutions": 0,
            "Tags": TAGS[1:],
        },
        {name: REMOVED for name in given if name not in (*_function(role), "Architectures", "FunctionName")},
    )
    travel(call, Trip("AWS::Lambda::Function", given, changes, without=NO_SNAP_START))


def test_a_function_runs_the_code_of_its_bundle(call: Call, role: str) -> None:
    client = call.client("lambda")
    before = _function(role)
    after = before | {"Code": {"S3Bucket": BUNDLES, "S3Key": "two.zip"}}
    with made(call, "AWS::Lambda::Function", before) as function:
        first = client.get_function_configuration(FunctionName=function.physical_id)["CodeSha256"]
        handlers()["AWS::Lambda::Function"].update(call, function.physical_id, before=before, after=after)
        second = client.get_function_configuration(FunctionName=function.physical_id)["CodeSha256"]
    assert first != second


def test_code_may_stand_in_the_template(call: Call, role: str) -> None:
    code = {"ZipFile": "def handle(event, context):\n    return event\n"}
    given = _function(role, Code=code, Handler="index.handle")
    travel(call, Trip("AWS::Lambda::Function", given, without=NO_SNAP_START))


def test_a_function_that_exists_is_not_taken_over(call: Call, role: str, function: str) -> None:
    with pytest.raises(ClientError, match="ResourceConflictException"):
        handlers()["AWS::Lambda::Function"].create(call, _function(role, FunctionName=function))


def test_a_permission_goes_round(call: Call, function: str) -> None:
    given = {
        "FunctionName": function,
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
        "SourceArn": "arn:aws:s3:::uploads",
        "SourceAccount": call.account_id,
    }
    travel(call, Trip("AWS::Lambda::Permission", given))


def test_a_permission_is_given_once(call: Call, function: str) -> None:
    given = {"FunctionName": function, "Action": "lambda:InvokeFunction", "Principal": "sns.amazonaws.com"}
    handler = handlers()["AWS::Lambda::Permission"]
    physical = handler.create(call, given)
    with pytest.raises(ClientError, match="ResourceConflictException"):
        handler.create(call, given)
    handler.delete(call, physical.physical_id, given)


def test_retries_go_round(call: Call, function: str) -> None:
    given = {
        "FunctionName": function,
        "Qualifier": "$LATEST",
        "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
        "MaximumEventAgeInSeconds": 3600,
        "MaximumRetryAttempts": 1,
    }
    changes = ({"MaximumRetryAttempts": 0}, {"DestinationConfig": REMOVED})
    travel(call, Trip("AWS::Lambda::EventInvokeConfig", given, changes))


def test_retries_of_a_version_are_refused_by_name(call: Call, function: str) -> None:
    with pytest.raises(HandlerError, match="Qualifier 1 is not supported"):
        handlers()["AWS::Lambda::EventInvokeConfig"].create(
            call, {"FunctionName": function, "Qualifier": "1"}
        )


def test_a_version_and_its_alias_go_round(call: Call, function: str) -> None:
    version = {"FunctionName": function, "Description": "the first"}
    travel(call, Trip("AWS::Lambda::Version", version))
    with made(call, "AWS::Lambda::Version", version) as published:
        given = {
            "FunctionName": function,
            "FunctionVersion": published.attributes["Version"],
            "Name": "live",
            "Description": "what runs",
        }
        travel(
            call,
            Trip("AWS::Lambda::Alias", given, ({"FunctionVersion": "$LATEST"}, {"Description": REMOVED})),
        )
