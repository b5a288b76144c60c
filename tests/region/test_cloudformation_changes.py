# SPDX-License-Identifier: Apache-2.0
"""Change sets tell beforehand what AWS documents that they tell.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sandbox.api.errors import AwsError
from sandbox.cloudformation.intrinsics import KNOWN_AFTER_APPLY

from .stack_world import StackWorld, queue, stack_world

NO_CHANGES = (
    "The submitted information didn't contain changes. Submit different information to create a change set."
)


@pytest.fixture(name="cfn")
def fixture_cfn() -> Iterator[StackWorld]:
    """Return a CloudFormation of the test's own."""
    with stack_world() as world:
        yield world


def tagged(value: Any) -> dict[str, Any]:
    """Return a queue that refers to something where a change needs no other queue."""
    return queue(Tags=[{"Key": "of", "Value": value}])


def named_after(value: Any) -> dict[str, Any]:
    """Return a group that refers to something where a change needs another group."""
    return {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": value}}


def seen(change: Mapping[str, Any]) -> list[tuple[str, str, str, str | None]]:
    """Return of each detail what changes, how sure that is, and why."""
    return [
        (
            each["Target"].get("Name", each["Target"]["Attribute"]),
            each["Evaluation"],
            each["ChangeSource"],
            each.get("CausingEntity"),
        )
        for each in change["Details"]
    ]


def test_a_change_set_makes_a_stack(cfn: StackWorld) -> None:
    made = cfn.change_set({"A": queue(DelaySeconds="5")}, ChangeSetType="CREATE", Description="the first")
    assert cfn.status("s") == "REVIEW_IN_PROGRESS"
    assert (made["ExecutionStatus"], made["Description"]) == ("AVAILABLE", "the first")
    assert made["Changes"] == [
        {
            "Type": "Resource",
            "ResourceChange": {
                "Action": "Add",
                "LogicalResourceId": "A",
                "ResourceType": "AWS::SQS::Queue",
                "Scope": [],
                "Details": [],
                "AfterContext": '{"Properties":{"DelaySeconds":5}}',
            },
        }
    ]
    assert cfn.cloud.verbs == []
    cfn("ExecuteChangeSet", StackName="s", ChangeSetName="changes")
    assert cfn.settled("s") == "CREATE_COMPLETE"
    assert cfn.events()[0] == ("s", "REVIEW_IN_PROGRESS", "User Initiated")
    stack = cfn("DescribeStacks", StackName="s")["Stacks"][0]
    assert stack["ChangeSetId"] == made["ChangeSetId"]


def test_what_changes_in_place_and_what_is_replaced(cfn: StackWorld) -> None:
    cfn.create({"InPlace": queue(), "Replaced": queue(), "Same": queue(), "Gone": queue()})
    changes = cfn.changes(
        {
            "InPlace": queue(DelaySeconds=1),
            "Replaced": queue(FifoQueue=True) | {"UpdateReplacePolicy": "Retain"},
            "Same": queue(),
            "New": queue(),
        }
    )
    assert {
        name: (each["Action"], each.get("Replacement"), each.get("PolicyAction"))
        for name, each in changes.items()
    } == {
        "InPlace": ("Modify", "False", None),
        "Replaced": ("Modify", "True", "ReplaceAndRetain"),
        "New": ("Add", None, None),
        "Gone": ("Remove", None, "Delete"),
    }
    assert changes["InPlace"]["Details"] == [
        {
            "Target": {
                "Attribute": "Properties",
                "Name": "DelaySeconds",
                "RequiresRecreation": "Never",
                "Path": "/Properties/DelaySeconds",
                "AttributeChangeType": "Add",
                "AfterValue": "1",
            },
            "Evaluation": "Static",
            "ChangeSource": "DirectModification",
        }
    ]
    assert changes["Gone"]["PhysicalResourceId"] == cfn.physical_id("Gone")


def test_a_conditional_replacement_is_told_as_such(cfn: StackWorld) -> None:
    def cluster(engine: str) -> dict[str, Any]:
        return {"Type": "AWS::RDS::DBCluster", "Properties": {"Engine": engine, "EngineVersion": "8.0"}}

    cfn.create({"A": cluster("aurora-mysql")})
    assert cfn.changes({"A": cluster("mysql")})["A"]["Replacement"] == "Conditional"


def test_values_are_shown_only_when_they_are_asked_for(cfn: StackWorld) -> None:
    cfn.create({"A": queue(Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "1"}])})
    cfn.change_set({"A": queue(Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "2"}])})
    plain = cfn("DescribeChangeSet", StackName="s", ChangeSetName="changes")["Changes"][0]["ResourceChange"]
    target = {"Attribute": "Properties", "Name": "Tags", "RequiresRecreation": "Never"}
    assert plain["Details"] == [
        {"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"}
    ]
    assert not {"BeforeContext", "AfterContext"} & plain.keys()


