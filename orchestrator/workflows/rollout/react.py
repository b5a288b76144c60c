# SPDX-License-Identifier: Apache-2.0
"""What the run that holds the fleet's lock does about what it sees; others only tell it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from orchestrator.domain.rollout.progress import MachineFailure, Progress
from orchestrator.domain.rollout.record import Happened, Phase
from orchestrator.errors import AwsError
from orchestrator.ports import Reporter
from orchestrator.workflows.rollout.look import checkpoint_words
from orchestrator.workflows.rollout.records import has_noted
from orchestrator.workflows.rollout.run import Run
from orchestrator.workflows.rollout.steps import take_back

_CONSOLE_LINES = 20
# A bad image says the same on every machine.
_MOST_CONSOLES = 5


class Acting:
    """Writes down what happens, and takes a bad image back."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._has_acted = False

    def on_failures(self, failures: tuple[MachineFailure, ...]) -> None:
        """Write failures down, with what the machines wrote on their consoles while they are there."""
        known = self._run.record.failures
        room = max(0, _MOST_CONSOLES - len(known))
        seen = [self._with_console(each) if n < room else each for n, each in enumerate(failures)]
        fresh = tuple(each for each in seen if not _is_known(each, known))
        for n, failure in enumerate(fresh, start=1):
            self._run.note(Happened.FAILURE, failure.line(), failures=(*known, *fresh[:n]))

    def on_checkpoint(self, percentage: int, progress: Progress) -> None:
        """Write a checkpoint down and tell of it, once."""
        says = checkpoint_words(percentage)
        if progress.checkpoint is None or has_noted(self._run.record, Happened.CHECKPOINT, says):
            return
        self._run.note(Happened.CHECKPOINT, says)
        until = f"{progress.checkpoint.ends_at:%H:%M:%S} UTC"
        counts = f"{progress.new} new and {progress.old} old machines are in service"
        self._run.messages.tell(f"at {says}", f"{counts}; it goes on at {until}")

    def on_bad(self, why: str) -> None:
        """Take the refresh back at once; two runs that do it do no harm, so the lock is not asked for."""
        run = self._run
        if not self._has_acted and run.record.phase is not Phase.ROLLING_BACK:
            run.note(Happened.ROLLBACK, f"taken back: {why}", phase=Phase.ROLLING_BACK, reason=why)
            run.give_pause_back()
        take_back(run.world, run.record)
        if not self._has_acted:
            run.messages.tell("is taken back", why)
        self._has_acted = True

    def on_way_back(self, why: str) -> None:
        """Write down that AWS takes it back, for an alarm or for somebody."""
        run = self._run
        run.reread()
        if self._has_acted or run.record.phase is Phase.ROLLING_BACK:
            return
        self._has_acted = True
        run.note(Happened.ROLLBACK, f"AWS takes it back: {why}", phase=Phase.ROLLING_BACK, reason=why)
        run.give_pause_back()
        run.messages.tell("is taken back", why)

    def _with_console(self, failure: MachineFailure) -> MachineFailure:
        if not failure.instance_id:
            return failure
        try:
            text = self._run.world.machines.console_output(failure.instance_id)
        except AwsError:
            return failure  # it is gone, or AWS is busy: neither is a reason to let a bad image go on
        return replace(failure, console=tuple(text.splitlines()[-_CONSOLE_LINES:]))


class Telling:
    """Tells what happens, and leaves it to others to act on it."""

    def __init__(self, reporter: Reporter, task: str) -> None:
        self._reporter, self._task = reporter, task

    def on_failures(self, failures: tuple[MachineFailure, ...]) -> None:
        """Tell of failures."""
        for each in failures:
            self._reporter.step(self._task, each.line())

    def on_checkpoint(self, percentage: int, progress: Progress) -> None:
        """Tell of a checkpoint."""
        self._reporter.step(self._task, checkpoint_words(percentage))

    def on_bad(self, why: str) -> None:
        """Tell that too many machines failed."""
        self._reporter.step(self._task, why)

    def on_way_back(self, why: str) -> None:
        """Tell that it is taken back."""
        self._reporter.step(self._task, f"is taken back: {why}")


def _is_known(failure: MachineFailure, known: Iterable[MachineFailure]) -> bool:
    return any(
        (each.instance_id, each.activity_id) == (failure.instance_id, failure.activity_id) for each in known
    )
