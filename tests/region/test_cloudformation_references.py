# SPDX-License-Identifier: Apache-2.0
"""Values come from other resources, other stacks, the parameter store and secrets as AWS documents it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.api.errors import AwsError

from .stack_world import StackWorld, queue, stack_world


@pytest.fixture(name="cfn")
def fixture_cfn() -> Iterator[StackWorld]:
    """Return a CloudFormation of the test's own."""
    with stack_world() as world:
        yield world


def test_dependants_are_evaluated_again_and_changed_only_if_they_differ(cfn: StackWorld) -> None:
    def stack(delay: int) -> dict[str, Any]:
        return {
            "A": queue(DelaySeconds=delay),
            "ByDelay": queue(Tags=[{"Key": "of", "Value": {"Fn::GetAtt": "A.DelaySeconds"}}]),
            "ByName": queue(Tags=[{"Key": "of", "Value": {"Ref": "A"}}]),
        }

    cfn.create(stack(1))
    cfn.cloud.verbs.clear()
    assert cfn.update(stack(2)) == "UPDATE_COMPLETE"
    assert cfn.cloud.verbs == [("update", "A"), ("update", "ByDelay")]


def test_an_export_in_use_can_not_be_removed_changed_or_made_twice(cfn: StackWorld) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html"""
    exported = {"Name": {"Value": {"Ref": "A"}, "Export": {"Name": "the-queue"}}}
    cfn.create({"A": queue(QueueName="one")}, template_outputs=exported)
    user = {"B": queue(Tags=[{"Key": "of", "Value": {"Fn::ImportValue": "the-queue"}}])}
    assert cfn.create(user, name="user") == "CREATE_COMPLETE"
    assert cfn("ListImports", ExportName="the-queue")["Imports"] == ["user"]
    assert [each["Value"] for each in cfn("ListExports")["Exports"]] == ["one"]
    with pytest.raises(AwsError, match="Cannot delete export the-queue as it is in use by user"):
        cfn("DeleteStack", StackName="s")
    assert cfn.update({"A": queue(QueueName="two")}, template_outputs=exported) == "UPDATE_ROLLBACK_COMPLETE"
    assert cfn.reasons("UPDATE_ROLLBACK_IN_PROGRESS") == [
        "Cannot update export the-queue as it is in use by user"
    ]
    assert cfn.create({"A": queue()}, name="other", template_outputs=exported) == "ROLLBACK_COMPLETE"
    cfn.delete("user")
    assert cfn.delete() == "DELETE_COMPLETE"


def test_a_weak_reference_reads_another_stack_and_holds_nothing_fast(cfn: StackWorld) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getstackoutput.html"""
    cfn.create({"A": queue(QueueName="one")}, template_outputs={"Name": {"Value": {"Ref": "A"}}})
    weak = {"Fn::GetStackOutput": {"StackName": "s", "OutputName": "Name"}}
    reader = {"B": queue(Tags=[{"Key": "of", "Value": weak}])}
    assert cfn.create(reader, name="reader") == "CREATE_COMPLETE"
    assert cfn.cloud.things[cfn.physical_id("B", "reader")]["Tags"] == [{"Key": "of", "Value": "one"}]
    cfn.update({"A": queue(QueueName="two")}, template_outputs={"Name": {"Value": {"Ref": "A"}}})
    assert cfn.cloud.things[cfn.physical_id("B", "reader")]["Tags"] == [{"Key": "of", "Value": "one"}]
    assert cfn.update(reader, name="reader") == "UPDATE_COMPLETE"
    assert cfn.cloud.things[cfn.physical_id("B", "reader")]["Tags"] == [{"Key": "of", "Value": "two"}]
    assert cfn.delete() == "DELETE_COMPLETE"


