# SPDX-License-Identifier: Apache-2.0
"""The operations of the API on change sets.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets.html
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from sandbox.api.errors import AwsError
from sandbox.cloudformation import views
from sandbox.cloudformation.change_sets import prepare
from sandbox.cloudformation.engine import Engine
from sandbox.cloudformation.requests import (
    Parameters,
    check_capabilities,
    find_living,
    read_source,
    read_template,
)
from sandbox.cloudformation.stack_calls import begin_create, begin_update, check_updatable, new_stack
from sandbox.cloudformation.stacks import ChangeSet, Source, Stack
from sandbox.cloudformation.template import Template, invalid
from sandbox.cloudformation.world import World

Answer = dict[str, Any]

_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
_ARN = re.compile(r"arn:aws:cloudformation:.+:changeSet/.+")


def create_change_set(engine: Engine, asked: Parameters) -> Answer:
    """CreateChangeSet. What it changes is worked out on a thread, as on AWS."""
    world = engine.world
    name, kind = asked["ChangeSetName"], asked.get("ChangeSetType", "UPDATE")
    if not _NAME.fullmatch(name):
        raise invalid(f"Value '{name}' at 'changeSetName' failed to satisfy constraint")
    stack = _stack_for(world, asked, kind)
    if stack is not None and (existing := stack.find_change_set(name)) is not None:
        if existing.token is not None and existing.token == asked.get("ClientToken"):
            return {"Id": existing.change_set_id, "StackId": stack.stack_id}
        if existing.execution_status != "EXECUTE_COMPLETE":
            raise AwsError("AlreadyExistsException", f"ChangeSet {name} already exists")
    template = read_template(world, asked, stack if kind == "UPDATE" else None)
    source = read_source(template, asked, stack if kind == "UPDATE" else None)
    capabilities = check_capabilities(template, asked)
    if stack is None:
        stack = _new_in_review(world, asked["StackName"], template)
    change_set = ChangeSet(
        change_set_id=(
            f"arn:aws:cloudformation:{world.region}:{world.account_id}:changeSet/{name}/{uuid.uuid4()}"
        ),
        name=name,
        kind=kind,
        created_at=world.clock.now(),
        source=source,
        description=asked.get("Description"),
        capabilities=capabilities,
        on_failure=asked.get("OnStackFailure"),
        token=asked.get("ClientToken"),
    )
    stack.change_sets[name] = change_set
    made_for = stack
    engine.begin(stack, lambda: prepare(world, made_for, change_set))
    return {"Id": change_set.change_set_id, "StackId": stack.stack_id}


def _stack_for(world: World, asked: Parameters, kind: str) -> Stack | None:
    stack = world.stacks().find(asked["StackName"])
    if kind == "CREATE":
        if stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            raise invalid(
                f"Stack [{stack.name}] already exists and cannot be created again with the changeSet."
            )
        return stack
    if kind != "UPDATE":
        raise AwsError("UnsupportedOperation", f"A change set of type {kind} is not supported.")
    stack = find_living(world, asked)
    if stack.status == "REVIEW_IN_PROGRESS":
        raise invalid(f"Stack [{stack.name}] does not exist")
    check_updatable(stack)
    return stack


def _new_in_review(world: World, name: str, template: Template) -> Stack:
    stack = new_stack(world, name, Source("", {}, {}, {}), template)
    world.enter(stack, "REVIEW_IN_PROGRESS", "User Initiated")
    return stack


def _find(world: World, asked: Parameters) -> tuple[Stack, ChangeSet]:
    wanted = asked["ChangeSetName"]
    if _ARN.fullmatch(wanted):
        stacks = world.stacks().living()
    elif "StackName" not in asked:
        raise invalid("StackName must be specified if ChangeSetName is not specified as an ARN.")
    else:
        stacks = [find_living(world, asked)]
    for stack in stacks:
        if (found := stack.find_change_set(wanted)) is not None:
            return stack, found
    raise AwsError("ChangeSetNotFound", f"ChangeSet [{wanted}] does not exist")


def describe_change_set(engine: Engine, asked: Parameters) -> Answer:
    """DescribeChangeSet."""
    stack, change_set = _find(engine.world, asked)
    changes, token = views.page(change_set.changes, asked.get("NextToken"))
    if not asked.get("IncludePropertyValues"):
        changes = [views.without_values(each) for each in changes]
    return views.change_set(stack, change_set) | views.present(Changes=changes, NextToken=token)


def list_change_sets(engine: Engine, asked: Parameters) -> Answer:
    """ListChangeSets."""
    stack = find_living(engine.world, asked)
    found = [views.change_set_summary(stack, each) for each in stack.change_sets.values()]
    return views.listed("Summaries", found, asked)


def delete_change_set(engine: Engine, asked: Parameters) -> Answer:
    """DeleteChangeSet. The stack of a CREATE change set stays in REVIEW_IN_PROGRESS, as on AWS."""
    try:
        stack, change_set = _find(engine.world, asked)
    except AwsError as error:
        if error.code == "ChangeSetNotFound":
            return {}
        raise
    if change_set.execution_status == "EXECUTE_IN_PROGRESS":
        raise AwsError(
            "InvalidChangeSetStatus",
            f"ChangeSet [{change_set.change_set_id}] cannot be deleted in its current execution status.",
        )
    del stack.change_sets[change_set.name]
    return {}


def execute_change_set(engine: Engine, asked: Parameters) -> Answer:
    """ExecuteChangeSet. The stack's other change sets are not valid any more: they are deleted."""
    stack, change_set = _find(engine.world, asked)
    token = asked.get("ClientRequestToken")
    if stack.has_heard(token):
        return {}
    if change_set.execution_status != "AVAILABLE":
        raise AwsError(
            "InvalidChangeSetStatus",
            f"ChangeSet [{change_set.change_set_id}] cannot be executed in its current status of "
            f"[{change_set.status}]",
        )
    keeps_failed = bool(asked.get("DisableRollback")) or change_set.on_failure == "DO_NOTHING"
    if change_set.kind == "UPDATE":
        check_updatable(stack)
    stack.change_sets = {change_set.name: change_set}
    change_set.execution_status = "EXECUTE_COMPLETE"
    stack.executed_change_set = change_set.change_set_id
    stack.capabilities = change_set.capabilities
    if change_set.kind == "UPDATE":
        begin_update(engine, stack, change_set.source, token=token, keeps_failed=keeps_failed)
        return {}
    stack.source = change_set.source
    stack.disable_rollback = keeps_failed
    on_failure = "DO_NOTHING" if keeps_failed else change_set.on_failure or "ROLLBACK"
    begin_create(engine, stack, token=token, on_failure=on_failure)
    return {}
