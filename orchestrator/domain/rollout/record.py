# SPDX-License-Identifier: Apache-2.0
"""What a rollout intended and did, as kept in the config bucket: a run that was killed is gone on with by it.

It is written before the first call that changes anything, and after each.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orchestrator.domain.forecast.course import Spread
from orchestrator.domain.refresh import RefreshPreferences
from orchestrator.domain.rollout.progress import MachineFailure

SCHEMA = 1


class Phase(StrEnum):
    """How far a rollout is."""

    BEGUN = "begun"  # intended; the version may exist
    VERSIONED = "versioned"  # the new version of the launch template exists; the refresh may run
    REFRESHING = "refreshing"  # the refresh runs
    PROMOTING = "promoting"  # a refresh is cancelled to begin another one past a checkpoint
    ABORTING = "aborting"  # an operator wants it stopped half-way
    ROLLING_BACK = "rolling back"  # the guard or an operator wants it taken back
    VERIFYING = "verifying"  # the refresh has succeeded; the pointer may be written
    SUCCEEDED = "succeeded"
    ROLLED_BACK = "rolled back"
    ABORTED = "aborted"  # an operator stopped it half-way
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Tell whether nothing is left to be done."""
        return self in (self.SUCCEEDED, self.ROLLED_BACK, self.ABORTED, self.FAILED)


class Happened(StrEnum):
    """What a note tells of: the picture of a rollout is drawn by these words."""

    BEGUN = "begun"
    VERSION = "version"  # the launch template's new version is there
    REFRESH = "refresh"  # a refresh was begun
    CHECKPOINT = "checkpoint"  # AWS waits at one
    FAILURE = "failure"  # a new machine failed
    ATTACHED = "attached"  # another run goes on with it
    PAUSED = "paused"
    RESUMED = "resumed"
    PROMOTED = "promoted"  # an operator did not wait for a checkpoint's end
    ABORTED = "aborted"
    ROLLBACK = "rollback"  # it is being taken back
    VERIFYING = "verifying"
    POINTER = "pointer"  # the parameter names the new image
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened, for the history: `what` is a word of Happened, `says` a sentence."""

    at: datetime
    what: str
    says: str


@dataclass(frozen=True, slots=True)
class Pause:
    """The group's InstanceRefresh process is suspended by us."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """One rollout of one fleet. `rollout_id` is the id of the run that began it, and sorts by time.

    Attributes:
        predicted_s: From the start of the refresh; likely a range.
        newest_refresh_before: The group's newest refresh when it began: ours are newer.
        pointer_before: The AMI that the fleet's parameter named when it began.
        passed_checkpoint: The percentage that an operator promoted it past; 0 when nobody did.
        reason: Why it is being aborted or rolled back, and for whom.
        takes_back: The rollout that this one takes back; set by `rollout.rollback` after success.
    """

    rollout_id: str
    environment: str
    fleet: str
    group: str
    begun_by: str
    begun_at: datetime
    template_id: str
    old_version: int
    old_ami_id: str
    new_ami_id: str
    preferences: RefreshPreferences
    max_failures: int
    predicted_s: Spread
    phase: Phase = Phase.BEGUN
    new_version: int | None = None
    refresh_ids: tuple[str, ...] = ()
    machines: int = 0
    pause: Pause | None = None
    failures: tuple[MachineFailure, ...] = ()
    notes: tuple[Note, ...] = ()
    outcome: str = ""
    ended_at: datetime | None = None
    takes_back: str = ""
    newest_refresh_before: str = ""
    pointer_before: str = ""
    passed_checkpoint: int = 0
    reason: str = ""

    @property
    def refresh_id(self) -> str:
        """Return the refresh that carries it out, empty before there is one."""
        return self.refresh_ids[-1] if self.refresh_ids else ""

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Return the checkpoints that a refresh begun now would stop at."""
        return tuple(
            each for each in self.preferences.checkpoint_percentages if each > self.passed_checkpoint
        )

    @property
    def actual_s(self) -> float | None:
        """Return how long it took, None while it goes on."""
        return (self.ended_at - self.begun_at).total_seconds() if self.ended_at else None
