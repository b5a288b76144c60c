# SPDX-License-Identifier: Apache-2.0
"""What fails is undone, kept or mended as AWS documents it.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from sandbox.api.errors import AwsError

from .stack_world import CHAIN, StackWorld, queue, stack_world


@pytest.fixture(name="cfn")
def fixture_cfn() -> Iterator[StackWorld]:
    """Return a CloudFormation of the test's own."""
    with stack_world() as world:
        yield world


@pytest.mark.parametrize("failing", CHAIN)
def test_a_create_that_fails_at_any_resource_rolls_back_to_nothing(cfn: StackWorld, failing: str) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html"""
    cfn.cloud.faults[("create", failing)] = "no capacity"
    assert cfn.create(CHAIN) == "ROLLBACK_COMPLETE"
    assert cfn.cloud.things == {}
    assert (failing, "CREATE_FAILED", "no capacity") in cfn.events()
    assert cfn.reasons("ROLLBACK_IN_PROGRESS") == [
        f"The following resource(s) failed to create: [{failing}]. Rollback requested by user."
    ]
    removed = [name for verb, name in cfn.cloud.verbs if verb == "delete"]
    created = [name for verb, name in cfn.cloud.verbs if verb == "create" and name != failing]
    assert sorted(removed) == sorted(created)
    with pytest.raises(AwsError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        cfn.update(CHAIN)
    assert cfn.delete() == "DELETE_COMPLETE"


def test_what_waits_is_cancelled_when_another_resource_fails(cfn: StackWorld) -> None:
    cfn.cloud.held["A"] = threading.Event()
    cfn.cloud.faults[("create", "B")] = "broken"
    assert cfn.create({"A": queue(), "B": queue()}) == "ROLLBACK_COMPLETE"
    assert ("A", "CREATE_FAILED", "Resource creation cancelled") in cfn.events()


def test_a_failed_create_is_kept_or_deleted_when_the_caller_wants_it_so(cfn: StackWorld) -> None:
    cfn.cloud.faults[("create", "B")] = "broken"
    assert cfn.create(CHAIN, DisableRollback=True) == "CREATE_FAILED"
    assert cfn.physical_id("A") in cfn.cloud.things
    cfn("RollbackStack", StackName="s")
    assert cfn.settled("s") == "ROLLBACK_COMPLETE"
    assert cfn.cloud.things == {}
    assert cfn.create(CHAIN, name="other", OnFailure="DELETE") == "DELETE_COMPLETE"


def test_a_resource_that_is_to_be_retained_stays_when_its_creation_is_rolled_back(cfn: StackWorld) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html"""
    kept = queue(QueueName="kept") | {"DeletionPolicy": "Retain"}
    gone = queue(QueueName="gone") | {"DeletionPolicy": "RetainExceptOnCreate"}
    cfn.cloud.faults[("create", "Last")] = "broken"
    status = cfn.create({"Kept": kept, "Gone": gone, "Last": queue() | {"DependsOn": ["Kept", "Gone"]}})
    assert status == "ROLLBACK_COMPLETE"
    assert list(cfn.cloud.things) == ["kept"]


def test_an_update_that_fails_puts_everything_back(cfn: StackWorld) -> None:
    cfn.create({"A": queue(DelaySeconds=1), "B": queue(DelaySeconds=2), "Old": queue(QueueName="old")})
    before = {name: dict(value) for name, value in cfn.cloud.things.items()}
    cfn.cloud.faults[("create", "Last")] = "no capacity"
    status = cfn.update(
        {
            "A": queue(DelaySeconds=10),
            "B": queue(QueueName="replaced"),
            "New": queue() | {"DependsOn": "A"},
            "Last": queue() | {"DependsOn": ["A", "B", "New"]},
        },
        template_outputs={"Never": {"Value": "seen"}},
    )
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert cfn.cloud.things == before
    assert cfn.outputs() == {}
    assert cfn("GetTemplate", StackName="s")["TemplateBody"].count("Last") == 0
    assert cfn.reasons("UPDATE_ROLLBACK_IN_PROGRESS") == [
        "The following resource(s) failed to create: [Last]. "
    ]
    listed = cfn("ListStackResources", StackName="s")["StackResourceSummaries"]
    assert {each["LogicalResourceId"] for each in listed} == {"A", "B", "Old"}
    assert cfn.drifts() == {name: ("IN_SYNC", []) for name in ("A", "B", "Old")}


