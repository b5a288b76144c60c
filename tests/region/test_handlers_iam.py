# SPDX-License-Identifier: Apache-2.0
"""CloudFormation's resources of IAM."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloudformation.handler import Call
from sandbox.cloudformation.registry import handlers

from .round_trip import REMOVED, Trip, handler_calls, made, travel

World = Mapping[str, str]
TAGS = [{"Key": "Name", "Value": "one"}, {"Key": "Class", "Value": "api"}]
OTHER_TAGS = [{"Key": "Name", "Value": "two"}]


def _trust(service: str) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _policy(action: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": [action], "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    yield from handler_calls()


@pytest.fixture(name="world", scope="module")
def fixture_world(call: Call) -> Iterator[World]:
    """Return two roles and two managed policies."""
    with ExitStack() as stack:

        def make(type_name: str, **properties: Any) -> str:
            return stack.enter_context(made(call, f"AWS::IAM::{type_name}", properties)).physical_id

        yield {
            "role": make("Role", AssumeRolePolicyDocument=_trust("ec2")),
            "other_role": make("Role", AssumeRolePolicyDocument=_trust("ec2")),
            "policy": make("ManagedPolicy", PolicyDocument=_policy("s3:GetObject")),
            "other_policy": make("ManagedPolicy", PolicyDocument=_policy("s3:PutObject")),
        }


TRIPS: dict[str, Callable[[World], Trip]] = {
    "role": lambda world: Trip(
        "AWS::IAM::Role",
        {
            "RoleName": "api",
            "Path": "/slipway/",
            "Description": "what api servers may do",
            "AssumeRolePolicyDocument": _trust("ec2"),
            "MaxSessionDuration": 7200,
            "PermissionsBoundary": world["policy"],
            "ManagedPolicyArns": [world["policy"]],
            "Policies": [{"PolicyName": "one", "PolicyDocument": _policy("sqs:SendMessage")}],
            "Tags": TAGS,
        },
        changes=(
            {"AssumeRolePolicyDocument": _trust("lambda")},
            {"ManagedPolicyArns": [world["other_policy"]]},
            {
                "Policies": [
                    {"PolicyName": "one", "PolicyDocument": _policy("sqs:ReceiveMessage")},
                    {"PolicyName": "two", "PolicyDocument": _policy("s3:GetObject")},
                ]
            },
            {"Policies": [{"PolicyName": "two", "PolicyDocument": _policy("s3:GetObject")}]},
            {"Description": "something else", "MaxSessionDuration": 3600, "Tags": OTHER_TAGS},
            {"PermissionsBoundary": world["other_policy"]},
            {"PermissionsBoundary": REMOVED, "ManagedPolicyArns": REMOVED, "Policies": REMOVED},
        ),
    ),
    "inline policy": lambda world: Trip(
        "AWS::IAM::Policy",
        {"PolicyName": "own", "PolicyDocument": _policy("s3:GetObject"), "Roles": [world["role"]]},
        changes=(
            {"PolicyDocument": _policy("s3:PutObject")},
            {"Roles": [world["role"], world["other_role"]]},
            {"Roles": [world["other_role"]]},
        ),
    ),
    "managed policy": lambda world: Trip(
        "AWS::IAM::ManagedPolicy",
        {
            "ManagedPolicyName": "reader",
            "Path": "/slipway/",
            "Description": "reads",
            "PolicyDocument": _policy("s3:GetObject"),
            "Roles": [world["role"]],
        },
        changes=(
            # A policy has room for five versions.
            *({"PolicyDocument": _policy(f"s3:Get{what}")} for what in ("A", "B", "C", "D", "E", "F")),
            {"Roles": [world["other_role"]]},
        ),
    ),
    "instance profile": lambda world: Trip(
        "AWS::IAM::InstanceProfile",
        {"InstanceProfileName": "api", "Path": "/slipway/", "Roles": [world["role"]]},
        changes=({"Roles": [world["other_role"]]},),
    ),
}


@pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS.keys())
def test_every_property_comes_back(call: Call, world: World, trip: Callable[[World], Trip]) -> None:
    travel(call, trip(world))


def test_a_role_that_fails_half_way_leaves_nothing(call: Call) -> None:
    given = {
        "RoleName": "half",
        "AssumeRolePolicyDocument": _trust("ec2"),
        "ManagedPolicyArns": ["arn:aws:iam::123456789012:policy/there-is-none"],
    }
    handler = handlers()["AWS::IAM::Role"]
    with pytest.raises(ClientError, match="NoSuchEntity"):
        handler.create(call, given)
    assert handler.read(call, "half") is None
