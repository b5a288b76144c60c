# SPDX-License-Identifier: Apache-2.0
"""Decisions from policies, and what calls need."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.api.access.needs import Place, needs
from sandbox.api.access.policies import Need, deny

PLACE = Place("us-east-1", "123456789012")
PARAMETER = "arn:aws:ssm:us-east-1:123456789012:parameter"


def policy(effect: str = "Allow", **statement: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": effect, **statement}]}


READ_OWN = policy(Action="ssm:GetParameter*", Resource=f"{PARAMETER}/slipway/dev/api/*")
OWN = Need("ssm:GetParameter", f"{PARAMETER}/slipway/dev/api/key")
ANOTHERS = Need("ssm:GetParameter", f"{PARAMETER}/slipway/production/api/key")


@pytest.mark.parametrize(
    ("need", "policies", "is_allowed"),
    [
        (OWN, [], False),
        (OWN, [READ_OWN], True),
        (ANOTHERS, [READ_OWN], False),
        (Need("SSM:getparameter", OWN.resource), [READ_OWN], True),
        (Need("ssm:PutParameter", OWN.resource), [READ_OWN], False),
        (OWN, [READ_OWN, policy("Deny", Action="*", Resource="*")], False),
        (OWN, [READ_OWN, policy("Deny", Action="s3:*", Resource="*")], True),
        (OWN, [policy(NotAction="iam:*", Resource="*")], True),
        (Need("iam:PassRole", "*"), [policy(NotAction="iam:*", Resource="*")], False),
        (OWN, [policy(Action="*", NotResource=f"{PARAMETER}/slipway/production/*")], True),
        (ANOTHERS, [policy(Action="*", NotResource=f"{PARAMETER}/slipway/production/*")], False),
        (Need("s3:GetObject", "b/a[1]"), [policy(Action="s3:*", Resource="b/a[1]")], True),
        (Need("s3:GetObject", "b/a1"), [policy(Action="s3:*", Resource="b/a[1]")], False),
    ],
    ids=[
        "nothing is allowed by default", "an allowed prefix", "another prefix", "actions in any case",
        "another action", "a denial wins", "another denial", "all actions but", "one of those",
        "all resources but", "one of those resources", "brackets", "no class",
    ],
)  # fmt: skip
def test_policies_decide(need: Need, policies: list[dict[str, Any]], is_allowed: bool) -> None:
    assert (deny(need, policies) is None) is is_allowed


def test_a_condition_has_to_hold() -> None:
    conditional = policy(Action="s3:*", Resource="*", Condition={"StringLike": {"s3:prefix": ["own/*"]}})
    assert deny(Need("s3:ListBucket", "b", {"s3:prefix": "own/x"}), [conditional]) is None
    assert deny(Need("s3:ListBucket", "b", {"s3:prefix": "others/"}), [conditional]) is not None
    assert deny(Need("s3:ListBucket", "b"), [conditional]) is not None


def test_a_variable_stands_for_the_caller() -> None:
    own = policy(Action="s3:*", Resource="arn:aws:s3:::b/${aws:PrincipalArn}/*")
    assert deny(Need("s3:GetObject", "arn:aws:s3:::b/me/x", {"aws:principalarn": "me"}), [own]) is None
    assert deny(Need("s3:GetObject", "arn:aws:s3:::b/you/x", {"aws:principalarn": "me"}), [own]) is not None
    assert deny(Need("s3:GetObject", "arn:aws:s3:::b//x"), [own]) is not None


def test_a_boundary_limits_what_policies_allow() -> None:
    everything = policy(Action="*", Resource="*")
    assert deny(OWN, [everything], READ_OWN) is None
    assert deny(ANOTHERS, [everything], READ_OWN) is not None


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "wanted"),
    [
        ("s3", "HeadObject", {"Bucket": "b", "Key": "k"}, [("s3:GetObject", "arn:aws:s3:::b/k")]),
        ("s3", "ListObjectsV2", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
        (
            "s3", "CopyObject", {"Bucket": "b", "Key": "k", "CopySource": "a/x%20y?versionId=1"},
            [("s3:GetObject", "arn:aws:s3:::a/x y"), ("s3:PutObject", "arn:aws:s3:::b/k")],
        ),
        (
            "s3", "DeleteObjects", {"Bucket": "b", "Delete": {"Objects": [{"Key": "1"}, {"Key": "2"}]}},
            [("s3:DeleteObject", "arn:aws:s3:::b/1"), ("s3:DeleteObject", "arn:aws:s3:::b/2")],
        ),
        ("ssm", "GetParametersByPath", {"Path": "/a/b/"}, [("ssm:GetParametersByPath", f"{PARAMETER}/a/b")]),
        (
            "ssm", "GetParameters", {"Names": ["/a", "/b:3"]},
            [("ssm:GetParameters", f"{PARAMETER}/a"), ("ssm:GetParameters", f"{PARAMETER}/b")],
        ),
        (
            "sqs", "ReceiveMessage", {"QueueUrl": "http://127.0.0.1:4566/123456789012/jobs"},
            [("sqs:ReceiveMessage", "arn:aws:sqs:us-east-1:123456789012:jobs")],
        ),
        (
            "lambda", "Invoke", {"FunctionName": "f"},
            [("lambda:InvokeFunction", "arn:aws:lambda:us-east-1:123456789012:function:f")],
        ),
        ("elbv2", "DescribeLoadBalancers", {}, [("elasticloadbalancing:DescribeLoadBalancers", "*")]),
        ("sts", "GetCallerIdentity", {}, []),
    ],
    ids=["head", "list", "copy", "delete", "a path", "names", "a queue", "a function", "elb", "who"],
)  # fmt: skip
def test_calls_need_permissions(
    service: str, operation: str, parameters: dict[str, Any], wanted: list[tuple[str, str]]
) -> None:
    assert [(need.action, need.resource) for need in needs(service, operation, parameters, PLACE)] == wanted
