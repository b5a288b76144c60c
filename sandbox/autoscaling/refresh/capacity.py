# SPDX-License-Identifier: Apache-2.0
"""How much of a group may be away, or too much, while it is refreshed. Pure.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-maintenance-policy-overview-and-considerations.html
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.autoscaling.refresh.choices import Choices
from sandbox.autoscaling.refresh.preferences import Preferences

WHOLE = 100


@dataclass(frozen=True, slots=True)
class Band:
    """How many instances are replaced at a time.

    Attributes:
        low: How many healthy instances there are at least.
        high: How many instances there are at most.
        first: How many may be ended before what takes their place is in service.
        last: How many may be ended only after it is.
    """

    low: int
    high: int
    first: int
    last: int

    @property
    def width(self) -> int:
        """How many may be replaced at once."""
        return self.first + self.last


def band(desired: int, preferences: Preferences, choices: Choices, *, max_size: int) -> Band:
    """Return how a group of a size may be replaced: at least one instance at a time.

    The least is rounded up. Without room on either side, one is launched first where the percentages ask for
    all of the group or allow more than it, and else one is ended first.
    """
    least, most = preferences.min_healthy, preferences.max_healthy or WHOLE
    low = -(-desired * least // WHOLE)
    high = -(-desired * most // WHOLE) if choices.rounds_max_healthy_up else desired * most // WHOLE
    if not choices.surge_may_exceed_max_size:
        high = max(desired, min(high, max_size))
    if low == high == desired and desired:
        has_surge = choices.surge_may_exceed_max_size or max_size > desired
        goes_first = least == WHOLE or (most > WHOLE and choices.launches_first_without_room)
        if not goes_first:
            low -= 1
        elif has_surge:
            high += 1
    return Band(low, high, desired - low, high - desired)


def share_reached(fresh: int, desired: int, percentage: int) -> bool:
    """Whether so many new instances are a percentage of a group."""
    return fresh * WHOLE >= percentage * desired


def needed(desired: int, percentage: int) -> int:
    """Return how many new instances a percentage of a group is."""
    return -(-desired * percentage // WHOLE)
