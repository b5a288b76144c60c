# SPDX-License-Identifier: Apache-2.0
"""Foresee the course of a refresh. Pure.

Batches go one after another: the next begins when all replacements of the last are warm and its old machines
are gone. This is how AWS's own examples go; it may also refill machine by machine, which is faster, and which
the lower end of a forecast covers.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-adding-checkpoints-instance-refresh.html
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from orchestrator.domain.forecast.band import Band, band_of
from orchestrator.domain.forecast.course import Batch, Course, CourseCheckpoint, FleetShape, Spread, Timing
from orchestrator.domain.forecast.order_statistics import expected_last
from orchestrator.domain.forecast.pace import Pace, high, likely, low
from orchestrator.domain.forecast.stretches import Stretch, stretches
from orchestrator.domain.forecast.walk import Walk, walk, walk_throttled
from orchestrator.domain.refresh import RefreshPreferences

_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a course comes to, without its details: quick enough to be made for thousands of preferences."""

    duration_s: float
    least_in_service: int
    most_running: int
    surge_machine_hours: float
    width: int


def timed(timing: Timing, preferences: RefreshPreferences) -> Timing:
    """Return a timing with the warm-up that the preferences ask for, if they do."""
    if preferences.instance_warmup_s is None or preferences.instance_warmup_s == timing.warmup_s:
        return timing
    warmup_s = float(preferences.instance_warmup_s)
    return Timing(
        timing.boot_s, warmup_s, timing.leave_s, timing.source, timing.samples, timing.failure_share
    )


def sketch(
    shape: FleetShape, preferences: RefreshPreferences, timing: Timing, *, ceiling: int | None = None
) -> Sketch:
    """Return what a course comes to; `ceiling` is the most machines there may be."""
    pace = likely(timed(timing, preferences))
    band = band_of(shape.desired, preferences, ceiling=ceiling)
    way = stretches(shape, preferences)
    duration_s = walk(way, band, pace).ends_s + (preferences.refresh_bake_time_s if way else 0)
    return Sketch(
        duration_s=duration_s,
        least_in_service=shape.in_service - band.terminated_first(_largest(way, band)),
        most_running=_most_running(shape, way, band, timing),
        surge_machine_hours=_surge_machine_hours(way, band, pace),
        width=band.width,
    )


def course(shape: FleetShape, preferences: RefreshPreferences, timing: Timing) -> Course:
    """Return the course of a refresh, without its cliffs."""
    timing = timed(timing, preferences)
    band = band_of(shape.desired, preferences)
    way = stretches(shape, preferences)
    walks = (
        walk(way, band, low(timing)),
        walk(way, band, likely(timing)),
        walk_throttled(way, band, high(timing)),
    )
    outline = sketch(shape, preferences, timing)
    bake_s = preferences.refresh_bake_time_s if way else 0
    return Course(
        duration_s=_spread(*(each.ends_s + bake_s for each in walks)),
        batches=_batches(way, band, likely(timing)),
        checkpoints=_checkpoints(shape, way, walks),
        least_in_service=outline.least_in_service,
        most_running=outline.most_running,
        surge_machine_hours=outline.surge_machine_hours,
        surge_usd=outline.surge_machine_hours * shape.machine_usd_per_hour,
    )


def _spread(lowest: float, middle: float, highest: float) -> Spread:
    return Spread(min(lowest, middle), middle, max(middle, highest))


def _batches(way: tuple[Stretch, ...], band: Band, pace: Pace) -> tuple[Batch, ...]:
    found: list[Batch] = []
    now = 0.0
    for stretch in way:
        for size, times in stretch.batches(band.width):
            batch_s = pace.batch_s(band, size)
            found += [Batch(now + batch_s * number, size) for number in range(times)]
            now += batch_s * times
        now += stretch.delay_s
    return tuple(found)


def _checkpoints(
    shape: FleetShape, way: tuple[Stretch, ...], walks: tuple[Walk, Walk, Walk]
) -> tuple[CourseCheckpoint, ...]:
    machines = accumulate((stretch.machines for stretch in way), initial=shape.matching)
    next(machines)
    reached = zip(*(each.reached_s for each in walks), strict=True)
    return tuple(
        CourseCheckpoint(stretch.percentage, _spread(*times), count)
        for stretch, count, times in zip(way, machines, reached, strict=True)
        if stretch.percentage is not None
    )


def _largest(way: tuple[Stretch, ...], band: Band) -> int:
    return max((min(band.width, stretch.machines) for stretch in way), default=0)


def _most_running(shape: FleetShape, way: tuple[Stretch, ...], band: Band, timing: Timing) -> int:
    """Return the most machines that run: those that drain run still, beside their replacements."""
    batch = _largest(way, band)
    leaves_slowly = timing.leave_s.high > 0
    return shape.in_service + (batch if leaves_slowly else band.launched_first(batch))


def _surge_machine_hours(way: tuple[Stretch, ...], band: Band, pace: Pace) -> float:
    """Return what is launched before an old machine may leave, until that is gone: R (L + U + D) / 3600."""
    seconds = 0.0
    for stretch in way:
        for size, times in stretch.batches(band.width):
            later = band.launched_first(size)
            if later:
                gone_s = expected_last(pace.timing.leave_s, 1)
                seconds += times * later * (pace.warm_s(size) + gone_s)
    return seconds / _HOUR_S
