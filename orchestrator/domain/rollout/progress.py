# SPDX-License-Identifier: Apache-2.0
"""How far a rollout is, as one look finds it: what a screen shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from orchestrator.domain.fleet import ScalingActivity
from orchestrator.domain.forecast.course import Spread
from orchestrator.domain.refresh import InstanceRefresh


class FailureKind(StrEnum):
    """How a new machine failed."""

    LAUNCH = "launch"
    HOOK = "hook"
    STATUS_CHECK = "status check"
    TARGET_HEALTH = "target health"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class MachineFailure:
    """A new machine that failed; `instance_id` is empty if it did not even come to be.

    `activity_id` is the scaling activity that tells of it, if one does; `console` has the last lines that the
    machine wrote on its console.
    """

    instance_id: str
    kind: FailureKind
    says: str
    at: datetime
    activity_id: str = ""
    console: tuple[str, ...] = ()

    def line(self) -> str:
        """Return it as an operator reads it."""
        return f"{self.instance_id or 'a machine that was not launched'}: {self.kind}: {self.says}"


@dataclass(frozen=True, slots=True)
class ZoneProgress:
    """A zone's machines: of the old and the new version in service, and on their way in or out."""

    old: int = 0
    new: int = 0
    coming: int = 0
    leaving: int = 0


@dataclass(frozen=True, slots=True)
class CheckpointClock:
    """A checkpoint that is waited at."""

    percentage: int
    reached_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a rollout."""

    target: str
    at: datetime
    begun_at: datetime
    refresh: InstanceRefresh
    desired: int
    zones: Mapping[str, ZoneProgress] = field(default_factory=dict)
    # Machines by what the balancer says of them; empty for a fleet without one.
    targets: Mapping[str, int] = field(default_factory=dict)
    checkpoint: CheckpointClock | None = None
    # From the start of the refresh; None when nobody made a forecast.
    predicted_s: Spread | None = None
    activities: tuple[ScalingActivity, ...] = ()
    failures: tuple[MachineFailure, ...] = ()
    max_failures: int = 0
    # Who paused it and since when; empty while it goes on.
    paused: str = ""
    # The rollout that this one takes back by rolling to the image before; empty for any other.
    takes_back: str = ""

    @property
    def old(self) -> int:
        """Return how many machines in service are of the old version."""
        return sum(each.old for each in self.zones.values())

    @property
    def new(self) -> int:
        """Return how many machines in service are of the new version."""
        return sum(each.new for each in self.zones.values())