def test_a_weak_reference_to_a_missing_stack_or_output_is_an_error_that_names_it(cfn: StackWorld) -> None:
    cfn.create({"A": queue()}, name="there")
    for stack, wanted in (
        ("absent", "Stack with id absent does not exist"),
        ("there", "there has no output Name"),
    ):
        weak = {"Fn::GetStackOutput": {"StackName": stack, "OutputName": "Name"}}
        assert cfn.create({"A": queue(QueueName=weak)}, name=f"of-{stack}") == "ROLLBACK_COMPLETE"
        assert wanted in str(cfn.reasons("CREATE_FAILED", f"of-{stack}"))


def test_a_dynamic_reference_is_looked_up_when_its_resource_changes_and_never_else(cfn: StackWorld) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html"""
    tags = [{"Key": "ami", "Value": "{{resolve:ssm:/api/ami}}"}]
    cfn.cloud.parameters["/api/ami"] = "ami-1"
    cfn.create({"A": queue(Tags=tags)})
    name = cfn.physical_id("A")
    assert cfn.cloud.things[name] == {"Tags": [{"Key": "ami", "Value": "ami-1"}]}
    cfn.cloud.parameters["/api/ami"] = "ami-2"
    with pytest.raises(AwsError, match="No updates"):
        cfn.update({"A": queue(Tags=tags)})
    assert cfn.drifts() == {"A": ("IN_SYNC", [])}
    cfn.update({"A": queue(Tags=tags, DelaySeconds=1)})
    assert cfn.cloud.things[name]["Tags"] == [{"Key": "ami", "Value": "ami-2"}]
    missing = queue(QueueName="{{resolve:ssm:/no/such}}")
    assert cfn.create({"A": missing}, name="other") == "ROLLBACK_COMPLETE"
    assert "Unable to fetch parameters [/no/such]" in str(cfn.reasons("CREATE_FAILED", "other"))


def test_a_secret_reaches_its_resource_and_no_other_place(cfn: StackWorld) -> None:
    cfn.cloud.secrets["db"] = json.dumps({"password": "hunter2"})
    reference = "{{resolve:secretsmanager:db:SecretString:password}}"
    cluster = {"Engine": "aurora-mysql", "MasterUserPassword": reference}
    cfn.create({"A": {"Type": "AWS::RDS::DBCluster", "Properties": cluster}})
    assert cfn.cloud.things[cfn.physical_id("A")]["MasterUserPassword"] == "hunter2"
    cfn.update({"A": {"Type": "AWS::RDS::DBCluster", "Properties": {**cluster, "Port": "3306"}}})
    cfn.drifts()
    assert cfn.cloud.things[cfn.physical_id("A")]["Port"] == 3306
    assert "hunter2" not in repr(cfn.stacks)


def test_functions_the_region_does_not_have_are_refused_by_name(cfn: StackWorld) -> None:
    for value, wanted in (
        ("{{resolve:ssm-secure:/x:1}}", "{{resolve:ssm-secure:..}} is not supported by the local AWS region"),
        ({"Fn::Transform": {"Name": "X"}}, "with Fn::Transform is not supported by the local AWS region"),
    ):
        with pytest.raises(AwsError, match=wanted):
            cfn.create({"A": queue(QueueName=value)})
    assert cfn.stacks.by_id == {}


def test_a_resource_under_a_condition_that_is_false_is_not_there(cfn: StackWorld) -> None:
    def create(kind: str) -> None:
        cfn.create(
            {"A": queue(), "B": queue() | {"Condition": "IsProduction"}},
            name=kind,
            template_parameters={"Kind": {"Type": "String"}},
            template_conditions={"IsProduction": {"Fn::Equals": [{"Ref": "Kind"}, "production"]}},
            template_outputs={"B": {"Value": {"Ref": "B"}, "Condition": "IsProduction"}},
            Parameters=[{"ParameterKey": "Kind", "ParameterValue": kind}],
        )

    create("production")
    create("test")
    assert list(cfn.outputs("production")) == ["B"]
    assert (cfn.outputs("test"), len(cfn.cloud.things)) == ({}, 3)
