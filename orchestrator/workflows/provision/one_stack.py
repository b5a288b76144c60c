# SPDX-License-Identifier: Apache-2.0
"""Bring one stack up: what it needs first -> change set -> execute -> follow -> protect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.domain.change_set import ChangeSet, ChangeSetStatus, Forbidden, forbidden, unannounced
from orchestrator.domain.stack import EnvironmentStack, stack_policy
from orchestrator.domain.stack_event import StackEvent
from orchestrator.errors import Refused, RolledBack, Stranded
from orchestrator.ports import Bundle, Reporter
from orchestrator.workflows.provision.change_sets import Drafts
from orchestrator.workflows.provision.decide import FIRST_IMAGES, STACK_POLICY, TERMINATION_PROTECTION
from orchestrator.workflows.provision.follow import Ending, EventSink, Verdict, follow, newest_event
from orchestrator.workflows.provision.observe import ami_parameter
from orchestrator.workflows.provision.plan import Action, StackPlan
from orchestrator.workflows.provision.record import RunRecord
from orchestrator.workflows.provision.result import Fate, StackResult
from orchestrator.workflows.provision.world import ProvisionWorld, Request

Outputs = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Run:
    """What the stacks of one run share. `check` raises once a lock was lost."""

    world: ProvisionWorld
    request: Request
    drafts: Drafts
    record: RunRecord
    reporter: Reporter
    bundles: Mapping[str, Bundle]
    first_images: Mapping[str, str]
    check: Callable[[], None]


def bring_up(run: Run, plan: StackPlan, *, before: Outputs, now: Outputs) -> StackResult:
    """Do what the plan says of a stack, and return what became of it.

    Args:
        before, now: The outputs of other stacks when the plan was made, and now.

    Raises:
        RolledBack: It failed, and CloudFormation took it back.
        Stranded: It failed, and is neither as before nor as wanted.
        Refused: A lock was lost, or more would be lost than the plan has shown.
    """
    if plan.action is Action.HELD:
        return StackResult(plan.name, Fate.WAITS, reason=plan.reason)
    if plan.action is Action.UNCHANGED:
        return StackResult(plan.name, Fate.UNCHANGED, outputs=_outputs(plan))
    begun_s = run.world.clock.monotonic_s()
    has_other_values = _has_other_values(plan, before, now)
    fate = Fate.UNCHANGED
    if plan.action not in (Action.SET, Action.RECHECK) or has_other_values:
        fate = _change(run, plan, has_other_values=has_other_values)
    if plan.settings:
        fate = _set(run, plan, fate)
    seconds = run.world.clock.monotonic_s() - begun_s
    if fate is Fate.UNCHANGED:
        run.reporter.done(plan.name, "no changes")
        return StackResult(plan.name, fate, outputs=_outputs(plan))
    run.reporter.done(plan.name, f"{fate.value} in {seconds:.0f} s")
    return StackResult(plan.name, fate, seconds, outputs=run.world.stacks.get(plan.name).outputs)


def _outputs(plan: StackPlan) -> Mapping[str, str]:
    return plan.state.outputs if plan.state else {}


def _has_other_values(plan: StackPlan, before: Outputs, now: Outputs) -> bool:
    """Tell whether something that the stack reads is not what it was when the plan was made."""
    return any(
        before.get(stack, {}).get(output) != now.get(stack, {}).get(output)
        for stack, output in plan.template.reads
    )


def _change(run: Run, plan: StackPlan, *, has_other_values: bool) -> Fate:
    run.check()
    is_new = plan.action in (Action.CREATE, Action.RECREATE)
    if plan.action is Action.RECREATE and plan.state:
        _remove(run, plan, plan.state.stack_id)
    _prepare(run, plan)
    change_set_id, stack_id = plan.change_set_id, plan.state.stack_id if plan.state else ""
    count = len(plan.changes)
    if is_new or has_other_values or not change_set_id:
        run.reporter.step(plan.name, "making the change set")
        made = run.drafts.make(plan.template, is_new=is_new)
        if made.status is ChangeSetStatus.EMPTY:
            return Fate.UNCHANGED
        _refuse_unseen(run, plan, made)
        change_set_id, stack_id, count = made.change_set_id, made.stack_id, len(made.changes)
    ending = _execute(run, plan, change_set_id, stack_id, _sink(run, plan, count))
    _judge(run, plan, ending, is_new=is_new)
    return Fate.CREATED if is_new else Fate.UPDATED


def _prepare(run: Run, plan: StackPlan) -> None:
    """See to what a stack can't do without and no stack makes: code of functions, images of fleets."""
    world, template = run.world, plan.template
    if template.kind is EnvironmentStack.FUNCTIONS:
        bucket = world.stores[template.owner].bundles
        for bundle in run.bundles.values():
            if bundle.key not in bucket.keys(bundle.key):
                run.reporter.step(plan.name, f"storing the code of {bundle.name}")
                bucket.put(bundle.key, bundle.path.read_bytes())
    if template.kind is EnvironmentStack.FLEETS:
        _write_first_images(run, plan)


