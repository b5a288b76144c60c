# SPDX-License-Identifier: Apache-2.0
"""CloudFormation's resources of KMS, CloudWatch Logs, Systems Manager and ACM."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from sandbox.cloudformation.handler import Call
from sandbox.cloudformation.registry import handlers

from .round_trip import REMOVED, Trip, handler_calls, made, travel

World = Mapping[str, str]
TAGS = [{"Key": "Name", "Value": "one"}, {"Key": "Use", "Value": "data"}]
OTHER_TAGS = [{"Key": "Name", "Value": "two"}]
ACCOUNT = {"AWS": "arn:aws:iam::123456789012:root"}


def _key_policy(action: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": ACCOUNT, "Action": action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    yield from handler_calls()


@pytest.fixture(name="world", scope="module")
def fixture_world(call: Call) -> Iterator[World]:
    """Return two keys and a log group."""
    with ExitStack() as stack:
        key, other_key = (stack.enter_context(made(call, "AWS::KMS::Key", {})) for _ in range(2))
        group = stack.enter_context(made(call, "AWS::Logs::LogGroup", {}))
        yield {
            "key": key.physical_id,
            "key_arn": key.attributes["Arn"],
            "other_key": other_key.physical_id,
            "other_key_arn": other_key.attributes["Arn"],
            "group": group.physical_id,
        }


TRIPS: dict[str, Callable[[World], Trip]] = {
    "key": lambda world: Trip(
        "AWS::KMS::Key",
        {
            "Description": "data",
            "Enabled": True,
            "EnableKeyRotation": True,
            "KeyPolicy": _key_policy("kms:*"),
            "KeySpec": "SYMMETRIC_DEFAULT",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "MultiRegion": False,
            "PendingWindowInDays": 7,
            "Tags": TAGS,
        },
        changes=(
            {"Description": "more data"},
            {"KeyPolicy": _key_policy("kms:Decrypt")},
            {"EnableKeyRotation": False, "Enabled": False},
            {"EnableKeyRotation": True, "Enabled": True},
            {"Tags": OTHER_TAGS, "KeyPolicy": REMOVED},
        ),
    ),
    "key that signs": lambda world: Trip(
        "AWS::KMS::Key",
        {
            "Description": "signs",
            "Enabled": True,
            "EnableKeyRotation": False,
            "KeyPolicy": _key_policy("kms:*"),
            "KeySpec": "RSA_2048",
            "KeyUsage": "SIGN_VERIFY",
            "MultiRegion": False,
            "PendingWindowInDays": 7,
            "Tags": TAGS,
        },
        changes=({"Description": "signs more"}, {"KeyPolicy": _key_policy("kms:Sign")}, {"Enabled": False}),
    ),
    "alias": lambda world: Trip(
        "AWS::KMS::Alias",
        {"AliasName": "alias/slipway-data", "TargetKeyId": world["key"]},
        changes=({"TargetKeyId": world["other_key"]},),
    ),
    "log group": lambda world: Trip(
        "AWS::Logs::LogGroup",
        {
            "LogGroupName": "/slipway/flow",
            "RetentionInDays": 30,
            "KmsKeyId": world["key_arn"],
            "Tags": TAGS,
        },
        changes=(
            {"RetentionInDays": 365},
            {"KmsKeyId": world["other_key_arn"]},
            {"Tags": OTHER_TAGS},
            {"RetentionInDays": REMOVED, "KmsKeyId": REMOVED, "Tags": REMOVED},
        ),
    ),
    "metric filter": lambda world: Trip(
        "AWS::Logs::MetricFilter",
        {
            "FilterName": "errors",
            "LogGroupName": world["group"],
            "FilterPattern": "ERROR",
            "MetricTransformations": [
                {
                    "MetricName": "Errors",
                    "MetricNamespace": "Slipway",
                    "MetricValue": "1",
                    "DefaultValue": 0,
                    "Unit": "Count",
                }
            ],
        },
        changes=(
            {"FilterPattern": "FATAL"},
            {
                "MetricTransformations": [
                    {"MetricName": "Deaths", "MetricNamespace": "Slipway", "MetricValue": "2"}
                ]
            },
        ),
    ),
    "parameter": lambda world: Trip(
        "AWS::SSM::Parameter",
        {
            "Name": "/slipway/dev/domain",
            "Type": "String",
            "Value": "dev.example.com",
            "DataType": "text",
            "Description": "where dev is",
            "AllowedPattern": "^[a-z.]+$",
            "Tier": "Standard",
            "Tags": {"Name": "one", "Use": "data"},
        },
        changes=(
            {"Value": "test.example.com"},
            {"Description": "elsewhere", "Tags": {"Name": "two"}},
            {"Tags": REMOVED},
        ),
    ),
    "list parameter": lambda world: Trip(
        "AWS::SSM::Parameter", {"Type": "StringList", "Value": "a,b"}, changes=({"Value": "a,b,c"},)
    ),
    "certificate": lambda world: Trip(
        "AWS::CertificateManager::Certificate",
        {
            "DomainName": "example.com",
            "SubjectAlternativeNames": ["*.example.com", "example.org"],
            "ValidationMethod": "DNS",
            "CertificateTransparencyLoggingPreference": "ENABLED",
            "Tags": TAGS,
        },
        changes=(
            {"CertificateTransparencyLoggingPreference": "DISABLED"},
            {"Tags": OTHER_TAGS},
            {"Tags": REMOVED},
        ),
    ),
}


@pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS.keys())
def test_every_property_comes_back(call: Call, world: World, trip: Callable[[World], Trip]) -> None:
    travel(call, trip(world))


def test_a_certificate_is_issued_at_once(call: Call) -> None:
    with made(call, "AWS::CertificateManager::Certificate", {"DomainName": "a.example"}) as physical:
        answer = call.client("acm").describe_certificate(CertificateArn=physical.physical_id)
        assert answer["Certificate"]["Status"] == "ISSUED"
        assert answer["Certificate"]["Type"] == "AMAZON_ISSUED"


def test_tags_of_the_stack_are_put_beside_the_resources_own(call: Call) -> None:
    call = replace(call, tags={"Environment": "dev", "aws:cloudformation:stack-name": "s"})
    own = [{"Key": "Name", "Value": "one"}]
    for type_name in ("AWS::Logs::LogGroup", "AWS::KMS::Key"):
        with made(call, type_name, {"Tags": own}) as physical:
            seen = handlers()[type_name].read(call, physical.physical_id) or {}
        assert sorted(seen["Tags"], key=lambda tag: tag["Key"]) == [
            {"Key": "Environment", "Value": "dev"},
            *own,
        ]
