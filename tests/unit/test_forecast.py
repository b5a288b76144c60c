# SPDX-License-Identifier: Apache-2.0
"""The course of a rollout, foreseen: times, batches, checkpoints, capacity and cost."""

from __future__ import annotations

import pytest

from orchestrator.domain.forecast import forecast
from orchestrator.domain.forecast.course import Batch, Course, CourseCheckpoint, FleetShape, Spread, Timing
from orchestrator.domain.refresh import RefreshPreferences

MINUTE, HOUR = 60, 3600
# A minute to launch and boot, five to warm up, five to drain.
TIMING = Timing(Spread.exactly(60), 300, Spread.exactly(300))


def fleet(machines: int, **more: int) -> FleetShape:
    return FleetShape({"a": machines}, {}, machines, machines * 2, **more)


def course_of(machines: int, least: int, most: int | None = None, **more: object) -> Course:
    return forecast(fleet(machines), RefreshPreferences(least, most, **more), TIMING)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("least", "most", "machines", "hours"),
    [
        (90, 100, 20, 1.0),
        (90, 100, 100, 1.0),
        (90, 100, 1000, 1.0),
        (90, 100, 10000, 1.0),
        (100, 100, 20, 3.67),
        (100, 100, 100, 18.33),
        (100, 100, 1000, 183.33),
        (100, 100, 10000, 1833.33),
        (100, 110, 20, 1.83),
        (100, 110, 100, 1.83),
        (100, 110, 10000, 1.83),
        (90, 110, 20, 0.92),
        (90, 110, 1000, 0.92),
        (100, 200, 20, 0.18),
        (100, 200, 10000, 0.18),
        (90, 100, 19, 1.9),
        (89, 100, 19, 1.0),
        (90, 100, 29, 1.5),
        (90, 100, 30, 1.0),
    ],
)
def test_batches_of_the_band_s_width_take_so_many_hours(
    least: int, most: int, machines: int, hours: float
) -> None:
    duration = course_of(machines, least, most).duration_s
    assert duration.likely / HOUR == pytest.approx(hours, abs=0.005)
    assert duration.low == duration.likely


@pytest.mark.parametrize(
    ("least", "most", "hours"),
    [
        (90, 100, 1.35),
        (100, 100, 1833.33),
        (100, 110, 1.83),
        (90, 110, 1.61),
        # 1.43 until the last machine is launched, warm and drained; 450 s more for its bucket of terminations.
        (100, 200, 1.43 + 0.125),
    ],
)
def test_ec2_s_buckets_hold_ten_thousand_launches_back_at_worst(least: int, most: int, hours: float) -> None:
    duration = course_of(10000, least, most).duration_s
    assert duration.high / HOUR == pytest.approx(hours, abs=0.01)


@pytest.mark.parametrize(
    ("least", "most", "surge"), [(90, 100, 0), (100, 110, 183), (90, 110, 92), (100, 200, 183)]
)
def test_what_is_launched_first_costs_the_same_however_many_at_once(
    least: int, most: int, surge: int
) -> None:
    assert course_of(1000, least, most).surge_machine_hours == pytest.approx(surge, abs=0.5)


def test_checkpoints_pace_the_batches_as_in_aws_s_example() -> None:
    preferences = RefreshPreferences(
        80,
        100,
        checkpoint_percentages=(20, 50),
        checkpoint_delay_s=15 * MINUTE,
        instance_warmup_s=10 * MINUTE,
    )
    course = forecast(fleet(10), preferences, Timing(Spread.exactly(0), 0, Spread.exactly(MINUTE)))
    assert course.batches == (Batch(0, 2), Batch(25 * MINUTE, 2), Batch(35 * MINUTE, 1))
    assert course.checkpoints == (
        CourseCheckpoint(20, Spread.exactly(10 * MINUTE), 2),
        CourseCheckpoint(50, Spread.exactly(45 * MINUTE), 5),
    )
    assert course.duration_s == Spread.exactly(45 * MINUTE)


def test_a_checkpoint_that_the_first_machine_passes_is_skipped() -> None:
    course = course_of(2, 50, checkpoint_percentages=(10, 40, 100), checkpoint_delay_s=600)
    assert [each.percentage for each in course.checkpoints] == [40, 100]
