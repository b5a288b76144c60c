# SPDX-License-Identifier: Apache-2.0
"""What a forecast starts from, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Spread:
    """A quantity that is not known exactly: the least, the likeliest and the most it will be."""

    low: float
    likely: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Spread:
        """Return a quantity that is known."""
        return cls(value, value, value)

    def plus(self, other: Spread) -> Spread:
        """Return the sum."""
        return Spread(self.low + other.low, self.likely + other.likely, self.high + other.high)


class TimingSource(StrEnum):
    """Where a timing comes from."""

    MEASURED = "measured"  # in this group's own scaling activities
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a machine takes. All in seconds.

    Attributes:
        boot_s: From the launch until it is in service: boot, and what its launch hook waits for.
        warmup_s: After that, until it counts.
        leave_s: From the choice of an old machine until it is gone: drain, and what its hook waits for.
        samples: How many launches `boot_s` was measured in; 0 when it is assumed.
        failure_share: How many of all launches come to nothing and are made again, from 0 to less than 1.
    """

    boot_s: Spread
    warmup_s: float
    leave_s: Spread
    source: TimingSource = TimingSource.ASSUMED
    samples: int = 0
    failure_share: float = 0.0


@dataclass(frozen=True, slots=True)
class FleetShape:
    """The fleet that a refresh meets.

    Attributes:
        to_replace: How many machines in service are to be replaced, by zone.
        to_keep: How many in service stay: they match already, or are protected and ignored; by zone.
        desired: The group's desired capacity, which percentages are of.
        max_size: The group's maximum.
        machine_usd_per_hour: What one machine costs.
        not_matching: How many of those that stay are on another version: protected ones that are ignored.
    """

    to_replace: Mapping[str, int]
    to_keep: Mapping[str, int]
    desired: int
    max_size: int
    machine_usd_per_hour: float = 0.0
    not_matching: int = 0

    @property
    def in_service(self) -> int:
        """Return how many machines are in service before the refresh."""
        return self.replacements + sum(self.to_keep.values())

    @property
    def matching(self) -> int:
        """Return how many machines are new before the refresh."""
        return sum(self.to_keep.values()) - self.not_matching

    @property
    def replacements(self) -> int:
        """Return how many machines are to be replaced."""
        return sum(self.to_replace.values())


@dataclass(frozen=True, slots=True)
class Batch:
    """Machines that are replaced at once, `starts_s` after the beginning, if all goes as is likely."""

    starts_s: float
    machines: int


@dataclass(frozen=True, slots=True)
class CourseCheckpoint:
    """A checkpoint, when it is reached, and how many new machines there are then."""

    percentage: int
    reached_s: Spread
    machines: int


@dataclass(frozen=True, slots=True)
class Course:
    """How a rollout will go if nothing fails.

    Attributes:
        duration_s: From the start of the refresh to its success, delays and AWS's BakeTime included.
        least_in_service: The fewest machines that serve at any time.
        most_running: The most machines that run at any time: what quotas and addresses must allow.
        surge_machine_hours: What machines run that are launched before the ones they replace may leave, until
            those are gone, in machine-hours.
        cliffs: What a small change of a number would change a lot, in sentences.
    """

    duration_s: Spread
    batches: tuple[Batch, ...]
    checkpoints: tuple[CourseCheckpoint, ...]
    least_in_service: int
    most_running: int
    surge_machine_hours: float
    surge_usd: float
    cliffs: tuple[str, ...] = ()
