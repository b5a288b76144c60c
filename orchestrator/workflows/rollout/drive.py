# SPDX-License-Identifier: Apache-2.0
"""Carry a rollout out, from whatever phase its record says to its end: a killed run is gone on with here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from orchestrator.domain.rollout.decide import Ended, Ending
from orchestrator.domain.rollout.progress import Progress
from orchestrator.domain.rollout.record import Happened, Phase
from orchestrator.errors import AwsError
from orchestrator.workflows.rollout import verify
from orchestrator.workflows.rollout.look import Onlooker, time_limit_s
from orchestrator.workflows.rollout.names import command
from orchestrator.workflows.rollout.patience import is_passing
from orchestrator.workflows.rollout.promotion import continue_promotion
from orchestrator.workflows.rollout.react import Acting
from orchestrator.workflows.rollout.result import RolloutResult, outcome
from orchestrator.workflows.rollout.run import Run
from orchestrator.workflows.rollout.steps import (
    adopt_refresh,
    cancel,
    find_refresh,
    make_version,
    note_refresh,
    point,
    read_refresh,
    start_refresh,
    take_back,
)
from orchestrator.workflows.rollout.watch import Terms, watch

# So long whoever promotes a rollout gets to begin its next refresh before the one that watches does.
_PROMOTION_PATIENCE = timedelta(seconds=60)
_PAUSE_S = 3.0


def drive(run: Run) -> RolloutResult:
    """Carry a rollout out and return what it came to.

    Raises:
        RolledBack: It went wrong, and the old image is back in service.
        Stranded: It went wrong, and machines of both images are in service, or AWS could not go back.
        WaitTimeout: It still goes on after all the time that it may take; the record stays open.
        AwsError: AWS refused the version or the refresh; nothing has been replaced.
    """
    run.give_pause_back()
    while not run.record.phase.is_over:
        _STEPS[run.record.phase](run)
    run.give_pause_back()
    return outcome(run.target, run.record, run.world.fleets.group(run.record.group))


def end(run: Run, phase: Phase, says: str) -> None:
    """Close the record, and tell; the message comes first, as what is told twice is better than never."""
    run.messages.tell(str(phase), says)
    run.give_pause_back()
    run.note(Happened.ENDED, f"{phase}: {says}", phase=phase, outcome=says, ended_at=run.world.clock.now())


def _begin(run: Run) -> None:
    _closed_if_refused(run, make_version)


def _start(run: Run) -> None:
    _closed_if_refused(run, start_refresh)


def _closed_if_refused(run: Run, step: Callable[[Run], None]) -> None:
    """Make a step before anything is replaced; when AWS refuses it, the rollout is over."""
    try:
        step(run)
    except AwsError as error:
        if not is_passing(error):
            end(run, Phase.FAILED, f"AWS refused it, nothing was replaced: {error.cause}")
        error.state = error.state or "no machine was replaced, and the group is as it was"
        error.next_command = error.next_command or f"do what AWS asks for, then {run.attach_command}"
        raise


def _follow(run: Run) -> None:
    """Watch the refresh to its end, and see what that means."""
    ended, last = _watch(run)
    if ended.ending is Ending.SUCCEEDED:
        _note_success(run)
    elif ended.ending is Ending.TAKEN_BACK:
        _end_taken_back(run, ended)
    elif ended.ending is Ending.CANCELLED:
        _end_cancelled(run, ended, last.refresh.refresh_id)
    else:
        end(run, Phase.FAILED, f"{ended.why}; {_serving(last)}")


def _watch(run: Run) -> tuple[Ended, Progress]:
    record = run.record
    onlooker = Onlooker(
        run.world, run.target, read_refresh(run.world, record), record=record, pause_of=lambda: _pause_of(run)
    )
    terms = Terms(
        what=f"rollout of {run.target.name} to {record.new_ami_id}",
        limit_s=time_limit_s(record.predicted_s),
        max_failures=record.max_failures,
        next_command=f"{run.attach_command}, which goes on with it; {command('rollout.abort', run.target)}",
    )
    return watch(run.world, onlooker, terms, Acting(run), run.show)


def _pause_of(run: Run) -> str:
    run.reread()
    pause = run.record.pause
    return f"by {pause.by} since {pause.at:%H:%M:%S} UTC" if pause else ""


def _note_success(run: Run) -> None:
    run.check()
    run.note(Happened.VERIFYING, "all machines are replaced; verifying them", phase=Phase.VERIFYING)


def _end_taken_back(run: Run, ended: Ended) -> None:
    run.reread()
    why = run.record.reason or ended.why
    left = verify.taken_back(run)
    if left:
        end(run, Phase.FAILED, f"{why}; AWS says that it is rolled back, but {left}")
        return
    if not verify.is_untouched(run):
        why = f"{why}; the fleet's parameter was changed meanwhile, by others"
    end(run, Phase.ROLLED_BACK, why)


def _end_cancelled(run: Run, ended: Ended, refresh_id: str) -> None:
    """Tell who cancelled a refresh: a promotion goes on with another, an abort is the end."""
    run.reread()
    record = run.record
    if record.phase is Phase.PROMOTING:
        _wait_for_promotion(run)
    elif record.refresh_id != refresh_id:
        return  # promoted: there is another one to watch
    elif newer := find_refresh(run.world, record):
        note_refresh(run, newer.refresh_id)  # promoted, but whoever did it could not say so
    elif record.phase is Phase.ABORTING:
        end(run, Phase.ABORTED, record.reason)
    elif record.phase is Phase.ROLLING_BACK:
        end(run, Phase.FAILED, f"{record.reason}; AWS could not go back, the refresh was cancelled")
    else:
        end(run, Phase.FAILED, f"the refresh was cancelled, but not by Slipway: {ended.why}")


def _wait_for_promotion(run: Run) -> None:
    clock = run.world.clock
    deadline_s = clock.monotonic_s() + _PROMOTION_PATIENCE.total_seconds()
    while run.record.phase is Phase.PROMOTING and clock.monotonic_s() < deadline_s:
        clock.sleep(_PAUSE_S)
        run.reread()


def _promote(run: Run) -> None:
    run.check()
    continue_promotion(run)


def _abort(run: Run) -> None:
    run.kept = adopt_refresh(run.world, run.kept)
    if not run.record.refresh_id:
        end(run, Phase.ABORTED, f"{run.record.reason}; nothing was replaced")
        return
    cancel(run.world, run.record)
    _follow(run)


def _roll_back(run: Run) -> None:
    take_back(run.world, run.record)
    _follow(run)


def _verify(run: Run) -> None:
    if left := verify.rolled_out(run):
        end(run, Phase.FAILED, f"AWS says that all machines are replaced, but {left}")
        return
    point(run)
    record = run.record
    end(run, Phase.SUCCEEDED, f"every machine runs {record.new_ami_id}, version {record.new_version}")


def _serving(last: Progress) -> str:
    return f"{last.new} new and {last.old} old machines are in service"


_STEPS: Mapping[Phase, Callable[[Run], None]] = {
    Phase.BEGUN: _begin,
    Phase.VERSIONED: _start,
    Phase.REFRESHING: _follow,
    Phase.PROMOTING: _promote,
    Phase.ABORTING: _abort,
    Phase.ROLLING_BACK: _roll_back,
    Phase.VERIFYING: _verify,
}