def _write_first_images(run: Run, plan: StackPlan) -> None:
    owner = plan.template.owner
    for fleet in run.world.scope.environments[owner].fleets:
        name = ami_parameter(owner, fleet)
        # One that is there already is a rollout's: it is never written over.
        if name in run.first_images and run.world.parameters.create(name, run.first_images[name]):
            run.reporter.step(plan.name, f"first image of {fleet}: {run.first_images[name]}")


def _remove(run: Run, plan: StackPlan, stack_id: str) -> None:
    """Delete what an earlier run has left of a stack that never worked."""
    after = newest_event(run.world, stack_id)
    run.world.stacks.delete(stack_id)
    ending = follow(run.world, stack_id, _sink(run, plan, plan.template.resource_count), after=after)
    if ending.verdict is not Verdict.DONE:
        raise _stranded(run, plan, ending)


def _refuse_unseen(run: Run, plan: StackPlan, made: ChangeSet) -> None:
    """Refuse what the operator has not seen in the plan: losing something because another stack changed."""
    found: tuple[Forbidden, ...] = (
        *forbidden(plan.name, made.changes, run.request.allowed),
        *unannounced(plan.name, plan.changes, made.changes),
    )
    if found:
        raise Refused(
            f"provision {plan.name}",
            "; ".join(dict.fromkeys(str(each) for each in found)) + ", which the plan could not show",
            state="this stack is as it was; stacks before it are up",
            next_command=f"{run.request.command} --dry-run, which shows it now",
        )


def _execute(run: Run, plan: StackPlan, change_set_id: str, stack_id: str, on_event: EventSink) -> Ending:
    world = run.world
    named = {each.logical_id for each in plan.changes if each.endangers}
    strict = stack_policy(plan.template.body)
    run.check()
    run.record.note(plan.name, "executing")
    if named and strict:
        # Only what the operator has named: everything else had been refused.
        world.stacks.set_policy(plan.name, stack_policy(plan.template.body, except_for=named) or strict)
    after = newest_event(world, stack_id)
    run.drafts.execute(change_set_id)
    ending = follow(world, stack_id, on_event, after=after)
    # Not when we are stopped before: the update needs it to its end. The next run sees it and sets it right.
    if named and strict:
        world.stacks.set_policy(plan.name, strict)
    run.record.note(plan.name, ending.status)
    return ending


def _sink(run: Run, plan: StackPlan, count: int) -> EventSink:
    total = max(count, 1)

    def show(event: StackEvent, finished: int) -> None:
        run.reporter.step(plan.name, event.line(), position=(min(finished + 1, total), total))

    return show


def _judge(run: Run, plan: StackPlan, ending: Ending, *, is_new: bool) -> None:
    if ending.verdict is Verdict.STRANDED:
        raise _stranded(run, plan, ending)
    if ending.verdict is Verdict.ROLLED_BACK:
        taken_back = f"{plan.name} is as it was before"
        removed = f"what there was of {plan.name} is removed again; the next run makes it anew"
        raise RolledBack(
            f"provision {plan.name}",
            ending.causes,
            state=removed if is_new else taken_back,
            next_command=f"mend that, then {run.request.command}",
        )


def _stranded(run: Run, plan: StackPlan, ending: Ending) -> Stranded:
    look = f"`{run.world.aws} cloudformation describe-stack-events --stack-name {plan.name}`"
    return Stranded(
        f"provision {plan.name}",
        ending.causes,
        state=f"{plan.name} is {ending.status}",
        next_command=f"{look}; {run.request.command} says how to go on",
    )


def _set(run: Run, plan: StackPlan, fate: Fate) -> Fate:
    run.check()
    policy = stack_policy(plan.template.body)
    if STACK_POLICY in plan.settings and policy:
        run.world.stacks.set_policy(plan.name, policy)
    if TERMINATION_PROTECTION in plan.settings:
        run.world.stacks.protect(plan.name)
    if FIRST_IMAGES in plan.settings:
        _write_first_images(run, plan)
    return Fate.SET if fate is Fate.UNCHANGED else fate
