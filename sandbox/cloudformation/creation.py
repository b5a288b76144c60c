# SPDX-License-Identifier: Apache-2.0
"""Create a stack."""

from __future__ import annotations

import threading

from sandbox.api.errors import AwsError
from sandbox.cloudformation.changes import value_of
from sandbox.cloudformation.graph import Reference
from sandbox.cloudformation.intrinsics import Unresolvable
from sandbox.cloudformation.outputs import put_outputs
from sandbox.cloudformation.planning import Plan, look_up_parameters, make_plan
from sandbox.cloudformation.removal import delete_stack, roll_back_create
from sandbox.cloudformation.stacks import Stack, StackResource
from sandbox.cloudformation.steps import Steps, physical_name, reason_of
from sandbox.cloudformation.walk import walk
from sandbox.cloudformation.world import World


def create_stack(world: World, stack: Stack) -> None:
    """Make the resources of a stack that is in CREATE_IN_PROGRESS, side by side as they allow."""
    try:
        if not stack.source.values:
            look_up_parameters(world, stack.source)
        plan = make_plan(world, stack.stack_id, stack.name, stack.source)
    except (Unresolvable, AwsError) as error:
        fail_create(world, stack, f"{reason_of(error)} ")
        return
    maker = Maker(world, stack, plan)
    failed = walk(plan.graph, maker.create, world.workers, goes_on=maker.steps.is_alive)
    maker.steps.check_alive()
    if stack.running is not None and stack.running.aborted:
        fail_create(world, stack, stack.running.aborted)
        return
    if failed:
        fail_create(world, stack, f"The following resource(s) failed to create: [{', '.join(failed)}]. ")
        return
    try:
        put_outputs(world, stack, plan)
    except Unresolvable as error:
        fail_create(world, stack, f"{error} ")
        return
    with world.lock:
        stack.running = None
        world.enter(stack, "CREATE_COMPLETE")


def fail_create(world: World, stack: Stack, reason: str) -> None:
    """Do with a stack that could not be made what its creator wanted."""
    wanted = stack.running.on_failure if stack.running else "ROLLBACK"
    if wanted == "DO_NOTHING":
        with world.lock:
            stack.running = None
            world.enter(stack, "CREATE_FAILED", reason)
    elif wanted == "DELETE":
        _now(world, stack, "DELETE", "DELETE_IN_PROGRESS", f"{reason}Delete requested by user.")
        delete_stack(world, stack)
    else:
        _now(world, stack, "ROLLBACK", "ROLLBACK_IN_PROGRESS", f"{reason}Rollback requested by user.")
        roll_back_create(world, stack)


def _now(world: World, stack: Stack, kind: str, status: str, reason: str) -> None:
    with world.lock:
        if stack.running:
            stack.running.kind = kind
        world.enter(stack, status, reason)


class Maker:
    """Makes the resources of a plan."""

    def __init__(self, world: World, stack: Stack, plan: Plan) -> None:
        self.world = world
        self.stack = stack
        self.plan = plan
        self._has_failed = threading.Event()
        self.steps = Steps(world, stack, self.is_wanted)

    def is_wanted(self) -> bool:
        """Return whether the operation shall go on: nothing failed, and nobody gave it up."""
        running = self.stack.running
        return not self._has_failed.is_set() and not (running and running.aborted)

    def refer(self, reference: Reference) -> object:
        """Return what a reference gives now."""
        with self.world.lock:
            resource = self.stack.resources.get(reference.name)
            if resource is None or resource.physical_id is None:
                raise Unresolvable(f"Template error: resource {reference.name} does not exist")
            return value_of(resource, reference)

    def new_resource(self, logical_id: str, status: str) -> StackResource:
        """Return a resource of the plan that is still to be made."""
        stated = self.plan.template.resources[logical_id]
        return StackResource(
            logical_id=logical_id,
            type_name=stated["Type"],
            name=physical_name(self.stack.name, logical_id),
            template=dict(stated),
            status=status,
            changed_at=self.world.clock.now(),
            needs=self.plan.graph[logical_id],
            tags=dict(self.plan.source.tags),
        )

    def create(self, logical_id: str) -> None:
        """Make one resource."""
        resource = self.new_resource(logical_id, "CREATE_IN_PROGRESS")
        with self.world.lock:
            self.stack.resources[logical_id] = resource
        self.world.mark(self.stack, resource, "CREATE_IN_PROGRESS")
        with self.failing_others():
            self.make(resource)
        self.world.mark(self.stack, resource, "CREATE_COMPLETE")

    def make(self, resource: StackResource) -> None:
        """Resolve a resource's properties and make it."""
        actual = self.resolve_into(resource)
        self.steps.create(resource, actual)

    def resolve_into(self, resource: StackResource) -> dict[str, object]:
        """Note a resource's properties, and return them as its handler gets them."""
        with self.steps.failing_as(resource, "CREATE_FAILED"):
            properties = self.plan.properties(resource.logical_id, self.plan.scope(self.refer))
            applied, actual = self.actual(resource, properties)
        with self.world.lock:
            resource.properties = properties
            resource.applied = applied
        return actual

    def actual(
        self, resource: StackResource, properties: dict[str, object]
    ) -> tuple[dict[str, object], dict[str, object]]:
        """Return properties as they are kept, and as the handler gets them: with the values of secrets."""
        handled = self.world.handlers()[resource.type_name].properties
        policies: dict[str, object] = {
            name: self.plan.scope(self.refer).resolve(resource.template[name])
            for name in ("CreationPolicy", "UpdatePolicy")
            if name in resource.template and any(each.partition(".")[0] == name for each in handled)
        }
        whole = {**properties, **policies}
        return (
            self.plan.actual(resource.type_name, whole, with_secrets=False),
            self.plan.actual(resource.type_name, whole, with_secrets=True),
        )

    def failing_others(self) -> _Failing:
        """Return a context in which a failed step makes the others end."""
        return _Failing(self._has_failed)


class _Failing:
    def __init__(self, has_failed: threading.Event) -> None:
        self._has_failed = has_failed

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None:
            self._has_failed.set()
