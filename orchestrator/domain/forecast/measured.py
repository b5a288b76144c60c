# SPDX-License-Identifier: Apache-2.0
"""Measure how long a group's machines take, in what the group did before. Pure.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Activity.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from orchestrator.domain.fleet import ScalingActivity
from orchestrator.domain.forecast.course import Spread, Timing, TimingSource
from orchestrator.domain.forecast.order_statistics import HIGH_SHARE, LOW_SHARE

LEAST_SAMPLES = 3
# A machine that is taken out because it is ill leaves without draining: it says nothing of a rollout.
_ILL = "health check"


def measured_timing(activities: Sequence[ScalingActivity], *, warmup_s: float, assumed: Timing) -> Timing:
    """Return a group's timing: measured where at least three activities tell it, assumed where not.

    A launch's activity ends when the machine is in service, a termination's when it is gone. The spreads are
    the 5th, 50th and 95th percentile, so that a machine that hung for an hour does not count as usual.
    """
    launches = [each for each in activities if each.is_launch]
    boots = _durations(launches)
    leaves = _durations(each for each in activities if each.is_termination and _ILL not in each.cause)
    timing = replace(assumed, warmup_s=warmup_s)
    if len(boots) >= LEAST_SAMPLES:
        failed = sum(each.has_failed for each in launches)
        timing = replace(
            timing,
            boot_s=_percentiles(boots),
            source=TimingSource.MEASURED,
            samples=len(boots),
            failure_share=failed / (failed + len(boots)),
        )
    return replace(timing, leave_s=_percentiles(leaves)) if len(leaves) >= LEAST_SAMPLES else timing


def _durations(activities: Iterable[ScalingActivity]) -> list[float]:
    return sorted(
        max(0.0, (each.ended_at - each.started_at).total_seconds())
        for each in activities
        if each.ended_at is not None and not each.has_failed
    )


def _percentiles(ordered: list[float]) -> Spread:
    return Spread(*(_percentile(ordered, share) for share in (LOW_SHARE, 0.5, HIGH_SHARE)))


def _percentile(ordered: list[float], share: float) -> float:
    """Return a percentile between the two nearest samples, as if they were spread at (n + 1) equal steps."""
    place = min(max(share * (len(ordered) + 1) - 1, 0.0), len(ordered) - 1.0)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
