# SPDX-License-Identifier: Apache-2.0
"""Change a stack, or put back what a failed change did.

What replaces something is made first; the old one goes only after everything else worked:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from sandbox.api.errors import AwsError
from sandbox.cloudformation import stack_policies
from sandbox.cloudformation.creation import Maker
from sandbox.cloudformation.differences import must_replace
from sandbox.cloudformation.handler import NotUpdatable
from sandbox.cloudformation.intrinsics import Unresolvable
from sandbox.cloudformation.outputs import put_outputs
from sandbox.cloudformation.planning import Plan, look_up_parameters, make_plan
from sandbox.cloudformation.removal import remove
from sandbox.cloudformation.rollback import roll_back_update
from sandbox.cloudformation.schemas import takes_tags
from sandbox.cloudformation.stacks import Running, Stack, StackResource
from sandbox.cloudformation.steps import physical_name, reason_of
from sandbox.cloudformation.walk import StepFailed, walk
from sandbox.cloudformation.world import World

_REPLACED = "Requested update requires the creation of a new physical resource; hence creating one."


def update_stack(world: World, stack: Stack) -> None:
    """Bring a stack in UPDATE_IN_PROGRESS to its new source, or back."""
    running = stack.running
    if running is None:
        raise ValueError(f"no update of {stack.name} is under way")
    try:
        if not stack.source.values:
            look_up_parameters(world, stack.source)
        plan = make_plan(world, stack.stack_id, stack.name, stack.source)
        _apply(world, stack, running, plan)
    except (Unresolvable, AwsError) as error:
        fail_update(world, stack, reason_of(error))
        return
    clean_up(world, stack, "UPDATE_COMPLETE")


def _apply(world: World, stack: Stack, running: Running, plan: Plan) -> None:
    """Make and change what the plan has.

    Raises:
        Unresolvable: saying what did not work.
    """
    changer = Changer(world, stack, plan, running)
    changer.check_removals()
    failed = walk(plan.graph, changer.converge, world.workers, goes_on=changer.steps.is_alive)
    changer.steps.check_alive()
    if running.aborted:
        raise Unresolvable(running.aborted)
    if failed:
        verbs = {name: "create" if running.before.get(name) is None else "update" for name in failed}
        parts = [
            f"The following resource(s) failed to {verb}: "
            f"[{', '.join(name for name in failed if verbs[name] == verb)}]. "
            for verb in dict.fromkeys(verbs.values())
        ]
        raise Unresolvable("".join(parts))
    put_outputs(world, stack, plan)
    with world.lock:
        gone = [name for name in stack.resources if name not in plan.graph]
        running.leftovers += [stack.resources.pop(name) for name in gone]
        running.kind = "CLEANUP"
        stack.description = plan.template.description
        world.enter(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")


def clean_up(world: World, stack: Stack, status: str) -> None:
    """Remove what an update, or its undoing, left behind; what can't be is left, as AWS does."""
    running = stack.running
    leftovers = list(running.leftovers) if running else []

    def policy(resource: StackResource) -> str:
        is_replaced = resource.logical_id in stack.resources
        if running is not None and running.kind == "ROLLBACK_CLEANUP":
            is_kept = not is_replaced and resource.deletion_policy == "Retain"
            return "Retain" if is_kept else "Delete"
        return resource.update_replace_policy if is_replaced else resource.deletion_policy

    remove(world, stack, leftovers, policy=policy)
    with world.lock:
        stack.running = None
        world.enter(stack, status)


def fail_update(world: World, stack: Stack, reason: str) -> None:
    """Do with a stack that could not be changed what the caller wanted."""
    running = stack.running
    if running is not None and running.on_failure == "DO_NOTHING":
        world.enter(stack, "UPDATE_FAILED", reason)
        return
    world.enter(stack, "UPDATE_ROLLBACK_IN_PROGRESS", reason)
    if roll_back_update(world, stack):
        clean_up(world, stack, "UPDATE_ROLLBACK_COMPLETE")


def _are_same(one: StackResource, other: StackResource) -> bool:
    has_same_tags = one.tags == other.tags or not takes_tags(one.type_name)
    return one.properties == other.properties and has_same_tags


