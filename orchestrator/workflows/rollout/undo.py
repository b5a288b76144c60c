# SPDX-License-Identifier: Apache-2.0
"""Take a rollout back: while it goes on as AWS does it, afterwards by a rollout of the image before."""

from __future__ import annotations

from orchestrator.domain.rollout.plan import Action, RolloutTarget
from orchestrator.domain.rollout.record import Phase, RolloutRecord
from orchestrator.errors import Refused, RolledBack, Stranded
from orchestrator.ports import Reporter
from orchestrator.workflows.rollout import records
from orchestrator.workflows.rollout.apply import apply, attach
from orchestrator.workflows.rollout.controls import want
from orchestrator.workflows.rollout.messages import Messages
from orchestrator.workflows.rollout.names import command
from orchestrator.workflows.rollout.observe import fleet_of, observe
from orchestrator.workflows.rollout.patience import patient
from orchestrator.workflows.rollout.plan import make_plan
from orchestrator.workflows.rollout.records import Kept
from orchestrator.workflows.rollout.result import RolloutResult
from orchestrator.workflows.rollout.steps import adopt_refresh, take_back
from orchestrator.workflows.rollout.world import ProgressSink, RolloutWorld


def rollback(
    world: RolloutWorld, target: RolloutTarget, reporter: Reporter, show: ProgressSink
) -> RolloutResult:
    """Take a rollout back: while it goes on as AWS does it, afterwards by a rollout of the image before.

    Raises:
        Refused: There is nothing to take back.
        Stranded: AWS could not go back.
    """
    world = patient(world)
    world.guard_account()
    fleet_of(world, target)
    kept = records.latest(world, target.fleet)
    if kept and not kept.record.phase.is_over:
        taken = _take_active_back(world, target, kept, reporter=reporter, show=show)
        if taken:
            return taken
    return _roll_to_the_image_before(world, target, reporter, show)


def _take_active_back(
    world: RolloutWorld, target: RolloutTarget, kept: Kept, *, reporter: Reporter, show: ProgressSink
) -> RolloutResult | None:
    """Take back what runs and return what it came to, None when it had succeeded before AWS was asked."""
    reason = f"taken back by {world.operator}"
    kept = adopt_refresh(world, kept)
    phase = Phase.ROLLING_BACK if kept.record.refresh_id else Phase.ABORTING
    kept = want(world, target, phase, reason)
    if phase is Phase.ROLLING_BACK:
        take_back(world, kept.record)
        Messages(world, target, reporter.note).tell("is taken back", reason)
    try:
        attach(world, target, reporter, show)
    except RolledBack as taken:
        ended = records.reread(world, kept).record
        return RolloutResult(target, ended, is_changed=True, says=(f"{taken.cause}; {taken.state}",))
    except Stranded:
        ended = records.reread(world, kept).record
        if ended.phase is not Phase.ABORTED:
            raise
        return RolloutResult(target, ended, is_changed=True, says=(ended.outcome,))
    return None


def _roll_to_the_image_before(
    world: RolloutWorld, target: RolloutTarget, reporter: Reporter, show: ProgressSink
) -> RolloutResult:
    record = _to_take_back(world, target)
    wanted = RolloutTarget(target.environment, target.fleet, record.old_ami_id)
    plan = make_plan(world, observe(world, wanted), is_undo=True)
    if plan.errors:
        lines = "".join(f"\n  | {each.line()}" for each in plan.errors)
        raise Refused(f"rollback of {target.name} to {record.old_ami_id}", f"checks failed{lines}")
    reporter.note(f"{target.name}: taking {record.rollout_id} back, to {record.old_ami_id}")
    takes_back = record.rollout_id if plan.action is not Action.NOTHING else ""
    return apply(world, plan, reporter, show, takes_back=takes_back)


def _to_take_back(world: RolloutWorld, target: RolloutTarget) -> RolloutRecord:
    """Return the latest rollout whose image may be in service and that was not taken back yet."""
    taken: set[str] = set()
    for record in records.newest_first(world, target.fleet):
        if record.takes_back and record.phase is Phase.SUCCEEDED:
            taken.add(record.takes_back)
        elif record.phase is Phase.ROLLED_BACK or record.rollout_id in taken or record.takes_back:
            continue
        elif record.refresh_ids and record.old_ami_id != record.new_ami_id:
            return record
    raise Refused(
        f"rollback of {target.name}",
        "there is no rollout to take back",
        next_command=f"{command('rollout', target, '--ami', 'AMI')}, with the image that is wanted",
    )
