# SPDX-License-Identifier: Apache-2.0
"""Stacks are made, changed and removed as AWS documents it.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacks.html
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from sandbox.api.errors import AwsError

from .stack_world import CHAIN, QUEUE, StackWorld, queue, stack_world


@pytest.fixture(name="cfn")
def fixture_cfn() -> Iterator[StackWorld]:
    """Return a CloudFormation of the test's own."""
    with stack_world() as world:
        yield world


def test_a_stack_is_made_in_the_order_of_its_references(cfn: StackWorld) -> None:
    assert cfn.create(CHAIN, template_outputs={"Name": {"Value": {"Ref": "A"}}}) == "CREATE_COMPLETE"
    made = [name for verb, name in cfn.cloud.verbs if verb == "create"]
    assert made.index("A") < made.index("B") < made.index("C") < made.index("D") < made.index("F")
    assert made.index("A") < made.index("E") < made.index("F")
    assert cfn.outputs() == {"Name": cfn.physical_id("A")}
    assert cfn.events()[:2] == [
        ("s", "CREATE_IN_PROGRESS", "User Initiated"),
        ("A", "CREATE_IN_PROGRESS", None),
    ]
    assert cfn.events()[-1] == ("s", "CREATE_COMPLETE", None)
    assert {name for name, status, _ in cfn.events() if status == "CREATE_COMPLETE"} == {*CHAIN, "s"}


def test_independent_resources_are_made_side_by_side(cfn: StackWorld) -> None:
    cfn.cloud.held = {"A": threading.Event(), "B": threading.Event()}
    cfn("CreateStack", StackName="s", TemplateBody=json.dumps({"Resources": {"A": queue(), "B": queue()}}))
    cfn.until(lambda: len(cfn.cloud.verbs), lambda begun: begun == 2)
    assert cfn.status("s") == "CREATE_IN_PROGRESS"
    seen = {name for name, status, _ in cfn.events() if status == "CREATE_IN_PROGRESS"}
    assert seen == {"s", "A", "B"}, "events are seen while an operation runs"
    for held in cfn.cloud.held.values():
        held.set()
    assert cfn.settled("s") == "CREATE_COMPLETE"


