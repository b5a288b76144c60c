# SPDX-License-Identifier: Apache-2.0
"""Remove resources, each before what it depends on: whole stacks, failed creates, leftovers of updates."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.cloudformation.stacks import Stack, StackResource
from sandbox.cloudformation.steps import Steps
from sandbox.cloudformation.walk import reverse, walk
from sandbox.cloudformation.world import World

_GONE = ("DELETE_COMPLETE", "DELETE_SKIPPED")


def delete_stack(world: World, stack: Stack) -> None:
    """Remove a stack that is in DELETE_IN_PROGRESS, or leave it in DELETE_FAILED."""
    running = stack.running
    retained = running.retain if running else frozenset()
    with world.lock:
        left = [*stack.resources.values(), *(running.leftovers if running else ())]
    failed = remove(
        world,
        stack,
        left,
        policy=lambda each: "Retain" if each.logical_id in retained else each.deletion_policy,
    )
    with world.lock:
        stack.running = None
        if failed:
            reason = f"The following resource(s) failed to delete: [{', '.join(failed)}]. "
            world.enter(stack, "DELETE_FAILED", reason)
            return
        stack.deleted_at = world.clock.now()
        stack.outputs = []
        stack.imports = frozenset()
        world.enter(stack, "DELETE_COMPLETE")


def roll_back_create(world: World, stack: Stack) -> None:
    """Remove what a failed create made; the stack, in ROLLBACK_IN_PROGRESS, then waits to be deleted.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html
    """
    with world.lock:
        left = list(stack.resources.values())
    failed = remove(world, stack, left, policy=_policy_after_failed_create)
    with world.lock:
        stack.running = None
        if failed:
            reason = f"The following resource(s) failed to delete: [{', '.join(failed)}]. "
            world.enter(stack, "ROLLBACK_FAILED", reason)
        else:
            world.enter(stack, "ROLLBACK_COMPLETE")


def _policy_after_failed_create(resource: StackResource) -> str:
    """Return what happens to a new resource: there is nothing in it to take a snapshot of."""
    return "Retain" if resource.deletion_policy == "Retain" else "Delete"


def remove(
    world: World, stack: Stack, resources: list[StackResource], *, policy: Callable[[StackResource], str]
) -> list[str]:
    """Remove resources as their policies say; return the logical ids of those that could not be."""
    keys = {str(number): each for number, each in enumerate(resources) if each.status not in _GONE}
    needs = {
        key: frozenset(other for other, it in keys.items() if it.logical_id in each.needs and other != key)
        for key, each in keys.items()
    }
    steps = Steps(world, stack, lambda: True)

    def step(key: str) -> None:
        steps.delete(keys[key], policy(keys[key]))

    failed = walk(reverse(needs), step, world.workers, goes_on=steps.is_alive)
    steps.check_alive()
    return [keys[key].logical_id for key in failed]