@pytest.mark.parametrize(
    ("reference", "source", "entity"),
    [
        ({"Ref": "A"}, "ResourceReference", "A"),
        ({"Fn::GetAtt": ["A", "Arn"]}, "ResourceAttribute", "A.Arn"),
        ({"Fn::Sub": "${A}-more"}, "ResourceReference", "A"),
    ],
)
def test_a_replacement_changes_what_refers_to_it(
    cfn: StackWorld, reference: Any, source: str, entity: str
) -> None:
    cfn.create({"A": queue(QueueName="one"), "B": named_after(reference), "C": tagged(reference)})
    changes = cfn.changes({"A": queue(QueueName="two"), "B": named_after(reference), "C": tagged(reference)})
    for logical_id, name, replacement in (("B", "GroupDescription", "True"), ("C", "Tags", "False")):
        assert (changes[logical_id]["Replacement"], seen(changes[logical_id])) == (
            replacement,
            [(name, "Dynamic", "DirectModification", None), (name, "Static", source, entity)],
        )
    target = changes["C"]["Details"][1]["Target"]
    assert KNOWN_AFTER_APPLY in target["AfterValue"]


def test_a_reference_to_a_new_resource_is_one_of_the_causes(cfn: StackWorld) -> None:
    cfn.create({"B": tagged("by hand")})
    changes = cfn.changes({"A": queue(), "B": tagged({"Fn::GetAtt": ["A", "Arn"]})})
    assert seen(changes["B"]) == [
        ("Tags", "Dynamic", "DirectModification", None),
        ("Tags", "Static", "ResourceAttribute", "A.Arn"),
    ]


def test_a_change_in_place_may_change_attributes_and_never_what_ref_gives(cfn: StackWorld) -> None:
    dependants = {
        "ByRef": named_after({"Fn::Sub": "${A}-ref"}),
        "ByAttribute": named_after({"Fn::Sub": "${A.Arn}-arn"}),
        "ByIdentity": named_after({"Fn::Sub": "${A.QueueUrl}-url"}),
        "ByProperty": named_after({"Fn::Sub": "${A.QueueName}-name"}),
        "Further": tagged({"Ref": "ByAttribute"}),
    }
    cfn.create({"A": queue(QueueName="one", DelaySeconds=1), **dependants})
    changes = cfn.changes({"A": queue(QueueName="one", DelaySeconds=2), **dependants})
    assert {name: (each["Replacement"], seen(each)) for name, each in changes.items()} == {
        "A": ("False", [("DelaySeconds", "Static", "DirectModification", None)]),
        "ByAttribute": ("Conditional", [("GroupDescription", "Dynamic", "ResourceAttribute", "A.Arn")]),
        "Further": ("False", [("Tags", "Dynamic", "ResourceReference", "ByAttribute")]),
    }


def test_an_attribute_that_is_a_property_is_known_beforehand(cfn: StackWorld) -> None:
    reader = named_after({"Fn::Sub": "${A.DelaySeconds} s"})
    cfn.create({"A": queue(DelaySeconds=1), "B": reader})
    changes = cfn.changes({"A": queue(DelaySeconds=2), "B": reader})
    assert (changes["B"]["Replacement"], seen(changes["B"])) == (
        "True",
        [
            ("GroupDescription", "Dynamic", "DirectModification", None),
            ("GroupDescription", "Static", "ResourceAttribute", "A.DelaySeconds"),
        ],
    )
    assert changes["B"]["Details"][0]["Target"]["AfterValue"] == "2 s"


