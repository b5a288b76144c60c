# SPDX-License-Identifier: Apache-2.0
"""Work out what a change set, or an update, would do."""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import Any

from sandbox.api.errors import AwsError
from sandbox.cloudformation.changes import Wanted, resource_changes, value_of
from sandbox.cloudformation.graph import Reference
from sandbox.cloudformation.intrinsics import KNOWN_AFTER_APPLY, Unresolvable
from sandbox.cloudformation.planning import Plan, look_up_parameters, make_plan, output_values
from sandbox.cloudformation.stacks import ChangeSet, Source, Stack, StackResource
from sandbox.cloudformation.steps import reason_of
from sandbox.cloudformation.template import parse
from sandbox.cloudformation.validation import problems
from sandbox.cloudformation.world import World

log = logging.getLogger(__name__)

NO_CHANGES = (
    "The submitted information didn't contain changes. Submit different information to create a change set."
)


def prepare(world: World, stack: Stack, change_set: ChangeSet) -> None:
    """Fill in a change set, or say why it can't be."""
    with world.lock:
        change_set.status = "CREATE_IN_PROGRESS"
    try:
        if found := problems(parse(change_set.source.body), world.handlers()):
            raise Unresolvable("; ".join(found))
        look_up_parameters(world, change_set.source)
        changes, is_changed = compare(world, stack, change_set.source)
    except Exception as error:  # whatever is wrong with a template is the change set's, not the region's
        if not isinstance(error, Unresolvable | AwsError | ValueError):
            log.exception("change set %s of %s", change_set.name, stack.name)
        _finish(world, change_set, reason=reason_of(error))
        return
    if not is_changed and change_set.kind == "UPDATE":
        _finish(world, change_set, reason=NO_CHANGES)
        return
    with world.lock:
        change_set.changes = changes
    _finish(world, change_set)


def _finish(world: World, change_set: ChangeSet, reason: str | None = None) -> None:
    with world.lock:
        change_set.status = "FAILED" if reason else "CREATE_COMPLETE"
        change_set.execution_status = "UNAVAILABLE" if reason else "AVAILABLE"
        change_set.reason = reason
        world.changed()


def compare(world: World, stack: Stack, source: Source) -> tuple[list[dict[str, Any]], bool]:
    """Return what bringing a stack to a source changes, and whether it changes anything at all.

    Raises:
        Unresolvable: a function can't be resolved.
    """
    plan = make_plan(world, stack.stack_id, stack.name, source)
    with world.lock:
        current = deepcopy(stack.resources)
        before = deepcopy(stack.source)
    parameters = {
        name
        for name, value in source.values.items()
        if name in before.values and before.values[name] != value
    }
    wanted = Wanted(plan.template.resources, plan.graph, plan.scope, source.tags, frozenset(parameters))
    _check_types(current, plan)
    changes = resource_changes(current, wanted)
    return changes, bool(changes) or _outputs_change(stack, plan, current, changes)


def _check_types(current: dict[str, StackResource], plan: Plan) -> None:
    """Refuse another type under the same name."""
    changed = [
        name
        for name in plan.graph
        if name in current and current[name].type_name != plan.template.resources[name]["Type"]
    ]
    if changed:
        raise Unresolvable(
            "Update of resource type is not permitted. The new template modifies resource type of the "
            f"following resources: [{', '.join(sorted(changed))}]"
        )


def _outputs_change(
    stack: Stack, plan: Plan, current: dict[str, StackResource], changes: list[dict[str, Any]]
) -> bool:
    changed = {each["ResourceChange"]["LogicalResourceId"] for each in changes}

    def refer(reference: Reference) -> Any:
        resource = current.get(reference.name)
        if resource is None or reference.name in changed or resource.physical_id is None:
            return KNOWN_AFTER_APPLY
        return value_of(resource, reference)

    before = {
        each.name: {"value": each.value, "description": each.description, "export": each.export}
        for each in stack.outputs
    }
    return output_values(plan, plan.scope(refer)) != before
