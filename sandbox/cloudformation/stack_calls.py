# SPDX-License-Identifier: Apache-2.0
"""The operations of the API that make, change and remove stacks. They answer at once; threads do the work.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from sandbox.api.errors import AwsError
from sandbox.cloudformation import parameters, stack_policies
from sandbox.cloudformation.change_sets import compare
from sandbox.cloudformation.engine import Engine
from sandbox.cloudformation.intrinsics import Unresolvable
from sandbox.cloudformation.outputs import importers
from sandbox.cloudformation.planning import look_up_parameters
from sandbox.cloudformation.requests import (
    Parameters,
    check_capabilities,
    check_problems,
    find_living,
    find_stack,
    read_source,
    read_template,
)
from sandbox.cloudformation.stacks import Running, Source, Stack
from sandbox.cloudformation.template import Template, invalid
from sandbox.cloudformation.world import World

Answer = dict[str, Any]

_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
UPDATABLE = frozenset(
    {"CREATE_COMPLETE", "CREATE_FAILED", "UPDATE_COMPLETE", "UPDATE_FAILED", "UPDATE_ROLLBACK_COMPLETE"}
)
_INITIATED = "User Initiated"


def create_stack(engine: Engine, asked: Parameters) -> Answer:
    """CreateStack."""
    world = engine.world
    name = asked["StackName"]
    existing = world.stacks().find(name)
    token = asked.get("ClientRequestToken")
    if existing is not None:
        if token is not None and existing.create_token == token:
            return {"StackId": existing.stack_id}
        raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists")
    if "OnFailure" in asked and "DisableRollback" in asked:
        raise invalid("You can specify either DisableRollback or OnFailure, but not both.")
    template = read_template(world, asked, None)
    source = read_source(template, asked, None)
    capabilities = check_capabilities(template, asked)
    check_problems(world, template)
    if policy := asked.get("StackPolicyBody"):
        stack_policies.check(policy)
    stack = new_stack(world, name, source, template)
    stack.capabilities = capabilities
    stack.policy = policy
    stack.create_token = token
    stack.termination_protection = bool(asked.get("EnableTerminationProtection"))
    stack.disable_rollback = bool(asked.get("DisableRollback")) or asked.get("OnFailure") == "DO_NOTHING"
    on_failure = "DO_NOTHING" if stack.disable_rollback else asked.get("OnFailure", "ROLLBACK")
    begin_create(engine, stack, token=token, on_failure=on_failure)
    return {"StackId": stack.stack_id}


def new_stack(world: World, name: str, source: Source, template: Template) -> Stack:
    """Put a stack that has nothing yet among the region's."""
    if not _NAME.fullmatch(name):
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )
    stack = Stack(
        stack_id=f"arn:aws:cloudformation:{world.region}:{world.account_id}:stack/{name}/{uuid.uuid4()}",
        name=name,
        created_at=world.clock.now(),
        status="REVIEW_IN_PROGRESS",
        source=source,
        description=template.description,
    )
    world.stacks().by_id[stack.stack_id] = stack
    world.stacks().forget_old()
    return stack


def begin_create(engine: Engine, stack: Stack, *, token: str | None, on_failure: str) -> None:
    """Start making a stack's resources."""
    stack.running = Running("CREATE", token=token, on_failure=on_failure)
    engine.world.enter(stack, "CREATE_IN_PROGRESS", _INITIATED)
    engine.create(stack)


def update_stack(engine: Engine, asked: Parameters) -> Answer:
    """UpdateStack."""
    world = engine.world
    stack = find_living(world, asked)
    token = asked.get("ClientRequestToken")
    if stack.has_heard(token):
        return {"StackId": stack.stack_id}
    check_updatable(stack)
    template = read_template(world, asked, stack)
    source = read_source(template, asked, stack)
    capabilities = check_capabilities(template, asked)
    check_problems(world, template)
    policy = asked.get("StackPolicyBody")
    if policy:
        stack_policies.check(policy)
    if not parameters.are_stored(template):  # else it takes calls, which only a thread may make
        _check_changes(world, stack, source)
    stack.capabilities = capabilities
    stack.policy = policy or stack.policy
    begin_update(engine, stack, source, token=token, keeps_failed=bool(asked.get("DisableRollback")))
    return {"StackId": stack.stack_id}


