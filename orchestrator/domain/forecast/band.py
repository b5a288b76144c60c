# SPDX-License-Identifier: Apache-2.0
"""The band that a refresh keeps a fleet in, and how many machines it replaces at once. Pure.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html
https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-maintenance-policy-overview-and-considerations.html
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.refresh import RefreshPreferences

_WHOLE = 100


def share_up(machines: int, percentage: int) -> int:
    """Return a percentage of machines, rounded up."""
    return -(-machines * percentage // _WHOLE)


def share_down(machines: int, percentage: int) -> int:
    """Return a percentage of machines, rounded down."""
    return machines * percentage // _WHOLE


@dataclass(frozen=True, slots=True)
class Band:
    """How few and how many machines there are meant to be while a refresh runs.

    AWS rounds the lower bound up. It does not document how it rounds the upper one, taken here as down.

    Attributes:
        width: How many machines are replaced at once: at least one, whatever the percentages.
        may_terminate_first: How many old machines may leave before their replacements serve.
    """

    lowest: int
    highest: int
    width: int
    may_terminate_first: int

    def terminated_first(self, batch: int) -> int:
        """Return how many of a batch leave while their replacements are launched."""
        return min(batch, self.may_terminate_first)

    def launched_first(self, batch: int) -> int:
        """Return how many of a batch leave only when their replacements are warm."""
        return batch - self.terminated_first(batch)


def band_of(desired: int, preferences: RefreshPreferences, *, ceiling: int | None = None) -> Band:
    """Return the band of a group; `ceiling` is the most machines it may have, if it must keep to that."""
    least, most = preferences.min_healthy_percentage, most_percentage(preferences)
    lowest, highest = share_up(desired, least), share_down(desired, most)
    if ceiling is not None:
        highest = min(highest, ceiling)
    width = max(1, highest - lowest)
    if least < _WHOLE and most <= _WHOLE:
        return Band(lowest, highest, width, width)
    return Band(lowest, highest, width, desired - lowest)


def most_percentage(preferences: RefreshPreferences) -> int:
    """Return the upper percentage; AWS takes 100 for none."""
    given = preferences.max_healthy_percentage
    return _WHOLE if given is None else given