def test_a_changed_parameter_is_the_cause_of_changes(cfn: StackWorld) -> None:
    resources = {"A": queue(DelaySeconds={"Ref": "Delay"}), "B": queue()}
    parameters = {"Delay": {"Type": "Number", "Default": 1}}
    cfn.create(resources, template_parameters=parameters)
    changes = cfn.changes(
        resources,
        template_parameters=parameters,
        Parameters=[{"ParameterKey": "Delay", "ParameterValue": "2"}],
    )
    assert list(changes) == ["A"]
    assert seen(changes["A"]) == [
        ("DelaySeconds", "Dynamic", "DirectModification", None),
        ("DelaySeconds", "Static", "ParameterReference", "Delay"),
    ]


def test_changed_tags_of_the_stack_change_everything_that_carries_tags(cfn: StackWorld) -> None:
    resources = {"A": queue(), "B": queue()}
    cfn.create(resources, Tags=[{"Key": "owner", "Value": "me"}])
    changes = cfn.changes(resources, Tags=[{"Key": "owner", "Value": "you"}])
    assert {name: (each["Scope"], each["Replacement"]) for name, each in changes.items()} == {
        "A": (["Tags"], "False"),
        "B": (["Tags"], "False"),
    }


def test_a_changed_policy_or_metadata_is_a_change_and_an_order_is_none(cfn: StackWorld) -> None:
    cfn.create({"A": queue(), "B": queue()})
    changes = cfn.changes({"A": queue() | {"DeletionPolicy": "Retain", "Metadata": {"a": 1}}, "B": queue()})
    assert changes["A"]["Scope"] == ["Metadata", "DeletionPolicy"]
    reordered = cfn.change_set({"A": queue(), "B": queue() | {"DependsOn": "A"}})
    assert (reordered["Status"], reordered["StatusReason"]) == ("FAILED", NO_CHANGES)


def test_a_change_set_without_changes_fails_in_known_words(cfn: StackWorld) -> None:
    cfn.create({"A": queue(DelaySeconds=5, FifoQueue=True)})
    same = cfn.change_set({"A": queue(FifoQueue="true", DelaySeconds="5")})
    assert (same["Status"], same["ExecutionStatus"], same["StatusReason"]) == (
        "FAILED",
        "UNAVAILABLE",
        NO_CHANGES,
    )
    with pytest.raises(AwsError, match="cannot be executed in its current status of .FAILED."):
        cfn("ExecuteChangeSet", StackName="s", ChangeSetName="changes")


def test_changed_outputs_alone_are_a_change(cfn: StackWorld) -> None:
    cfn.create({"A": queue()})
    found = cfn.change_set({"A": queue()}, template_outputs={"Name": {"Value": {"Ref": "A"}}})
    assert (found["Status"], found["Changes"]) == ("CREATE_COMPLETE", [])
    cfn("ExecuteChangeSet", StackName="s", ChangeSetName="changes")
    assert cfn.settled("s") == "UPDATE_COMPLETE"
    assert cfn.outputs() == {"Name": cfn.physical_id("A")}


def test_a_weak_reference_that_reads_something_else_is_a_change(cfn: StackWorld) -> None:
    weak = {
        "Fn::Select": [
            1,
            {"Fn::Split": [",", {"Fn::GetStackOutput": {"StackName": "s", "OutputName": "All"}}]},
        ]
    }
    cfn.create({"A": queue()}, template_outputs={"All": {"Value": "a,b"}})
    cfn.create({"B": tagged(weak)}, name="reader")
    same = cfn.change_set({"B": tagged(weak)}, name="reader")
    assert same["StatusReason"] == NO_CHANGES
    cfn("DeleteChangeSet", StackName="reader", ChangeSetName="changes")
    cfn.update({"A": queue()}, template_outputs={"All": {"Value": "a,c"}})
    (change,) = cfn.change_set({"B": tagged(weak)}, name="reader")["Changes"]
    target = change["ResourceChange"]["Details"][0]["Target"]
    assert (target["BeforeValue"], target["AfterValue"]) == ("b", "c")


def test_a_weak_reference_to_nothing_fails_the_change_set_and_names_it(cfn: StackWorld) -> None:
    cfn.create({"A": queue()})
    weak = {"Fn::GetStackOutput": {"StackName": "absent", "OutputName": "Name"}}
    failed = cfn.change_set({"A": tagged(weak)})
    assert failed["StatusReason"] == "Fn::GetStackOutput: Stack with id absent does not exist"


