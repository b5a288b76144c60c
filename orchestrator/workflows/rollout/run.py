# SPDX-License-Identifier: Apache-2.0
"""One command that carries a rollout out: its record, and what it must ask before each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.domain.rollout.record import Happened, Note, Phase, RolloutRecord
from orchestrator.ports import Reporter
from orchestrator.workflows.rollout import records
from orchestrator.workflows.rollout.messages import Messages
from orchestrator.workflows.rollout.names import command
from orchestrator.workflows.rollout.records import Kept
from orchestrator.workflows.rollout.world import ProgressSink, RolloutWorld

INSTANCE_REFRESH = "InstanceRefresh"  # the process of a group that replaces machines


@dataclass
class Run:
    """A rollout in hand. `check` raises Refused once the fleet's lock was lost."""

    world: RolloutWorld
    target: RolloutTarget
    kept: Kept
    check: Callable[[], None]
    reporter: Reporter
    show: ProgressSink
    messages: Messages

    @property
    def record(self) -> RolloutRecord:
        """Return the record as it was last read or written."""
        return self.kept.record

    @property
    def attach_command(self) -> str:
        """Return the command that goes on with the rollout."""
        return command("rollout", self.target)

    def note(self, what: Happened, says: str, **fields: Any) -> None:
        """Write to the record that something happened, and what that changes.

        A record that is over stays so. A phase that others have changed meanwhile stays as well, unless what
        happened settles it: an abort comes too late for a refresh that has succeeded.
        """
        note, believed = Note(self.world.clock.now(), what, says), self.record.phase
        phase = fields.get("phase")
        is_settled = phase is Phase.VERIFYING or (phase is not None and phase.is_over)

        def how(record: RolloutRecord) -> RolloutRecord:
            if record.phase.is_over:
                return record
            kept = {} if is_settled or record.phase is believed else {"phase": record.phase}
            return records.noted(replace(record, **(fields | kept)), note)

        self.kept = records.change(self.world, self.kept, how)
        self.reporter.step(self.target.name, says)

    def reread(self) -> None:
        """Read the record again: others may have changed it."""
        self.kept = records.reread(self.world, self.kept)

    def give_pause_back(self) -> None:
        """Resume what `rollout.pause` has suspended, whoever asked for it."""
        paused, self.kept = self.record.pause, give_pause_back(self.world, self.kept)
        if paused:
            self.reporter.step(self.target.name, f"resumed: {paused.by} had paused it")


def give_pause_back(world: RolloutWorld, kept: Kept) -> Kept:
    """Resume the group's process if it is us who suspended it, then forget that we did."""
    record = kept.record
    if record.pause is None:
        return kept
    says = f"resumed: {record.pause.by} had paused it at {record.pause.at:%H:%M:%S} UTC"
    world.fleets.resume(record.group, INSTANCE_REFRESH)
    note = Note(world.clock.now(), Happened.RESUMED, says)
    return records.change(world, kept, lambda each: records.noted(replace(each, pause=None), note))
