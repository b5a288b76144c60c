# SPDX-License-Identifier: Apache-2.0
"""Provision stacks: observe -> plan -> confirm -> apply, all by change sets; CloudFormation undoes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from orchestrator.domain.stack import Health
from orchestrator.errors import Refused
from orchestrator.ports import Reporter
from orchestrator.workflows.provision.change_sets import Drafts, drafts
from orchestrator.workflows.provision.decide import make_plan
from orchestrator.workflows.provision.follow import follow
from orchestrator.workflows.provision.guards import Guards, guards
from orchestrator.workflows.provision.observe import Observation, observe
from orchestrator.workflows.provision.one_stack import Outputs, Run, bring_up
from orchestrator.workflows.provision.plan import ProvisionPlan, StackPlan
from orchestrator.workflows.provision.record import RunRecord, recorded
from orchestrator.workflows.provision.render import plan_lines
from orchestrator.workflows.provision.result import ProvisionResult, StackResult, by_fate
from orchestrator.workflows.provision.schedule import run_in_order
from orchestrator.workflows.provision.world import Network, ProvisionWorld, Request, Store, side_by_side

__all__ = [
    "Network",
    "ProvisionPlan",
    "ProvisionResult",
    "ProvisionWorld",
    "Request",
    "Store",
    "apply",
    "confirm",
    "follow_busy",
    "plan_lines",
    "planned",
]


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan, with what it was made from and the change sets it stands on."""

    plan: ProvisionPlan
    observation: Observation
    drafts: Drafts


@contextmanager
def planned(world: ProvisionWorld, request: Request) -> Iterator[Draft]:
    """Observe and plan; at the end of the block, the change sets that were not executed are deleted."""
    world.guard_account()
    with drafts(world) as made:
        observation = observe(world, request)
        yield Draft(make_plan(world, request, observation, made), observation, made)


def follow_busy(world: ProvisionWorld, request: Request, reporter: Reporter) -> None:
    """Follow operations that others, or an earlier run, have left under way, whatever they end with."""
    world.guard_account()
    busy = [each.state for each in observe(world, request).seen if each.state]
    ids = {each.name: each.stack_id for each in busy if each.health is Health.BUSY}
    side_by_side(
        world,
        lambda name: follow(world, ids[name], lambda event, _: reporter.step(name, event.line())),
        sorted(ids),
    )


def confirm(world: ProvisionWorld, request: Request, plan: ProvisionPlan, *, is_confirmed: bool) -> None:
    """Refuse what must not be done, or not without having been confirmed.

    Raises:
        Refused: It would lose what holds data and was not named; or it is protected and not confirmed.
    """
    if plan.forbidden:
        names = " ".join(f"--allow-replace {each.stack}/{each.change.logical_id}" for each in plan.forbidden)
        raise Refused(
            request.title,
            "; ".join(str(each) for each in plan.forbidden),
            next_command=f"if that is meant: {request.command} {names}",
        )
    if plan.busy:
        told = "; ".join(f"{each.name}: {each.reason}" for each in plan.busy)
        raise Refused(request.title, f"somebody works on it: {told}", next_command=request.command)
    owners = {each.template.owner for each in plan.stacks}
    protected = sorted(owner for owner in owners if _is_protected(world, owner))
    if plan.has_work and protected and not is_confirmed:
        raise Refused(
            request.title,
            f"{', '.join(protected)}: protected",
            next_command=f"{request.command} --dry-run, then the same with --yes",
        )


def _is_protected(world: ProvisionWorld, owner: str) -> bool:
    environment = world.scope.environments.get(owner)
    is_network = owner == world.scope.name and world.scope.is_protected
    return is_network or bool(environment and environment.protected)


def apply(world: ProvisionWorld, request: Request, draft: Draft, reporter: Reporter) -> ProvisionResult:
    """Bring up what the plan says, in order, independent stacks side by side.

    Raises:
        SlipwayError: The first failure, after what ran beside it has ended.
        Refused: All that could be done is done, but stacks wait for something else.
    """
    plan = draft.plan
    _refuse_only_held(request, plan)
    owners = {each.template.owner for each in plan.stacks}
    has_network = any(each.is_of_network for each in draft.observation.seen)
    environments = tuple(name for name in request.environments if name in owners)
    stores = [world.stores[name] for name in environments] + ([world.network_store] if has_network else [])
    buckets = {id(store.objects): store.objects for store in stores}
    with guards(world, environments=environments, has_network=has_network) as held:
        record = RunRecord(world, request.command, buckets.values())
        with recorded(record, {each.name: each.action.value for each in plan.stacks}, reporter):
            run = Run(
                world=world,
                request=request,
                drafts=draft.drafts,
                record=record,
                reporter=reporter,
                bundles=draft.observation.bundles,
                first_images=dict(plan.first_images),
                check=held.check,
            )
            results = _bring_all_up(run, draft, held)
    _tell_held(request, plan, results)
    return ProvisionResult(world.run_id, results)


def _bring_all_up(run: Run, draft: Draft, held: Guards) -> tuple[StackResult, ...]:
    plans = {each.name: each for each in draft.plan.stacks}
    before: Outputs = {name: state.outputs for name, state in draft.observation.states.items()}
    now = dict(before)

    def note(result: StackResult) -> None:
        now[result.name] = result.outputs or now.get(result.name, {})
        held.take_missing()  # the bucket that locks and records are in may be there now
        run.record.write()

    return run_in_order(
        run.world,
        {name: _needs(plan) for name, plan in plans.items()},
        lambda name: bring_up(run, plans[name], before=before, now=dict(now)),
        on_result=note,
        reporter=run.reporter,
    )


def _needs(plan: StackPlan) -> frozenset[str]:
    return frozenset(plan.template.depends_on) | {stack for stack, _ in plan.template.reads}


def _refuse_only_held(request: Request, plan: ProvisionPlan) -> None:
    if plan.held and not plan.has_work and not request.may_wait:
        raise Refused(request.title, _waits(plan), next_command=_then(request, plan))


def _tell_held(request: Request, plan: ProvisionPlan, results: tuple[StackResult, ...]) -> None:
    if plan.held and not request.may_wait:
        raise Refused(request.title, _waits(plan), state=by_fate(results), next_command=_then(request, plan))


def _waits(plan: ProvisionPlan) -> str:
    return "; ".join(f"{each.name} waits: {each.reason}" for each in plan.held)


def _then(request: Request, plan: ProvisionPlan) -> str:
    environment = plan.held[0].template.owner
    return f"invoke bake-ami --environment {environment}, then {request.command}"
