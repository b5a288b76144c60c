# SPDX-License-Identifier: Apache-2.0
"""Put a stack back as it was before an update that failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy

from sandbox.cloudformation.dynamic import Dynamic
from sandbox.cloudformation.handler import NotUpdatable
from sandbox.cloudformation.intrinsics import Unresolvable
from sandbox.cloudformation.stacks import Running, Stack, StackResource
from sandbox.cloudformation.steps import Steps, reason_of
from sandbox.cloudformation.walk import StepFailed, walk
from sandbox.cloudformation.world import World


def roll_back_update(world: World, stack: Stack, skip: frozenset[str] = frozenset()) -> bool:
    """Restore every resource that the update touched; return whether only the cleaning up is left.

    Args:
        world: The region.
        stack: In UPDATE_ROLLBACK_IN_PROGRESS.
        skip: Resources to take as restored, whatever they are.
    """
    running = stack.running
    if running is None:
        raise ValueError(f"no update of {stack.name} is under way")
    running.kind = "UPDATE_ROLLBACK"
    steps = Steps(world, stack, lambda: True)
    restorer = _Restorer(world, stack, running, steps)
    touched = {name: each for name, each in running.before.items() if each is not None}
    graph = {name: each.needs & touched.keys() for name, each in touched.items()}
    failed = walk(
        graph,
        lambda name: restorer.restore(touched[name], is_skipped=name in skip),
        world.workers,
        goes_on=steps.is_alive,
    )
    steps.check_alive()
    if failed:
        reason = f"The following resource(s) failed to update: [{', '.join(failed)}]. "
        world.enter(stack, "UPDATE_ROLLBACK_FAILED", reason)
        return False
    _forget_new(world, stack, running)
    return True


def _forget_new(world: World, stack: Stack, running: Running) -> None:
    """Take out of the stack what the update made, to be removed, and go back to the former source."""
    with world.lock:
        for name in [name for name, each in running.before.items() if each is None]:
            if (made := stack.resources.pop(name, None)) is not None and made.physical_id is not None:
                running.leftovers.append(made)
        if running.previous is not None:
            stack.source = running.previous
        running.before = {}
        running.kind = "ROLLBACK_CLEANUP"
        world.enter(stack, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")


class _Restorer:
    def __init__(self, world: World, stack: Stack, running: Running, steps: Steps) -> None:
        self._world = world
        self._stack = stack
        self._running = running
        self._steps = steps
        self._dynamic = Dynamic(world.client)

    def restore(self, before: StackResource, *, is_skipped: bool) -> None:
        """Bring one resource back to what it was."""
        with self._world.lock:
            current = self._stack.resources[before.logical_id]
        if is_skipped:
            self._put_back(before, current)
        elif current.physical_id != before.physical_id:
            self._put_back(before, current)
            self._world.mark(self._stack, self._stack.resources[before.logical_id], "UPDATE_COMPLETE")
        elif current.status != before.status or _differ(current, before):
            self._update_back(before, current)
        else:
            self._put_back(before, current)

    def _update_back(self, before: StackResource, current: StackResource) -> None:
        self._world.mark(self._stack, current, "UPDATE_IN_PROGRESS")
        if _differ(current, before):
            attempted, former_tags = current.applied, current.tags
            after = self._with_secrets(current, before.applied)
            with self._world.lock:
                current.tags = before.tags
            with self._not_updatable(current):
                self._steps.update(current, before=attempted, after=after, former_tags=former_tags)
        with self._world.lock:
            attributes = current.attributes
            self._put_back(before, current)
            restored = self._stack.resources[before.logical_id]
            restored.attributes = attributes
        self._world.mark(self._stack, restored, "UPDATE_COMPLETE")

    @contextmanager
    def _not_updatable(self, current: StackResource) -> Iterator[None]:
        try:
            yield
        except NotUpdatable as error:
            self._world.mark(self._stack, current, "UPDATE_FAILED", reason_of(error))
            raise StepFailed(current.logical_id) from error

    def _with_secrets(self, current: StackResource, applied: Mapping[str, object]) -> dict[str, object]:
        try:
            found: dict[str, object] = self._dynamic.resolve(dict(applied), with_secrets=True)
        except Unresolvable as error:
            self._world.mark(self._stack, current, "UPDATE_FAILED", reason_of(error))
            raise StepFailed(current.logical_id) from error
        return found

    def _put_back(self, before: StackResource, current: StackResource) -> None:
        """Let the stack have the old resource again; a new one that took its place is to be removed."""
        with self._world.lock:
            self._stack.resources[before.logical_id] = deepcopy(before)
            leftovers = self._running.leftovers
            leftovers[:] = [each for each in leftovers if each.physical_id != before.physical_id]
            if current.physical_id not in (None, before.physical_id):
                leftovers.append(current)


def _differ(one: StackResource, other: StackResource) -> bool:
    return one.applied != other.applied or one.tags != other.tags
