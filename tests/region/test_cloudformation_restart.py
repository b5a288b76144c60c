# SPDX-License-Identifier: Apache-2.0
"""An operation that the region's end cuts short is picked up when it is up again: nothing is lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dill
import pytest

from .stack_world import Cloud, StackWorld, queue


@contextmanager
def restarted(before: StackWorld) -> Iterator[StackWorld]:
    """End a region and begin another with what was saved of it."""
    before.close()
    saved = dill.dumps(before.stacks)
    cloud = Cloud(things=before.cloud.things, tags=before.cloud.tags)
    after = StackWorld(cloud, dill.loads(saved))  # noqa: S301 - what the test has just written
    after.engine.resume()
    try:
        yield after
    finally:
        after.close()


@pytest.fixture(name="cfn")
def fixture_cfn() -> StackWorld:
    """Return a CloudFormation that the test ends."""
    return StackWorld()


RESOURCES: dict[str, Any] = {
    "A": queue(DelaySeconds=1),
    "B": queue(DelaySeconds=1) | {"DependsOn": "A"},
    "C": queue(DelaySeconds=1) | {"DependsOn": "B"},
}


def begin(cfn: StackWorld, operation: str, resources: dict[str, Any], *, until: tuple[str, str]) -> None:
    """Begin an operation and wait until it is at a resource that does not become ready."""
    cfn.cloud.held[until[1]] = threading.Event()
    cfn(operation, StackName="s", TemplateBody=json.dumps({"Resources": resources}))
    cfn.until(lambda: cfn.cloud.verbs, lambda verbs: until in verbs)


def test_a_create_that_was_interrupted_is_rolled_back(cfn: StackWorld) -> None:
    begin(cfn, "CreateStack", RESOURCES, until=("create", "B"))
    with restarted(cfn) as after:
        assert after.settled("s") == "ROLLBACK_COMPLETE"
        assert after.cloud.things == {}
        stopped = "The local region was stopped during the operation."
        assert ("B", "CREATE_FAILED", stopped) in after.events()
        assert after.reasons("ROLLBACK_IN_PROGRESS") == [f"{stopped} Rollback requested by user."]
        assert after.delete() == "DELETE_COMPLETE"


def test_an_update_that_was_interrupted_is_undone(cfn: StackWorld) -> None:
    cfn.create({**RESOURCES, "Old": queue(QueueName="old")})
    before = {name: dict(value) for name, value in cfn.cloud.things.items()}
    changed = {name: {**it, "Properties": {"DelaySeconds": 9}} for name, it in RESOURCES.items()}
    wanted = {**changed, "New": queue(), "Old": queue(QueueName="new")}
    begin(cfn, "UpdateStack", wanted, until=("update", "B"))
    cfn.until(lambda: cfn.cloud.verbs, lambda verbs: {("create", "New"), ("create", "Old")} <= set(verbs))
    with restarted(cfn) as after:
        assert after.settled("s") == "UPDATE_ROLLBACK_COMPLETE"
        assert after.cloud.things == before
        assert after.drifts() == {name: ("IN_SYNC", []) for name in (*RESOURCES, "Old")}


def test_a_delete_that_was_interrupted_goes_on(cfn: StackWorld) -> None:
    cfn.create(RESOURCES)
    stack_id = cfn("DescribeStacks", StackName="s")["Stacks"][0]["StackId"]
    cfn.cloud.held["B"] = threading.Event()
    cfn("DeleteStack", StackName="s")
    cfn.until(lambda: cfn.cloud.verbs, lambda verbs: ("delete", "B") in verbs)
    with restarted(cfn) as after:
        assert after.settled(stack_id) == "DELETE_COMPLETE"
        assert after.cloud.things == {}


def test_a_cleanup_that_was_interrupted_goes_on(cfn: StackWorld) -> None:
    cfn.create({"A": queue(), "Gone": queue()})
    cfn.cloud.held["Gone"] = threading.Event()
    cfn("UpdateStack", StackName="s", TemplateBody=json.dumps({"Resources": {"A": queue(DelaySeconds=1)}}))
    cfn.until(lambda: cfn.cloud.verbs, lambda verbs: ("delete", "Gone") in verbs)
    assert cfn.status("s") == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
    with restarted(cfn) as after:
        assert after.settled("s") == "UPDATE_COMPLETE"
        assert list(after.cloud.things.values()) == [{"DelaySeconds": 1}]


def test_a_stack_at_rest_stays_as_it_is(cfn: StackWorld) -> None:
    cfn.create(RESOURCES, template_outputs={"Name": {"Value": {"Ref": "A"}}})
    cfn.change_set({"A": queue()})
    with restarted(cfn) as after:
        assert after.status("s") == "CREATE_COMPLETE"
        assert after.outputs() == {"Name": after.physical_id("A")}
        assert after.events() == cfn.events()
        after("ExecuteChangeSet", StackName="s", ChangeSetName="changes")
        assert after.settled("s") == "UPDATE_COMPLETE"
        assert list(after.cloud.things.values()) == [{}]
