# SPDX-License-Identifier: Apache-2.0
"""Decide how many instances a refresh replaces next. Pure: nothing is changed here.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html
https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-adding-checkpoints-instance-refresh.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.autoscaling.group import Group
from sandbox.autoscaling.refresh.capacity import Band, needed, share_reached
from sandbox.autoscaling.refresh.tally import LEAVING, Kind, Tally


@dataclass(frozen=True, slots=True)
class View:
    """A group as its refresh sees it.

    Attributes:
        missing: How many instances are still to be launched, answered or not.
        stale: Those that may be replaced now.
        held: Those that are to be replaced and can't be now: protected, in standby, or being launched.
        fresh: Those that are replaced, healthy and warm.
        unready: Those that are replaced and not that far.
        surge: How many launches take the place of some that serve still.
    """

    desired: int
    missing: int
    healthy: int
    stale: int
    held: int
    fresh: int
    unready: int
    leaving_first: int
    leaving_last: int
    surge: int
    surplus: int

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way: what was begun to be replaced is replaced."""
        leaving = self.leaving_first + self.leaving_last
        return not any((self.missing, self.unready, leaving, self.surge, self.surplus))

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to be replaced."""
        return self.is_settled and not self.stale and not self.held


def view(group: Group, tally: Tally) -> View:
    """Look at a group."""
    refresh, counts = group.refresh, tally.counts
    ordered = sum(order.count for order in group.orders)
    return View(
        desired=group.settings.desired,
        missing=max(group.target - group.capacity, 0) + ordered,
        healthy=tally.healthy,
        stale=counts[Kind.STALE],
        held=counts[Kind.COMING] + counts[Kind.PROTECTED] + counts[Kind.STANDBY] + counts[Kind.DOOMED],
        fresh=counts[Kind.FRESH],
        unready=counts[Kind.UNREADY],
        leaving_first=counts[LEAVING[0]],
        leaving_last=counts[LEAVING[1]],
        surge=refresh.surge if refresh else 0,
        surplus=group.surplus,
    )


def replacements(seen: View, band: Band, *, budget: int | None, slot_by_slot: bool) -> tuple[int, int]:
    """Return how many to replace now: ended before a new one serves, and after.

    `budget` is how many new ones the next checkpoint takes.
    """
    most = seen.stale if budget is None else min(seen.stale, budget)
    if slot_by_slot:
        first = band.first - max(seen.leaving_first, seen.unready + seen.missing - seen.surge)
        last = band.last - seen.surge - seen.leaving_last
    else:
        first, last = (band.first, band.last) if seen.is_settled else (0, 0)
    first = max(min(first, most, seen.healthy - band.low), 0)
    return first, max(min(last, most - first), 0)


def closes(seen: View, band: Band, *, slot_by_slot: bool) -> int:
    """Return how many may be ended now because what takes their place serves."""
    if not slot_by_slot and (seen.unready or seen.missing):
        return 0
    return max(min(seen.surge, seen.healthy - band.low, seen.stale), 0)


def reached(seen: View, checkpoints: Sequence[int]) -> int:
    """Return how many checkpoints the share of new instances has reached."""
    return sum(share_reached(seen.fresh, seen.desired, each) for each in checkpoints)


def budget(seen: View, checkpoints: Sequence[int], passed: int) -> int | None:
    """Return how many new instances there may be until the next checkpoint; None without one."""
    if passed >= len(checkpoints):
        return None
    return max(needed(seen.desired, checkpoints[passed]) - seen.fresh - seen.unready - seen.missing, 0)


def progress(seen: View, tally: Tally) -> tuple[int, int]:
    """Return what share of the instances is replaced, in percent, and how many are not."""
    outside = tally.counts[Kind.STANDBY] + tally.counts[Kind.DOOMED]
    total = max(seen.desired - tally.counts[Kind.IGNORED], 0) + outside
    fresh = min(seen.fresh, total)
    return (fresh * 100 // total if total else 100), total - fresh
