# SPDX-License-Identifier: Apache-2.0
"""Control a rollout from another terminal: pause, resume, promote, abort.

None waits for the lock of the run that watches: what is wanted is written to the record first, then AWS is
asked for it. A command that is killed in between is repaired by the next one of any kind.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.domain.rollout.decide import checkpoint_reached, percentage_new
from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.domain.rollout.record import Happened, Note, Pause, Phase, RolloutRecord
from orchestrator.errors import Refused, Stranded
from orchestrator.ports import Reporter
from orchestrator.workflows.rollout import records
from orchestrator.workflows.rollout.apply import attach
from orchestrator.workflows.rollout.messages import Messages
from orchestrator.workflows.rollout.names import command
from orchestrator.workflows.rollout.observe import fleet_of
from orchestrator.workflows.rollout.patience import patient
from orchestrator.workflows.rollout.promotion import continue_promotion
from orchestrator.workflows.rollout.records import Kept
from orchestrator.workflows.rollout.result import RolloutResult
from orchestrator.workflows.rollout.run import INSTANCE_REFRESH, Run, give_pause_back
from orchestrator.workflows.rollout.steps import cancel, read_refresh
from orchestrator.workflows.rollout.world import RolloutWorld


def pause(world: RolloutWorld, target: RolloutTarget) -> RolloutResult:
    """Keep AWS from replacing more machines until somebody goes on, however long that takes.

    Raises:
        Refused: No rollout is under way, or somebody lets it go on at the same moment.
    """
    world = patient(world)
    kept = _active(world, target)
    now = world.clock.now()
    note = Note(now, Happened.PAUSED, f"paused by {world.operator}")

    def how(record: RolloutRecord) -> RolloutRecord:
        _refuse_over(target, record)
        wanted = record.pause or Pause(world.operator, now)
        return replace(record if record.pause else records.noted(record, note), pause=wanted)

    kept = records.change(world, kept, how)
    world.fleets.suspend(kept.record.group, INSTANCE_REFRESH)
    _refuse_resumed(world, target, records.reread(world, kept).record)
    says = f"paused; {command('rollout.resume', target)} goes on, and so does any other command but status"
    return RolloutResult(target, kept.record, is_changed=True, says=(says,))


def _refuse_resumed(world: RolloutWorld, target: RolloutTarget, record: RolloutRecord) -> None:
    """Undo a pause that others gave back, or that a rollout's end did, before the process was suspended."""
    if record.pause is None:
        world.fleets.resume(record.group, INSTANCE_REFRESH)
        _refuse_over(target, record)
        raise Refused(f"pause of {target.name}", "somebody let it go on at the same moment")


def resume(world: RolloutWorld, target: RolloutTarget) -> RolloutResult:
    """Let a paused rollout go on.

    Raises:
        Refused: There was no rollout yet.
    """
    world = patient(world)
    kept = _latest(world, target)
    if kept.record.pause is None:
        return RolloutResult(target, kept.record, is_changed=False, says=("it was not paused",))
    kept = give_pause_back(world, kept)
    return RolloutResult(target, kept.record, is_changed=True, says=("goes on",))


def promote(world: RolloutWorld, target: RolloutTarget, reporter: Reporter) -> RolloutResult:
    """Go on past the checkpoint at which AWS waits.

    Raises:
        Refused: No rollout is under way, or it waits at no checkpoint.
    """
    world = patient(world)
    kept = give_pause_back(world, _active(world, target))
    if kept.record.phase is not Phase.PROMOTING:
        kept = _promoting(world, target, kept)
    run = _run(world, target, kept, reporter)
    continue_promotion(run)
    says = f"goes on past checkpoint {run.record.passed_checkpoint} %, with refresh {run.record.refresh_id}"
    more = f"{command('rollout', target)} watches it, unless another terminal does"
    return RolloutResult(target, run.record, is_changed=True, says=(says, more))


