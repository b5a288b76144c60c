# SPDX-License-Identifier: Apache-2.0
"""Drift is what AWS calls drift.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.cloudformation.drift import Comparison
from sandbox.cloudformation.schemas import schema

from .stack_world import StackWorld, queue, stack_world

GROUP = "AWS::EC2::SecurityGroup"


@pytest.fixture(name="cfn")
def fixture_cfn() -> Iterator[StackWorld]:
    """Return a CloudFormation of the test's own."""
    with stack_world() as world:
        yield world


def compare(type_name: str, expected: Any, actual: Any, **more: Any) -> list[tuple[str, str, Any, Any]]:
    """Return differences as tuples."""
    comparison = Comparison(schema(type_name), more.pop("stack_tags", {}), **more)
    return [(it.path, it.kind, it.expected, it.actual) for it in comparison.differences(expected, actual)]


def test_a_changed_and_a_removed_resource_are_drift_and_others_are_not(cfn: StackWorld) -> None:
    cfn.create({"Changed": queue(DelaySeconds=1), "Removed": queue(), "Same": queue(DelaySeconds=1)})
    cfn.cloud.things[cfn.physical_id("Changed")]["DelaySeconds"] = 2
    del cfn.cloud.things[cfn.physical_id("Removed")]
    difference = {
        "PropertyPath": "/DelaySeconds",
        "DifferenceType": "NOT_EQUAL",
        "ExpectedValue": "1",
        "ActualValue": "2",
    }
    assert cfn.drifts() == {
        "Changed": ("MODIFIED", [difference]),
        "Removed": ("DELETED", []),
        "Same": ("IN_SYNC", []),
    }
    stack = cfn("DescribeStacks", StackName="s")["Stacks"][0]
    assert stack["DriftInformation"]["StackDriftStatus"] == "DRIFTED"
    only = cfn("DescribeStackResourceDrifts", StackName="s", StackResourceDriftStatusFilters=["MODIFIED"])
    (shown,) = only["StackResourceDrifts"]
    assert (json.loads(shown["ExpectedProperties"]), json.loads(shown["ActualProperties"])) == (
        {"DelaySeconds": 1},
        {"DelaySeconds": 2},
    )


def test_what_is_put_right_is_in_sync_again(cfn: StackWorld) -> None:
    cfn.create({"A": queue(DelaySeconds=1)})
    cfn.cloud.things[cfn.physical_id("A")]["DelaySeconds"] = 2
    cfn.drifts()
    cfn.cloud.things[cfn.physical_id("A")]["DelaySeconds"] = 1
    assert cfn.drifts() == {"A": ("IN_SYNC", [])}


def test_a_resource_that_can_not_be_read_fails_the_detection_and_names_it(cfn: StackWorld) -> None:
    cfn.create({"A": queue()})
    cfn.cloud.faults[("read", "A")] = "denied"
    detection = cfn("DetectStackDrift", StackName="s")["StackDriftDetectionId"]
    seen = cfn.until(
        lambda: cfn("DescribeStackDriftDetectionStatus", StackDriftDetectionId=detection),
        lambda shown: bool(shown["DetectionStatus"] != "DETECTION_IN_PROGRESS"),
    )
    assert (seen["DetectionStatus"], seen["DetectionStatusReason"]) == (
        "DETECTION_FAILED",
        "Failed to detect drift on resource [A]: denied",
    )


def test_a_property_that_the_template_does_not_have_is_no_drift() -> None:
    assert compare("AWS::SQS::Queue", {"DelaySeconds": 1}, {"DelaySeconds": 1, "KmsMasterKeyId": "k"}) == []


def test_a_hand_opened_port_is_an_item_too_many() -> None:
    ours = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "10.0.0.0/8"}
    opened = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "0.0.0.0/0"}
    assert compare(GROUP, {"SecurityGroupIngress": [ours]}, {"SecurityGroupIngress": [opened, ours]}) == [
        ("/SecurityGroupIngress/0", "ADD", "null", opened)
    ]
    assert compare(GROUP, {"SecurityGroupIngress": [opened, ours]}, {"SecurityGroupIngress": [ours]}) == [
        ("/SecurityGroupIngress/0", "REMOVE", opened, "null")
    ]


def test_the_order_of_a_list_matters_where_the_schema_says_so() -> None:
    policies = {"ManagedPolicyArns": ["a", "b"]}
    assert compare("AWS::IAM::Role", policies, {"ManagedPolicyArns": ["b", "a"]}) == []
    values = {"Aliases": ["a", "b"]}
    assert compare("AWS::Foo::Bar", values, {"Aliases": ["b", "a"]}) == [
        ("/Aliases/0", "NOT_EQUAL", "a", "b"),
        ("/Aliases/1", "NOT_EQUAL", "b", "a"),
    ]


def test_scalars_are_compared_as_the_schemas_types() -> None:
    expected = {"DelaySeconds": 5, "FifoQueue": True}
    assert compare("AWS::SQS::Queue", expected, {"DelaySeconds": "5", "FifoQueue": "true"}) == []


def test_what_can_not_be_read_back_is_not_compared() -> None:
    assert compare("AWS::RDS::DBCluster", {"MasterUserPassword": "x", "Port": 1}, {"Port": 1}) == []


def test_an_object_of_which_nothing_can_be_read_back_is_not_compared() -> None:
    code = {"S3Bucket": "bundles", "S3Key": "image_variants.zip"}
    assert compare("AWS::Lambda::Function", {"Code": code, "Timeout": 3}, {"Timeout": 3}) == []


def test_a_policy_document_is_compared_as_a_whole() -> None:
    document = {"Statement": [{"Effect": "Deny"}]}
    other = {"Statement": [{"Effect": "Allow"}]}
    assert compare(
        "AWS::IAM::Role", {"AssumeRolePolicyDocument": document}, {"AssumeRolePolicyDocument": other}
    ) == [("/AssumeRolePolicyDocument", "NOT_EQUAL", document, other)]


def test_tags_that_come_from_the_stack_or_from_aws_are_no_drift() -> None:
    actual = [
        {"Key": "aws:cloudformation:stack-name", "Value": "s"},
        {"Key": "owner", "Value": "me"},
        {"Key": "own", "Value": "1"},
    ]
    given = {"Tags": [{"Key": "own", "Value": "1"}]}
    assert compare("AWS::SQS::Queue", given, {"Tags": actual}, stack_tags={"owner": "me"}) == []
    added = [*actual, {"Key": "by-hand", "Value": "x"}]
    assert compare("AWS::SQS::Queue", given, {"Tags": added}, stack_tags={"owner": "me"}) == [
        ("/Tags/1", "ADD", "null", {"Key": "by-hand", "Value": "x"})
    ]


def test_an_open_list_need_only_have_what_the_template_has() -> None:
    kind = "AWS::ElasticLoadBalancingV2::LoadBalancer"
    expected = {"LoadBalancerAttributes": [{"Key": "b", "Value": "1"}]}
    actual = {"LoadBalancerAttributes": [{"Key": "a", "Value": "0"}, {"Key": "b", "Value": "2"}]}
    found = compare(kind, expected, actual, open_lists=frozenset({"LoadBalancerAttributes"}))
    assert [each[0] for each in found] != []
    actual["LoadBalancerAttributes"][1]["Value"] = "1"
    assert compare(kind, expected, actual, open_lists=frozenset({"LoadBalancerAttributes"})) == []