def test_a_replaced_resource_is_removed_only_after_everything_else_worked(cfn: StackWorld) -> None:
    cfn.create({"A": queue(QueueName="one"), "B": queue(Tags=[{"Key": "of", "Value": {"Ref": "A"}}])})
    cfn.cloud.verbs.clear()
    status = cfn.update(
        {"A": queue(QueueName="two"), "B": queue(Tags=[{"Key": "of", "Value": {"Ref": "A"}}])}
    )
    assert status == "UPDATE_COMPLETE"
    assert cfn.cloud.verbs == [("create", "A"), ("update", "B"), ("delete", "A")]
    assert cfn.physical_id("A") == "two"
    assert cfn.cloud.things[cfn.physical_id("B")]["Tags"] == [{"Key": "of", "Value": "two"}]
    statuses = [(name, status) for name, status, _ in cfn.events()]
    cleanup = statuses.index(("s", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"))
    assert statuses.index(("B", "UPDATE_COMPLETE")) < cleanup < statuses.index(("A", "DELETE_IN_PROGRESS"))
    assert statuses[-1] == ("s", "UPDATE_COMPLETE")


def test_a_custom_named_resource_can_not_be_replaced_under_its_name(cfn: StackWorld) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html"""
    cfn.create({"A": queue(QueueName="one")})
    assert cfn.update({"A": queue(QueueName="one", FifoQueue=True)}) == "UPDATE_ROLLBACK_COMPLETE"
    assert ("A", "UPDATE_FAILED", "one already exists") in cfn.events()
    assert cfn.cloud.things == {"one": {"QueueName": "one"}}


def test_removed_resources_go_last_as_their_policies_say(cfn: StackWorld) -> None:
    cluster = {"Type": "AWS::RDS::DBCluster", "Properties": {"Engine": "aurora-mysql"}}
    cfn.create(
        {
            "Stays": queue(),
            "Goes": queue(QueueName="goes"),
            "Kept": queue(QueueName="kept") | {"DeletionPolicy": "Retain"},
            "Saved": cluster | {"DeletionPolicy": "Snapshot"},
        }
    )
    saved = cfn.physical_id("Saved")
    assert cfn.update({"Stays": queue(), "New": queue()}) == "UPDATE_COMPLETE"
    assert sorted(cfn.cloud.things) == sorted(["kept", cfn.physical_id("Stays"), cfn.physical_id("New")])
    assert cfn.cloud.snapshots == [saved]
    assert ("Kept", "DELETE_SKIPPED", None) in cfn.events()
    assert cfn.delete() == "DELETE_COMPLETE"
    assert list(cfn.cloud.things) == ["kept"]


def test_a_stack_is_deleted_in_the_reverse_order(cfn: StackWorld) -> None:
    cfn.create(CHAIN)
    cfn.cloud.verbs.clear()
    assert cfn.delete() == "DELETE_COMPLETE"
    removed = [name for _, name in cfn.cloud.verbs]
    assert (
        removed.index("F") < removed.index("D") < removed.index("C") < removed.index("B") < removed.index("A")
    )
    with pytest.raises(AwsError, match="Stack with id s does not exist"):
        cfn.status("s")
    listed = cfn("ListStacks", StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]
    assert [each["StackName"] for each in listed] == ["s"]
    cfn("DeleteStack", StackName="s")
    assert cfn.create(CHAIN) == "CREATE_COMPLETE", "the name is free again"


def test_a_stack_that_is_busy_refuses_other_operations(cfn: StackWorld) -> None:
    cfn.create({"A": queue()})
    cfn.cloud.held["A"] = threading.Event()
    body = json.dumps({"Resources": {"A": queue(DelaySeconds=1)}})
    cfn("UpdateStack", StackName="s", TemplateBody=body)
    with pytest.raises(AwsError, match=r"Stack:arn:.* is in UPDATE_IN_PROGRESS state and can not be upd"):
        cfn("UpdateStack", StackName="s", TemplateBody=body)
    with pytest.raises(AwsError, match="cannot be deleted while in status UPDATE_IN_PROGRESS"):
        cfn("DeleteStack", StackName="s")
    with pytest.raises(AwsError, match=r"Stack \[s\] already exists"):
        cfn("CreateStack", StackName="s", TemplateBody=body)
    cfn.cloud.held["A"].set()
    assert cfn.settled("s") == "UPDATE_COMPLETE"


def test_a_stack_can_be_deleted_while_it_is_created(cfn: StackWorld) -> None:
    cfn.cloud.held["B"] = threading.Event()
    body = json.dumps({"Resources": {"A": queue(), "B": queue() | {"DependsOn": "A"}}})
    stack_id = cfn("CreateStack", StackName="s", TemplateBody=body)["StackId"]
    cfn.until(lambda: cfn.cloud.verbs, lambda verbs: ("create", "B") in verbs)
    cfn("DeleteStack", StackName="s")
    assert cfn.settled(stack_id) == "DELETE_COMPLETE"
    assert cfn.cloud.things == {}


def test_an_update_without_changes_is_refused_in_known_words(cfn: StackWorld) -> None:
    cfn.create({"A": queue(DelaySeconds=5)})
    with pytest.raises(AwsError, match=r"No updates are to be performed\.$"):
        cfn.update({"A": queue(DelaySeconds="5")})


def test_the_tags_of_a_stack_are_on_its_resources_and_a_change_of_them_is_an_update(cfn: StackWorld) -> None:
    cfn.create({"A": queue()}, Tags=[{"Key": "owner", "Value": "me"}])
    name = cfn.physical_id("A")
    stack_id = cfn("DescribeStacks", StackName="s")["Stacks"][0]["StackId"]
    own = {
        "aws:cloudformation:stack-name": "s",
        "aws:cloudformation:stack-id": stack_id,
        "aws:cloudformation:logical-id": "A",
    }
    assert cfn.cloud.tags[name] == {"owner": "me", **own}
    assert cfn.update({"A": queue()}, Tags=[{"Key": "owner", "Value": "you"}]) == "UPDATE_COMPLETE"
    assert cfn.cloud.tags[name] == {"owner": "you", **own}
    assert cfn.cloud.former_tags[name] == {"owner": "me"}


def test_a_template_alone_keeps_the_tags_and_previous_values_can_be_used(cfn: StackWorld) -> None:
    declared = {"Delay": {"Type": "Number"}}
    cfn.create(
        {"A": queue(DelaySeconds={"Ref": "Delay"})},
        template_parameters=declared,
        Parameters=[{"ParameterKey": "Delay", "ParameterValue": "3"}],
        Tags=[{"Key": "owner", "Value": "me"}],
    )
    cfn(
        "UpdateStack",
        StackName="s",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Delay", "ParameterValue": "4"}],
    )
    cfn.settled("s")
    stack = cfn("DescribeStacks", StackName="s")["Stacks"][0]
    assert stack["Parameters"] == [{"ParameterKey": "Delay", "ParameterValue": "4"}]
    assert stack["Tags"] == [{"Key": "owner", "Value": "me"}]
    assert cfn.cloud.things[cfn.physical_id("A")] == {"DelaySeconds": 4}


def test_termination_protection_keeps_a_stack(cfn: StackWorld) -> None:
    cfn.create({"A": queue()}, EnableTerminationProtection=True)
    with pytest.raises(AwsError, match=r"cannot be deleted while TerminationProtection is enabled"):
        cfn("DeleteStack", StackName="s")
    cfn("UpdateTerminationProtection", StackName="s", EnableTerminationProtection=False)
    assert cfn.delete() == "DELETE_COMPLETE"


def test_a_stack_policy_denies_what_it_does_not_allow(cfn: StackWorld) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html"""
    policy = {
        "Statement": [
            {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
            {
                "Effect": "Deny",
                "Action": ["Update:Replace", "Update:Delete"],
                "Principal": "*",
                "Resource": "LogicalResourceId/A",
            },
        ]
    }
    cfn.create({"A": queue(QueueName="one"), "B": queue()})
    cfn("SetStackPolicy", StackName="s", StackPolicyBody=json.dumps(policy))
    assert json.loads(cfn("GetStackPolicy", StackName="s")["StackPolicyBody"]) == policy
    assert cfn.update({"A": queue(QueueName="one", DelaySeconds=1), "B": queue()}) == "UPDATE_COMPLETE"
    assert cfn.update({"A": queue(QueueName="two"), "B": queue()}) == "UPDATE_ROLLBACK_COMPLETE"
    assert "denied by stack policy: Update:Replace" in str(cfn.reasons("UPDATE_FAILED"))
    assert cfn.update({"B": queue()}) == "UPDATE_ROLLBACK_COMPLETE"
    assert cfn.cloud.things["one"] == {"QueueName": "one", "DelaySeconds": 1}


def test_the_same_token_is_the_same_request(cfn: StackWorld) -> None:
    body = json.dumps({"Resources": {"A": queue()}})
    first = cfn("CreateStack", StackName="s", TemplateBody=body, ClientRequestToken="t")
    assert cfn("CreateStack", StackName="s", TemplateBody=body, ClientRequestToken="t") == first
    cfn.settled("s")
    events = cfn("DescribeStackEvents", StackName="s")["StackEvents"]
    assert {each["ClientRequestToken"] for each in events[1:]} == {"t"}
    changed = json.dumps({"Resources": {"A": queue(DelaySeconds=1)}})
    for _ in range(2):
        cfn("UpdateStack", StackName="s", TemplateBody=changed, ClientRequestToken="u")
        cfn.settled("s")
    assert cfn.cloud.verbs == [("create", "A"), ("update", "A")]


def test_events_come_in_pages_the_newest_first(cfn: StackWorld) -> None:
    cfn.create({f"Queue{number}": queue() for number in range(80)})
    page = cfn("DescribeStackEvents", StackName="s")
    assert (len(page["StackEvents"]), page["StackEvents"][0]["LogicalResourceId"]) == (100, "s")
    assert len(cfn.events()) == 162
    assert len({each["EventId"] for each in page["StackEvents"]}) == 100


def test_types_and_properties_that_can_not_be_made_are_named_before_anything_is(cfn: StackWorld) -> None:
    for resource, wanted in (
        ({"Type": "AWS::Foo::Bar"}, r"Unrecognized resource types: \[AWS::Foo::Bar\]"),
        ({"Type": "AWS::EKS::Cluster"}, "AWS::EKS::Cluster is not supported by the local AWS region"),
        (queue(Nonsense=1), r"resource A with message: #: extraneous key \[Nonsense\] is not permitted"),
        (queue(Arn="x"), r"extraneous key \[Arn\] is not permitted: it is read-only"),
        (queue(Tags=[{"Key": "a"}]), r"#/Tags/\*: required key \[Value\] not found"),
        (
            queue() | {"UpdatePolicy": {"AutoScalingRollingUpdate": {}}},
            "#/UpdatePolicy/AutoScalingRollingUpdate is",
        ),
    ):
        with pytest.raises(AwsError, match=wanted):
            cfn.create({"A": resource, "B": {"Type": QUEUE}})
    assert (cfn.stacks.by_id, cfn.cloud.verbs) == ({}, [])


def test_iam_needs_its_capability(cfn: StackWorld) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html"""
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}
    named = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}, "RoleName": "me"}}
    for resource, given, needed in (
        (role, [], "CAPABILITY_IAM"),
        (named, [], "CAPABILITY_NAMED_IAM"),
        (named, ["CAPABILITY_IAM"], "CAPABILITY_NAMED_IAM"),
    ):
        with pytest.raises(AwsError, match=rf"Requires capabilities : \[{needed}\]") as refused:
            cfn.create({"A": resource}, Capabilities=given)
        assert refused.value.code == "InsufficientCapabilitiesException"
    assert cfn.create({"A": role}, Capabilities=["CAPABILITY_IAM"]) == "CREATE_COMPLETE"
    assert cfn.create({"A": named}, name="n", Capabilities=["CAPABILITY_NAMED_IAM"]) == "CREATE_COMPLETE"


def test_names_of_resources_are_made_of_the_stacks(cfn: StackWorld) -> None:
    cfn.create({"A": queue(), "B" * 100: queue()}, name="slipway-production-security")
    name = cfn.physical_id("A", "slipway-production-security")
    assert name.startswith("slipway-production-security-A-")
    assert max(map(len, cfn.cloud.things)) == 63