def abort(world: RolloutWorld, target: RolloutTarget, reporter: Reporter) -> RolloutResult:
    """Stop a rollout where it is: what is replaced stays so.

    Raises:
        Refused: No rollout is under way.
    """
    world = patient(world)
    kept = want(world, target, Phase.ABORTING, f"aborted by {world.operator}")
    try:
        _cancel_now(world, kept, reporter, target)
        return attach(world, target, reporter, lambda progress: None)
    except Stranded as stranded:
        ended = records.reread(world, kept).record
        if ended.phase is not Phase.ABORTED:
            raise
        says = (f"{stranded.cause}; {stranded.state}", f"next: {stranded.next_command}")
        return RolloutResult(target, ended, is_changed=True, says=says)


def _promoting(world: RolloutWorld, target: RolloutTarget, kept: Kept) -> Kept:
    """Write down that the checkpoint that is waited at is to be passed."""
    if kept.record.phase is not Phase.REFRESHING:
        raise _waits_nowhere(target, f"it is {kept.record.phase}")
    refresh, name = read_refresh(world, kept.record), kept.record.group
    group = world.fleets.group(name)
    is_new = percentage_new(refresh, group, has_head_start=bool(kept.record.passed_checkpoint))
    reached = checkpoint_reached(refresh, is_new)
    if reached <= kept.record.passed_checkpoint:
        raise _waits_nowhere(target, f"{is_new} % are new, and no checkpoint is reached")
    note = Note(world.clock.now(), Happened.PROMOTED, f"{world.operator} goes on past checkpoint {reached} %")

    def how(record: RolloutRecord) -> RolloutRecord:
        if record.phase not in (Phase.REFRESHING, Phase.PROMOTING):
            raise _waits_nowhere(target, f"it is {record.phase}")
        changed = replace(record, phase=Phase.PROMOTING, passed_checkpoint=reached)
        return records.noted(changed, note)

    return records.change(world, kept, how)


def want(world: RolloutWorld, target: RolloutTarget, phase: Phase, reason: str) -> Kept:
    """Write down what is wanted of the rollout that is under way, and let it go on if it was paused."""
    kept = _active(world, target)
    what = Happened.ROLLBACK if phase is Phase.ROLLING_BACK else Happened.ABORTED
    note = Note(world.clock.now(), what, reason)

    def how(record: RolloutRecord) -> RolloutRecord:
        _refuse_over(target, record)
        if record.phase in (phase, Phase.VERIFYING):
            return record
        return records.noted(replace(record, phase=phase, reason=reason), note)

    return give_pause_back(world, records.change(world, kept, how))


def _cancel_now(world: RolloutWorld, kept: Kept, reporter: Reporter, target: RolloutTarget) -> None:
    """Ask AWS to stop at once: the run that watches may look seldom."""
    if kept.record.refresh_id and kept.record.phase is Phase.ABORTING:
        cancel(world, kept.record)
        reporter.step(target.name, "cancelling: AWS ends what it is replacing")


def _active(world: RolloutWorld, target: RolloutTarget) -> Kept:
    kept = _latest(world, target)
    _refuse_over(target, kept.record)
    return kept


def _latest(world: RolloutWorld, target: RolloutTarget) -> Kept:
    world.guard_account()
    fleet_of(world, target)
    if kept := records.latest(world, target.fleet):
        return kept
    raise Refused(f"rollout of {target.name}", "there was none yet", next_command=command("rollout", target))


def _refuse_over(target: RolloutTarget, record: RolloutRecord) -> None:
    if record.phase.is_over:
        raise Refused(
            f"rollout of {target.name}",
            f"none is under way; the last one, {record.rollout_id}, has {record.phase}",
            next_command=command("rollout.status", target),
        )


def _waits_nowhere(target: RolloutTarget, why: str) -> Refused:
    return Refused(
        f"promotion of {target.name}",
        f"it waits at no checkpoint: {why}",
        next_command=command("rollout.status", target),
    )


def _run(world: RolloutWorld, target: RolloutTarget, kept: Kept, reporter: Reporter) -> Run:
    """Return a run without the fleet's lock: the one that watches has it, and follows the record."""
    messages = Messages(world, target, reporter.note)
    return Run(world, target, kept, lambda: None, reporter, lambda progress: None, messages)