class Changer(Maker):
    """Brings resources from what they are to what the plan has."""

    def __init__(self, world: World, stack: Stack, plan: Plan, running: Running) -> None:
        super().__init__(world, stack, plan)
        self._running = running

    def check_removals(self) -> None:
        """Refuse what the stack's policy does not let go.

        Raises:
            Unresolvable: naming the resource.
        """
        for name, resource in self.stack.resources.items():
            if name not in self.plan.graph and resource.physical_id is not None:
                denial = stack_policies.denial(self.stack.policy, "Update:Delete", resource)
                if denial is not None:
                    raise Unresolvable(denial)

    def converge(self, logical_id: str) -> None:
        """Make, change or leave one resource."""
        with self.world.lock:
            existing = self.stack.resources.get(logical_id)
            is_there = existing is not None and existing.physical_id is not None
            self._running.before.setdefault(logical_id, deepcopy(existing) if is_there else None)
        if existing is None or not is_there:
            self.create(logical_id)
            return
        with self.failing_others():
            self._change(existing)

    def _change(self, existing: StackResource) -> None:
        wanted = self.new_resource(existing.logical_id, existing.status)
        actual = self._resolve(existing, wanted)
        if actual is None:
            with self.world.lock:
                existing.template, existing.needs = wanted.template, wanted.needs
                existing.tags = wanted.tags
            return
        if must_replace(existing.type_name, existing.applied, wanted.applied):
            self._replace(existing, wanted, actual)
            return
        try:
            self._update_in_place(existing, wanted, actual)
        except NotUpdatable:
            self._replace(existing, wanted, actual)

    def _resolve(self, existing: StackResource, wanted: StackResource) -> dict[str, Any] | None:
        """Fill in what is wanted, and return what the handler gets; None if nothing changes.

        A failure is the existing resource's. Dynamic references are looked up for what changes only.
        """
        with self.steps.failing_as(existing, "UPDATE_FAILED"):
            wanted.properties = self.plan.properties(wanted.logical_id, self.plan.scope(self.refer))
            if existing.status != "UPDATE_FAILED" and _are_same(existing, wanted):
                return None
            wanted.applied, actual = self.actual(wanted, wanted.properties)
        return actual

    def _update_in_place(
        self, existing: StackResource, wanted: StackResource, actual: dict[str, Any]
    ) -> None:
        self._check_policy(existing, "Update:Modify")
        before, former_tags = existing.applied, existing.tags
        with self.world.lock:
            # From here on the resource may be as it shall be, and has to be put back if anything fails.
            existing.template, existing.needs = wanted.template, wanted.needs
            existing.properties, existing.applied = wanted.properties, wanted.applied
            existing.tags = wanted.tags
            existing.drift_status, existing.drift = "NOT_CHECKED", {}
        self.world.mark(self.stack, existing, "UPDATE_IN_PROGRESS")
        self.steps.update(existing, before=before, after=actual, former_tags=former_tags)
        self.world.mark(self.stack, existing, "UPDATE_COMPLETE")

    def _replace(self, existing: StackResource, wanted: StackResource, actual: dict[str, Any]) -> None:
        self._check_policy(existing, "Update:Replace")
        self.world.mark(self.stack, existing, "UPDATE_IN_PROGRESS", _REPLACED)
        old = deepcopy(self._running.before[existing.logical_id] or existing)
        # The policy that counts is the one that comes with the change.
        old.template["UpdateReplacePolicy"] = wanted.update_replace_policy
        wanted.name = physical_name(self.stack.name, wanted.logical_id)
        try:
            self.steps.create(wanted, actual)
        except StepFailed:
            self.world.mark(self.stack, existing, "UPDATE_FAILED", wanted.reason)
            raise
        with self.world.lock:
            self.stack.resources[wanted.logical_id] = wanted
            # What has its identity from another resource is the same one still: removing it would undo it.
            if wanted.physical_id != old.physical_id:
                self._running.leftovers.append(old)
        self.world.mark(self.stack, wanted, "UPDATE_COMPLETE")

    def _check_policy(self, resource: StackResource, action: str) -> None:
        denial = stack_policies.denial(self.stack.policy, action, resource)
        if denial is not None:
            self._fail(resource, denial)

    def _fail(self, resource: StackResource, reason: str) -> None:
        self.world.mark(self.stack, resource, "UPDATE_FAILED", reason)
        raise StepFailed(resource.logical_id)