def check_updatable(stack: Stack) -> None:
    """Refuse to change a stack that is busy, or past mending."""
    if stack.status not in UPDATABLE:
        raise invalid(f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")


def _check_changes(world: World, stack: Stack, source: Source) -> None:
    try:
        look_up_parameters(world, source)
        _, is_changed = compare(world, stack, source)
    except (Unresolvable, ValueError) as error:
        raise invalid(str(error)) from error
    if not is_changed and stack.status not in ("CREATE_FAILED", "UPDATE_FAILED"):
        raise invalid("No updates are to be performed.")


def begin_update(
    engine: Engine, stack: Stack, source: Source, *, token: str | None, keeps_failed: bool
) -> None:
    """Start bringing a stack to a new source; a failed update before it is undone with this one."""
    running = stack.running or Running("UPDATE", previous=stack.source)
    for change_set in stack.change_sets.values():
        if change_set.execution_status == "AVAILABLE":
            change_set.execution_status = "OBSOLETE"
    running.kind = "UPDATE"
    running.token = token
    running.aborted = None
    running.on_failure = "DO_NOTHING" if keeps_failed else "ROLLBACK"
    stack.running = running
    stack.disable_rollback = keeps_failed
    stack.source = source
    stack.updated_at = engine.world.clock.now()
    engine.world.enter(stack, "UPDATE_IN_PROGRESS", _INITIATED)
    engine.update(stack)


def delete_stack(engine: Engine, asked: Parameters) -> None:
    """DeleteStack. One that does not exist is deleted already."""
    world = engine.world
    stack = world.stacks().find(asked["StackName"])
    if stack is None or not stack.is_living:
        return
    _check_deletable(world, stack)
    if stack.status == "DELETE_IN_PROGRESS":
        return
    if stack.status == "CREATE_IN_PROGRESS" and stack.running is not None:
        stack.running.on_failure, stack.running.aborted = "DELETE", "The creation was cancelled. "
        return
    retain = frozenset(asked.get("RetainResources") or ())
    if retain and stack.status != "DELETE_FAILED":
        raise invalid(
            "Invalid operation on stack [" + stack.name + "]. "
            "RetainResources can only be specified for stacks in DELETE_FAILED state."
        )
    leftovers = stack.running.leftovers if stack.running else []
    token = asked.get("ClientRequestToken")
    stack.running = Running("DELETE", token=token, retain=retain, leftovers=leftovers)
    world.enter(stack, "DELETE_IN_PROGRESS", _INITIATED)
    engine.delete(stack)


def _check_deletable(world: World, stack: Stack) -> None:
    if stack.termination_protection:
        raise invalid(
            f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled. "
            "To delete this stack, disable TerminationProtection and try again."
        )
    if stack.is_busy and stack.status not in ("CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
        raise invalid(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
    for output in stack.outputs:
        if output.export and (users := importers(world.stacks(), output.export)):
            raise invalid(f"Cannot delete export {output.export} as it is in use by {', '.join(users)}")


def update_termination_protection(engine: Engine, asked: Parameters) -> Answer:
    """UpdateTerminationProtection."""
    stack = find_living(engine.world, asked)
    stack.termination_protection = bool(asked["EnableTerminationProtection"])
    return {"StackId": stack.stack_id}


def set_stack_policy(engine: Engine, asked: Parameters) -> None:
    """SetStackPolicy."""
    stack = find_living(engine.world, asked)
    body = asked.get("StackPolicyBody")
    if body is None:
        raise invalid("StackPolicyBody must be specified.")
    stack_policies.check(body)
    stack.policy = body


def get_stack_policy(engine: Engine, asked: Parameters) -> Answer:
    """GetStackPolicy."""
    policy = find_stack(engine.world, asked).policy
    return {} if policy is None else {"StackPolicyBody": policy}


def continue_update_rollback(engine: Engine, asked: Parameters) -> Answer:
    """ContinueUpdateRollback."""
    stack = find_living(engine.world, asked)
    if stack.status != "UPDATE_ROLLBACK_FAILED":
        raise invalid(
            f"Stack:{stack.stack_id} is in {stack.status} state and can not continue rolling back an update."
        )
    engine.world.enter(stack, "UPDATE_ROLLBACK_IN_PROGRESS", _INITIATED)
    engine.roll_back_update(stack, frozenset(asked.get("ResourcesToSkip") or ()))
    return {}


def rollback_stack(engine: Engine, asked: Parameters) -> Answer:
    """RollbackStack: undo what failed and was kept."""
    stack = find_living(engine.world, asked)
    if stack.status == "CREATE_FAILED":
        stack.running = Running("ROLLBACK", token=asked.get("ClientRequestToken"))
        engine.world.enter(stack, "ROLLBACK_IN_PROGRESS", _INITIATED)
        engine.roll_back_create(stack)
    elif stack.status == "UPDATE_FAILED":
        engine.world.enter(stack, "UPDATE_ROLLBACK_IN_PROGRESS", _INITIATED)
        engine.roll_back_update(stack)
    else:
        raise invalid(f"Stack:{stack.stack_id} is in {stack.status} state and can not be rolled back.")
    return {"StackId": stack.stack_id}


def cancel_update_stack(engine: Engine, asked: Parameters) -> None:
    """CancelUpdateStack."""
    stack = find_living(engine.world, asked)
    if stack.status != "UPDATE_IN_PROGRESS" or stack.running is None:
        raise invalid(f"CancelUpdateStack cannot be called from current stack status {stack.status}")
    stack.running.on_failure = "ROLLBACK"
    stack.running.aborted = "User cancelled the update. "
