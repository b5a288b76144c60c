# SPDX-License-Identifier: Apache-2.0
"""Do what a plan says: take the lock, write the record, and carry it out; or join what is under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from orchestrator.domain.rollout.plan import Action, RolloutPlan, RolloutTarget
from orchestrator.domain.rollout.record import Happened, Note, Phase, RolloutRecord
from orchestrator.errors import Refused
from orchestrator.ports import HeldLock, Reporter
from orchestrator.workflows.rollout import records
from orchestrator.workflows.rollout.drive import drive
from orchestrator.workflows.rollout.follow import follow_foreign, follow_live, is_live
from orchestrator.workflows.rollout.messages import Messages
from orchestrator.workflows.rollout.names import command, group_name, lock_name, rollout_id
from orchestrator.workflows.rollout.patience import patient, persist
from orchestrator.workflows.rollout.records import Kept
from orchestrator.workflows.rollout.result import RolloutResult, outcome
from orchestrator.workflows.rollout.run import Run, give_pause_back
from orchestrator.workflows.rollout.world import ProgressSink, RolloutWorld


def apply(
    world: RolloutWorld,
    plan: RolloutPlan,
    reporter: Reporter,
    show: ProgressSink,
    *,
    takes_back: str = "",
) -> RolloutResult:
    """Carry a plan out and return what it came to.

    Args:
        takes_back: The rollout that this one undoes, by its id.

    Raises:
        RolledBack: It went wrong, and the old image is back in service.
        Stranded: It went wrong, and a person must look.
        WaitTimeout: It still goes on after all the time that it may take.
        Refused: Something else has been begun since the plan was made.
    """
    world = patient(world)
    world.guard_account()
    if plan.action is Action.ATTACH:
        return attach(world, plan.target, reporter, show)
    last = _without_old_pause(world, plan.target)
    if plan.action is Action.NOTHING:
        _clear_lock(world, plan.target)
        says = f"nothing to do: every machine runs {plan.image.new_ami_id}"
        return RolloutResult(plan.target, last, is_changed=False, says=(says,))
    with hold(world, plan.target) as held:
        _refuse_changed(world, plan)
        kept = records.begin(world, first_record(world, plan, takes_back=takes_back))
        run = make_run(world, plan.target, kept, held, reporter=reporter, show=show)
        run.messages.tell("begun", _announcement(plan))
        return drive(run)


def attach(
    world: RolloutWorld, target: RolloutTarget, reporter: Reporter, show: ProgressSink
) -> RolloutResult:
    """Go on with the rollout that is not over, or watch while another run does; return what it came to.

    Raises:
        RolledBack: The old image is back in service.
        Stranded: It went wrong, and a person must look.
        WaitTimeout: It still goes on after all the time that it may take.
    """
    kept = records.latest(world, target.fleet)
    if kept is None or not _is_its_own(world, kept.record):
        return follow_foreign(world, target, reporter, show)
    while not kept.record.phase.is_over:
        if is_live(world, target):
            reporter.note(f"{target.name}: another run is at work on {kept.record.rollout_id}: watching it")
            kept = follow_live(world, target, kept, reporter, show)
            continue
        with hold(world, target) as held:
            run = make_run(world, target, records.reread(world, kept), held, reporter=reporter, show=show)
            run.note(Happened.ATTACHED, f"{world.operator} goes on with {run.record.rollout_id}")
            return drive(run)
    return outcome(target, kept.record, world.fleets.group(group_name(target)))


def _is_its_own(world: RolloutWorld, record: RolloutRecord) -> bool:
    """Tell whether what is under way, or was until a moment ago, is the rollout of a record."""
    if not record.phase.is_over:
        return True
    newest = world.fleets.refreshes(record.group, limit=1)
    return bool(newest and newest[0].refresh_id in record.refresh_ids)


@contextmanager
def hold(world: RolloutWorld, target: RolloutTarget) -> Iterator[HeldLock]:
    """Hold the fleet's lock for the block.

    Raises:
        Refused: Somebody else changes the fleet.
    """
    name = lock_name(target)
    with ExitStack() as stack:
        yield persist(world.clock, lambda: stack.enter_context(world.locks.hold(name, world.run_id)))


def make_run(
    world: RolloutWorld,
    target: RolloutTarget,
    kept: Kept,
    held: HeldLock,
    *,
    reporter: Reporter,
    show: ProgressSink,
) -> Run:
    """Return a run that holds the fleet's lock."""
    messages = Messages(world, target, reporter.note)
    return Run(world, target, kept, held.check, reporter, show, messages)


def first_record(world: RolloutWorld, plan: RolloutPlan, *, takes_back: str = "") -> RolloutRecord:
    """Return the record of what is intended. Nothing has been changed yet."""
    now, new_id = world.clock.now(), rollout_id(world.run_id)
    phase = Phase.BEGUN if plan.reuses_version is None else Phase.VERSIONED
    says = f"{plan.image.old_ami_id} to {plan.image.new_ami_id}" + (
        f", to take {takes_back} back" if takes_back else ""
    )
    return RolloutRecord(
        rollout_id=new_id,
        environment=plan.target.environment,
        fleet=plan.target.fleet,
        group=plan.group,
        begun_by=world.operator,
        begun_at=now,
        template_id=plan.template_id,
        old_version=plan.source_version,
        old_ami_id=plan.image.old_ami_id,
        new_ami_id=plan.image.new_ami_id,
        preferences=plan.preferences,
        max_failures=plan.max_failures,
        predicted_s=plan.course.duration_s,
        phase=Phase.VERIFYING if plan.action is Action.FINISH else phase,
        new_version=plan.reuses_version,
        machines=sum(plan.machines_by_zone.values()),
        notes=(Note(now, Happened.BEGUN, says),),
        takes_back=takes_back,
        newest_refresh_before=plan.newest_refresh,
        pointer_before=plan.pointer,
    )


def _refuse_changed(world: RolloutWorld, plan: RolloutPlan) -> None:
    """Refuse to carry out a plan that something else has overtaken."""
    kept = records.latest(world, plan.target.fleet)
    newest = world.fleets.refreshes(plan.group, limit=1)
    group = world.fleets.group(plan.group)
    is_busy = kept is not None and not kept.record.phase.is_over
    has_refreshed = (newest[0].refresh_id if newest else "") != plan.newest_refresh
    has_moved = group.numbered_version not in (None, plan.source_version)
    if is_busy or has_refreshed or has_moved:
        raise Refused(
            f"rollout of {plan.target.name}",
            "something else was rolled out since the plan was made",
            next_command=f"{command('rollout', plan.target, '--dry-run')}, then without it",
        )


def _without_old_pause(world: RolloutWorld, target: RolloutTarget) -> RolloutRecord | None:
    """Return the last record, once what a run killed at its very end has left suspended is resumed."""
    kept = records.latest(world, target.fleet)
    if kept and kept.record.phase.is_over:
        kept = give_pause_back(world, kept)
    return kept.record if kept else None


def _clear_lock(world: RolloutWorld, target: RolloutTarget) -> None:
    """Take over the lock that a run killed at its very end has left, and give it back."""
    with suppress(Refused), hold(world, target):
        pass


def _announcement(plan: RolloutPlan) -> str:
    machines = sum(plan.machines_by_zone.values())
    return f"{machines} machines go from {plan.image.old_ami_id} to {plan.image.new_ami_id}"
