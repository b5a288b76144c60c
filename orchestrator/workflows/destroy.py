# SPDX-License-Identifier: Apache-2.0
"""Delete the stacks of an environment or of a network: observe -> plan -> confirm -> delete, readers first.

What holds data stays by its DeletionPolicy; nothing is emptied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from orchestrator.clock import wait_until
from orchestrator.domain.stack import (
    NEVER_BEGUN,
    Body,
    Health,
    Kept,
    StackState,
    dependency_order,
    kept_by_deletion,
    stacks_read,
)
from orchestrator.errors import NotFound, Refused, Stranded
from orchestrator.ports import Reporter
from orchestrator.workflows.provision.follow import LIMIT, Verdict, follow, newest_event
from orchestrator.workflows.provision.guards import Guards, guards
from orchestrator.workflows.provision.record import RunRecord, recorded
from orchestrator.workflows.provision.result import Fate, ProvisionResult, StackResult
from orchestrator.workflows.provision.schedule import run_in_order
from orchestrator.workflows.provision.world import (
    Network,
    ProvisionWorld,
    Request,
    environment_stack_names,
    existing,
    side_by_side,
)

_GONE = "DELETE_COMPLETE"


@dataclass(frozen=True, slots=True)
class Removal:
    """A stack that goes: how many resources with it, what stays, and which stacks go before it."""

    state: StackState
    resource_count: int
    kept: tuple[Kept, ...]
    after: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the stack's name."""
        return self.state.name

    def lines(self, width: int) -> Iterator[str]:
        """Give the removal as an operator reads it, with its name in so many columns."""
        stays = f", {len(self.kept)} stay" if self.kept else ""
        yield f"{self.name.ljust(width)}  delete: {self.resource_count - len(self.kept)} go{stays}"
        type_width = max((len(each.type_name) for each in self.kept), default=0)
        for each in self.kept:
            yield f"    = {each.type_name.ljust(type_width)}  {each}"


