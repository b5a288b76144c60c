# SPDX-License-Identifier: Apache-2.0
"""What a look at a refresh means for its rollout, and how soon to look again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.fleet import FleetGroup
from orchestrator.domain.refresh import InstanceRefresh, RefreshStatus
from orchestrator.domain.rollout.progress import MachineFailure

_WHOLE = 100
# Whoever looks at a small fleet wants to see it move; a large one moves all the time, and is long to read.
_SMALL_FLEET, _LARGE_FLEET = 20, 200
FIRST_PAUSE_S, _LARGE_PAUSE_S = 2.0, 8.0
_LONGEST_PAUSE_SMALL_S, _LONGEST_PAUSE_S, _LONGEST_PAUSE_WAITING_S = 5.0, 15.0, 20.0
_GROWTH = 1.5


class Ending(StrEnum):
    """How a refresh ended."""

    SUCCEEDED = "succeeded"
    TAKEN_BACK = "taken back"
    CANCELLED = "cancelled"
    BROKEN = "broken"  # neither the old nor the new version is all that is in service


@dataclass(frozen=True, slots=True)
class Continue:
    """Look again."""


@dataclass(frozen=True, slots=True)
class RollBack:
    """Take it back at once."""

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """It is over; `why` has AWS's reason."""

    ending: Ending
    why: str


Decision = Continue | RollBack | Ended

_ENDINGS = {
    RefreshStatus.SUCCESSFUL: Ending.SUCCEEDED,
    RefreshStatus.ROLLBACK_SUCCESSFUL: Ending.TAKEN_BACK,
    RefreshStatus.CANCELLED: Ending.CANCELLED,
    RefreshStatus.FAILED: Ending.BROKEN,
    RefreshStatus.ROLLBACK_FAILED: Ending.BROKEN,
}
_GOES_FORWARD = frozenset({RefreshStatus.PENDING, RefreshStatus.IN_PROGRESS, RefreshStatus.BAKING})


def decide(refresh: InstanceRefresh, failures: Sequence[MachineFailure], *, max_failures: int) -> Decision:
    """Return what to do, given the refresh and all failures of new machines so far.

    Args:
        max_failures: So many failures take it back; 0 where that is not for us to do.
    """
    if ending := _ENDINGS.get(refresh.status):
        return Ended(ending, why_it_ended(refresh))
    if max_failures and len(failures) >= max_failures and refresh.status in _GOES_FORWARD:
        return RollBack(why_guarded(failures))
    return Continue()


def why_guarded(failures: Sequence[MachineFailure]) -> str:
    """Return why the guard takes a rollout back: how many new machines failed, and how each."""
    told = "; ".join(each.line() for each in failures)
    return f"{len(failures)} new machine{'' if len(failures) == 1 else 's'} failed: {told}"


def why_it_ended(refresh: InstanceRefresh) -> str:
    """Return AWS's reasons: of a rollback, that which caused it first."""
    reasons = dict.fromkeys(((refresh.rollback.reason if refresh.rollback else ""), refresh.reason))
    return "; ".join(each for each in reasons if each) or f"AWS says {refresh.status}"


def checkpoint_reached(refresh: InstanceRefresh, percentage: int) -> int:
    """Return the checkpoint that a refresh has come to last, 0 before the first; the end is none.

    AWS passes over those that one batch goes beyond.
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-adding-checkpoints-instance-refresh.html

    Args:
        percentage: How much of the group is new: AWS's number for a refresh that began with nothing new.
    """
    if refresh.status is not RefreshStatus.IN_PROGRESS:
        return 0
    reached = (each for each in refresh.preferences.checkpoint_percentages if each <= percentage)
    return max((each for each in reached if each < _WHOLE), default=0)


def percentage_new(refresh: InstanceRefresh, group: FleetGroup, *, has_head_start: bool) -> int:
    """Return how much of a group is new.

    AWS's number counts what a refresh itself has replaced, once it is warm. One that goes on where another
    was cancelled has new machines to begin with, which count for its checkpoints, so they are counted here.
    """
    if not has_head_start:
        return refresh.percentage
    new = sum(each.is_of(refresh.template_id, refresh.version or 0) for each in group.in_service)
    return min(_WHOLE, _WHOLE * new // max(1, group.desired_capacity))


def next_pause_s(last_s: float, *, machines: int, has_moved: bool, is_waiting: bool) -> float:
    """Return the seconds until the next look: few while things move, at most 20.

    One in two looks reads the activities, the other the targets: a failure is seen after two pauses at most.

    Args:
        machines: The group's desired capacity.
        is_waiting: Nothing is to be expected: it is paused, or waits at a checkpoint.
    """
    if has_moved:
        return FIRST_PAUSE_S if machines <= _LARGE_FLEET else _LARGE_PAUSE_S
    longest = _LONGEST_PAUSE_SMALL_S if machines <= _SMALL_FLEET else _LONGEST_PAUSE_S
    return min(last_s * _GROWTH, _LONGEST_PAUSE_WAITING_S if is_waiting else longest)
