# SPDX-License-Identifier: Apache-2.0
"""The way of a refresh in stretches from one checkpoint to the next. Pure.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-adding-checkpoints-instance-refresh.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.domain.forecast.band import share_up
from orchestrator.domain.forecast.course import FleetShape
from orchestrator.domain.refresh import RefreshPreferences

_WHOLE = 100
# What AWS waits at a checkpoint if no delay is given.
DEFAULT_CHECKPOINT_DELAY_S = 3600


@dataclass(frozen=True, slots=True)
class Stretch:
    """The replacements up to a checkpoint or the end, and the wait after them.

    Attributes:
        machines: How many are replaced in it.
        percentage: The checkpoint that is reached with it; None where there is none.
        passed_over: Lower checkpoints that are reached with the same machine: AWS tells of the highest only.
        delay_s: The checkpoint's delay; none at the end.
    """

    machines: int
    percentage: int | None = None
    passed_over: tuple[int, ...] = ()
    delay_s: float = 0.0

    def batches(self, width: int) -> Iterator[tuple[int, int]]:
        """Yield batches of the same size as (size, how many): a batch never goes past a checkpoint."""
        full, rest = divmod(self.machines, width)
        if full:
            yield width, full
        if rest:
            yield rest, 1


def stretches(shape: FleetShape, preferences: RefreshPreferences) -> tuple[Stretch, ...]:
    """Return the stretches of a refresh.

    A checkpoint is reached when its share of the group's machines is new. Those that match already count, so
    that one may be reached, and waited at, before anything is replaced. If the last one is below 100 the
    refresh ends there.
    """
    if not shape.replacements:
        return ()
    percentages = preferences.checkpoint_percentages or (_WHOLE,)
    delay_s = preferences.checkpoint_delay_s
    delay_s = DEFAULT_CHECKPOINT_DELAY_S if delay_s is None else delay_s
    found: list[Stretch] = []
    done = 0
    for stop, reached in _stops(shape, percentages):
        is_last = not reached or reached[-1] in (percentages[-1], _WHOLE)
        shown = reached[-1] if reached and preferences.checkpoint_percentages else None
        found.append(Stretch(stop - done, shown, reached[:-1], 0.0 if is_last else float(delay_s)))
        done = stop
        if is_last:
            break
    return tuple(found)


def _stops(shape: FleetShape, percentages: tuple[int, ...]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield after how many replacements to stop, and which percentages are reached with that.

    Machines that are left as they are keep the highest out of reach: the refresh ends without them. What the
    group lacks is launched as new machines.
    """
    given = shape.matching + max(0, shape.desired - shape.in_service)
    stops: dict[int, tuple[int, ...]] = {}
    for percentage in percentages:
        needed = max(0, share_up(shape.desired, percentage) - given)
        stop = min(needed, shape.replacements)
        stops[stop] = stops.get(stop, ()) + ((percentage,) if needed <= stop else ())
    yield from sorted(stops.items())