def test_a_resource_whose_own_update_fails_is_put_back_too(cfn: StackWorld) -> None:
    cfn.create({"A": queue(DelaySeconds=1)})
    cfn.cloud.faults[("update", "A")] = "throttled"
    cfn("UpdateStack", StackName="s", TemplateBody=json.dumps({"Resources": {"A": queue(DelaySeconds=2)}}))
    assert cfn.settled("s") == "UPDATE_ROLLBACK_FAILED"
    cfn.cloud.faults.clear()
    cfn("ContinueUpdateRollback", StackName="s")
    assert cfn.settled("s") == "UPDATE_ROLLBACK_COMPLETE"
    assert cfn.cloud.things == {cfn.physical_id("A"): {"DelaySeconds": 1}}


def test_a_failed_update_that_is_kept_can_be_undone_later_or_mended(cfn: StackWorld) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html"""
    cfn.create({"A": queue(DelaySeconds=1)})
    before = dict(cfn.cloud.things)
    wanted = {"A": queue(DelaySeconds=2), "B": queue() | {"DependsOn": "A"}}
    cfn.cloud.faults[("create", "B")] = "no capacity"
    assert cfn.update(wanted, DisableRollback=True) == "UPDATE_FAILED"
    assert cfn.cloud.things == {cfn.physical_id("A"): {"DelaySeconds": 2}}
    cfn("RollbackStack", StackName="s")
    assert cfn.settled("s") == "UPDATE_ROLLBACK_COMPLETE"
    assert cfn.cloud.things == before
    assert cfn.update(wanted, DisableRollback=True) == "UPDATE_FAILED"
    cfn.cloud.faults.clear()
    assert cfn.update(wanted) == "UPDATE_COMPLETE"
    assert len(cfn.cloud.things) == 2


def test_a_failed_create_that_is_kept_can_be_mended(cfn: StackWorld) -> None:
    cfn.cloud.faults[("create", "B")] = "no capacity"
    assert cfn.create(CHAIN, DisableRollback=True) == "CREATE_FAILED"
    cfn.cloud.faults.clear()
    assert cfn.update(CHAIN) == "UPDATE_COMPLETE"
    assert len(cfn.cloud.things) == 6


def test_an_error_nobody_expected_ends_in_the_events_too(cfn: StackWorld) -> None:
    assert cfn.create({"A": queue(QueueName={"Fn::Join": ["-", [{"Fn::GetAtt": 5}]]})}) == "ROLLBACK_COMPLETE"
    assert "every Fn::GetAtt object requires two" in str(cfn.reasons("CREATE_FAILED"))
    assert cfn.create({"A": queue(QueueName={"Fn::Select": ["x", ["a"]]})}, name="t") == "ROLLBACK_COMPLETE"
    assert "invalid literal for int()" in str(cfn.reasons("CREATE_FAILED", "t"))


def test_what_is_replaced_is_kept_when_its_policy_says_so(cfn: StackWorld) -> None:
    cfn.create({"A": queue(QueueName="one")})
    cfn.update({"A": queue(QueueName="two") | {"UpdateReplacePolicy": "Retain"}})
    assert sorted(cfn.cloud.things) == ["one", "two"]


def test_a_delete_that_fails_can_be_repeated_or_retain_what_fails(cfn: StackWorld) -> None:
    cfn.create(CHAIN)
    cfn.cloud.faults[("delete", "D")] = "not empty"
    assert cfn.delete() == "DELETE_FAILED"
    assert cfn.reasons("DELETE_FAILED")[-1] == "The following resource(s) failed to delete: [D]. "
    assert cfn.delete(RetainResources=["D"]) == "DELETE_COMPLETE"
    assert len(cfn.cloud.things) == 1


def test_an_update_under_way_can_be_cancelled(cfn: StackWorld) -> None:
    cfn.create({"A": queue()})
    cfn.cloud.held["B"] = threading.Event()
    body = json.dumps({"Resources": {"A": queue(DelaySeconds=1), "B": queue()}})
    cfn("UpdateStack", StackName="s", TemplateBody=body)
    cfn.until(lambda: cfn.cloud.verbs, lambda verbs: ("create", "B") in verbs)
    cfn("CancelUpdateStack", StackName="s")
    assert cfn.settled("s") == "UPDATE_ROLLBACK_COMPLETE"
    assert list(cfn.cloud.things.values()) == [{}]
