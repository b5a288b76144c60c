# SPDX-License-Identifier: Apache-2.0
"""Walk through the stretches of a refresh at a pace. Pure.

Without throttling the time of a stretch is that of a batch times their number, so that ten thousand batches
cost as much as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain.forecast.band import Band
from orchestrator.domain.forecast.pace import Pace
from orchestrator.domain.forecast.stretches import Stretch

# The buckets of machines that EC2 lets an account launch and terminate in a region, by default. Whether
# launches of Auto Scaling draw on them is not documented: the slowest course assumes that.
# https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
BUCKET_SIZE = 1000
LAUNCHES_PER_S = 2.0
TERMINATIONS_PER_S = 20.0


@dataclass(slots=True)
class Bucket:
    """A bucket of tokens that is full in the beginning."""

    per_s: float
    tokens: float = float(BUCKET_SIZE)
    filled_at_s: float = 0.0

    def take(self, count: int, at_s: float) -> float:
        """Take tokens from `at_s` on, and return how long it takes until the last is there."""
        self.tokens = min(BUCKET_SIZE, self.tokens + (at_s - self.filled_at_s) * self.per_s)
        wait_s = max(0.0, (count - self.tokens) / self.per_s)
        self.tokens = max(0.0, self.tokens - count)
        self.filled_at_s = at_s + wait_s
        return wait_s


@dataclass(frozen=True, slots=True)
class Walk:
    """When each stretch was done, without its delay, and when all was; seconds."""

    reached_s: tuple[float, ...]
    ends_s: float


def walk(way: Sequence[Stretch], band: Band, pace: Pace) -> Walk:
    """Return the times of a way if nothing is throttled."""
    now = 0.0
    reached = []
    for stretch in way:
        now += sum(times * pace.batch_s(band, size) for size, times in stretch.batches(band.width))
        reached.append(now)
        now += stretch.delay_s
    return Walk(tuple(reached), now)


def walk_throttled(way: Sequence[Stretch], band: Band, pace: Pace) -> Walk:
    """Return the times of a way if launches and terminations draw on EC2's default buckets."""
    if _never_waits(way, band, pace):
        return walk(way, band, pace)
    launches, terminations = Bucket(LAUNCHES_PER_S), Bucket(TERMINATIONS_PER_S)
    now = 0.0
    reached = []
    for stretch in way:
        for size, times in stretch.batches(band.width):
            for _ in range(times):
                now = _batch_ends(now, size, band, pace, launches, terminations)
        reached.append(now)
        now += stretch.delay_s
    return Walk(tuple(reached), now)


def _batch_ends(
    now: float, size: int, band: Band, pace: Pace, launches: Bucket, terminations: Bucket
) -> float:
    at_once, later = band.terminated_first(size), band.launched_first(size)
    gone = now + terminations.take(at_once, now) + pace.gone_s(at_once) if at_once else now
    warm = now + launches.take(size, now) + pace.warm_s(size)
    if later:
        warm += terminations.take(later, warm) + pace.gone_s(later)
    return max(gone, warm)


def _never_waits(way: Sequence[Stretch], band: Band, pace: Pace) -> bool:
    """Tell whether the buckets are full again before each batch."""
    sizes = [size for stretch in way for size, _ in stretch.batches(band.width)]
    largest = max(sizes, default=0)
    return largest <= BUCKET_SIZE and all(
        pace.batch_s(band, size) * LAUNCHES_PER_S >= size for size in set(sizes)
    )