@dataclass(frozen=True, slots=True)
class DestroyPlan:
    """All that goes, in order."""

    title: str
    removals: tuple[Removal, ...]

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to delete."""
        return not self.removals

    def as_dict(self) -> dict[str, object]:
        """Return the plan for `--json`."""
        rows = [
            {
                "stack": each.name,
                "status": each.state.status,
                "resources": each.resource_count,
                "stays": [
                    {"logical_id": one.logical_id, "type": one.type_name, "is_snapshot": one.is_snapshot}
                    for one in each.kept
                ],
            }
            for each in self.removals
        ]
        return {"title": self.title, "stacks": rows}

    def lines(self) -> tuple[str, ...]:
        """Return the plan as an operator reads it."""
        if self.is_empty:
            return (f"{self.title}: nothing to delete",)
        width = max(len(each.name) for each in self.removals)
        return (f"{self.title}:", "", *(line for each in self.removals for line in each.lines(width)))


def observe_and_plan(world: ProvisionWorld, request: Request) -> DestroyPlan:
    """Return what goes and what stays. Reads only.

    Raises:
        Refused: It is protected, or environments still stand on the network.
    """
    world.guard_account()
    states = world.stacks.all()
    _refuse_protected(world, request)
    if request.network is Network.YES:
        _refuse_used(world, request, {state.name for state in states})
    found = existing(request, world.scope, states)
    _refuse_unsafe(world, found)
    bodies = dict(
        zip((state.name for state in found), side_by_side(world, partial(_body, world), found), strict=True)
    )
    readers: dict[str, list[str]] = {
        name: [other for other, body in bodies.items() if name in stacks_read(body)] for name in bodies
    }
    by_name = {state.name: state for state in found}
    return DestroyPlan(
        request.title,
        tuple(
            Removal(
                state=by_name[name],
                resource_count=len(bodies[name].get("Resources", {})),
                kept=kept_by_deletion(bodies[name]),
                after=tuple(readers[name]),
            )
            for name in dependency_order(readers)
        ),
    )


def _body(world: ProvisionWorld, state: StackState) -> Body:
    return {} if state.status == NEVER_BEGUN else world.stacks.template(state.name)


def _refuse_protected(world: ProvisionWorld, request: Request) -> None:
    protected = [name for name in request.environments if world.scope.environments[name].protected]
    if request.network is Network.YES and world.scope.is_protected:
        protected.append(world.scope.name)
    if protected:
        raise Refused(
            request.title,
            f"{', '.join(protected)}: protected, which is never destroyed",
            next_command="remove `protected: true` from its file first, if that is meant",
        )


def _refuse_used(world: ProvisionWorld, request: Request, names: set[str]) -> None:
    left = sorted(
        name for each in world.scope.environments for name in environment_stack_names(each) if name in names
    )
    if left:
        owners = [
            each for each in world.scope.environments if names.intersection(environment_stack_names(each))
        ]
        raise Refused(
            request.title,
            f"environments still stand on it: {', '.join(left)}",
            next_command="; ".join(f"invoke destroy --environment {each}" for each in owners),
        )


def _refuse_unsafe(world: ProvisionWorld, found: tuple[StackState, ...]) -> None:
    for state in found:
        api = f"{world.aws} cloudformation"
        if state.has_termination_protection:
            off = f"{api} update-termination-protection --no-enable-termination-protection"
            raise Refused(
                f"stack {state.name}",
                "its termination protection is on, though its environment is not protected",
                next_command=f"`{off} --stack-name {state.name}`, if that is meant",
            )
        if state.health is Health.BUSY and not state.status.startswith("DELETE"):
            raise Refused(
                f"stack {state.name}",
                f"it is {state.status}",
                next_command=f"`{api} describe-stack-events --stack-name {state.name}`; wait for its end",
            )


def confirm(request: Request, *, is_confirmed: bool) -> None:
    """Raise Refused unless the operator has said so."""
    if not is_confirmed:
        raise Refused(
            request.title,
            "not confirmed",
            next_command=f"{request.command} --dry-run, then the same with --yes",
        )


def apply(world: ProvisionWorld, request: Request, plan: DestroyPlan, reporter: Reporter) -> ProvisionResult:
    """Delete what the plan says, those that read others before them.

    Raises:
        Stranded: A stack could not be deleted; those it reads stay.
    """
    has_network = request.network is Network.YES
    buckets = [world.stores[name].objects for name in request.environments]
    buckets += [world.network_store.objects] if has_network else []
    removals = {each.name: each for each in plan.removals}
    with guards(world, environments=request.environments, has_network=has_network) as held:
        record = RunRecord(world, request.command, buckets)
        with recorded(record, dict.fromkeys(removals, "delete"), reporter):
            results = run_in_order(
                world,
                {each.name: each.after for each in plan.removals},
                lambda name: _delete(world, request, removals[name], held, reporter),
                on_result=lambda result: record.note(result.name, result.fate.value),
                reporter=reporter,
            )
    return ProvisionResult(world.run_id, results)


def _delete(
    world: ProvisionWorld, request: Request, removal: Removal, held: Guards, reporter: Reporter
) -> StackResult:
    state = removal.state
    begun_s = world.clock.monotonic_s()
    held.check()
    if state.status == NEVER_BEGUN:
        world.stacks.delete(state.stack_id)
        _wait_until_gone(world, state)
    else:
        _follow_deletion(world, request, state, reporter)
    seconds = world.clock.monotonic_s() - begun_s
    reporter.done(state.name, f"deleted in {seconds:.0f} s")
    kept = ", ".join(str(each) for each in removal.kept)
    return StackResult(state.name, Fate.DELETED, seconds, reason=f"kept: {kept}" if kept else "")


def _follow_deletion(world: ProvisionWorld, request: Request, state: StackState, reporter: Reporter) -> None:
    after = ""
    if state.status != "DELETE_IN_PROGRESS":  # else it is followed from its beginning
        after = newest_event(world, state.stack_id)
        world.stacks.delete(state.stack_id)
    ending = follow(
        world, state.stack_id, lambda event, _: reporter.step(state.name, event.line()), after=after
    )
    if ending.verdict is not Verdict.DONE:
        raise Stranded(
            f"destroy {state.name}",
            ending.causes,
            state=f"{state.name} is {ending.status}; what it could delete is gone",
            next_command=f"mend it (what is not empty is yours to empty), then {request.command}",
        )


def _wait_until_gone(world: ProvisionWorld, state: StackState) -> None:
    """Wait for a stack that has no operation of its own to follow."""

    def status() -> str:
        try:
            return world.stacks.get(state.stack_id).status
        except NotFound:
            return _GONE

    wait_until(
        status,
        lambda seen: seen == _GONE,
        clock=world.clock,
        timeout=LIMIT,
        what=f"{state.name} to be deleted",
    )