def test_a_dynamic_reference_is_no_change_when_only_the_parameter_has_another_value(cfn: StackWorld) -> None:
    cfn.cloud.parameters["/api/ami"] = "ami-1"
    cfn.create({"A": tagged("{{resolve:ssm:/api/ami}}")})
    cfn.cloud.parameters["/api/ami"] = "ami-2"
    assert cfn.change_set({"A": tagged("{{resolve:ssm:/api/ami}}")})["StatusReason"] == NO_CHANGES


def test_properties_that_can_not_be_applied_fail_the_change_set_by_name(cfn: StackWorld) -> None:
    failed = cfn.change_set({"A": queue(Nonsense=1)}, ChangeSetType="CREATE")
    assert failed["Status"] == "FAILED"
    assert failed["StatusReason"].startswith("Properties validation failed for resource A with message: ")
    assert "extraneous key [Nonsense] is not permitted" in failed["StatusReason"]
    cfn("DeleteStack", StackName="s")
    assert cfn.settled(failed["StackId"]) == "DELETE_COMPLETE"


def test_a_resource_can_not_change_its_type(cfn: StackWorld) -> None:
    cfn.create({"A": queue()})
    failed = cfn.change_set({"A": {"Type": "AWS::SNS::Topic"}})
    assert failed["StatusReason"] == (
        "Update of resource type is not permitted. "
        "The new template modifies resource type of the following resources: [A]"
    )


def test_names_of_change_sets_belong_to_their_stack(cfn: StackWorld) -> None:
    cfn.create({"A": queue()}, name="one")
    cfn.create({"A": queue()}, name="two")
    cfn.change_set({"A": queue(DelaySeconds=1)}, name="one")
    with pytest.raises(AwsError, match="ChangeSet changes already exists"):
        cfn.change_set({"A": queue(DelaySeconds=2)}, name="one")
    cfn.change_set({"A": queue(DelaySeconds=2)}, name="two")
    after = [
        cfn("DescribeChangeSet", StackName=name, ChangeSetName="changes", IncludePropertyValues=True)[
            "Changes"
        ][0]["ResourceChange"]["AfterContext"]
        for name in ("one", "two")
    ]
    assert after == ['{"Properties":{"DelaySeconds":1}}', '{"Properties":{"DelaySeconds":2}}']


def test_executing_a_change_set_deletes_the_stacks_others(cfn: StackWorld) -> None:
    cfn.create({"A": queue()})
    cfn.change_set({"A": queue(DelaySeconds=1)})
    cfn(
        "CreateChangeSet",
        StackName="s",
        ChangeSetName="other",
        TemplateBody=json.dumps({"Resources": {"A": queue(DelaySeconds=2)}}),
    )
    cfn("ExecuteChangeSet", StackName="s", ChangeSetName="changes")
    assert cfn.settled("s") == "UPDATE_COMPLETE"
    with pytest.raises(AwsError) as gone:
        cfn("DescribeChangeSet", StackName="s", ChangeSetName="other")
    assert gone.value.code == "ChangeSetNotFound"
    assert cfn.cloud.things[cfn.physical_id("A")] == {"DelaySeconds": 1}
    assert cfn.change_set({"A": queue(DelaySeconds=3)})["Status"] == "CREATE_COMPLETE"


def test_an_update_makes_the_stacks_change_sets_obsolete(cfn: StackWorld) -> None:
    cfn.create({"A": queue()})
    cfn.change_set({"A": queue(DelaySeconds=1)})
    cfn.update({"A": queue(DelaySeconds=2)})
    (shown,) = cfn("ListChangeSets", StackName="s")["Summaries"]
    assert shown["ExecutionStatus"] == "OBSOLETE"
    with pytest.raises(AwsError, match="cannot be executed"):
        cfn("ExecuteChangeSet", StackName="s", ChangeSetName="changes")


def test_a_failed_create_through_a_change_set_does_what_was_wanted(cfn: StackWorld) -> None:
    cfn.cloud.faults[("create", "A")] = "broken"
    made = cfn.change_set({"A": queue()}, ChangeSetType="CREATE", OnStackFailure="DELETE")
    cfn("ExecuteChangeSet", StackName="s", ChangeSetName="changes")
    assert cfn.settled(made["StackId"]) == "DELETE_COMPLETE"
