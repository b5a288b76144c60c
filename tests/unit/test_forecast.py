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
        # 1.43 until the last is launched, warm and drained; 450 s more for the bucket of terminations.
        (100, 200, 1.43 + 0.125),
    ],
)
def test_ec2_s_buckets_hold_launches_back_at_worst(least: int, most: int, hours: float) -> None:
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


def test_the_delay_comes_after_each_checkpoint_but_the_last() -> None:
    paced = course_of(20, 90, checkpoint_percentages=(10, 50, 100), checkpoint_delay_s=600)
    assert paced.duration_s.likely == course_of(20, 90).duration_s.likely + 2 * 600
    assert [each.reached_s.likely for each in paced.checkpoints] == [
        360,
        360 + 600 + 4 * 360,
        10 * 360 + 1200,
    ]


def test_aws_waits_an_hour_at_checkpoints_unless_told_otherwise() -> None:
    percentages = (1, 10, 50, 100)
    default = course_of(1000, 90, checkpoint_percentages=percentages)
    quicker = course_of(1000, 90, checkpoint_percentages=percentages, checkpoint_delay_s=600)
    assert default.duration_s.likely / HOUR == pytest.approx(4.1, abs=0.05)
    assert quicker.duration_s.likely / HOUR == pytest.approx(1.6, abs=0.05)


def test_machines_that_match_already_count_for_checkpoints() -> None:
    shape = FleetShape({"a": 6}, {"a": 4}, 10, 20)
    preferences = RefreshPreferences(90, checkpoint_percentages=(20, 50, 100), checkpoint_delay_s=600)
    course = forecast(shape, preferences, TIMING)
    assert [(each.percentage, each.machines) for each in course.checkpoints] == [(20, 4), (50, 5), (100, 10)]
    assert course.checkpoints[0].reached_s == Spread.exactly(0)
    assert course.batches[0] == Batch(600, 1)


def test_machines_that_are_left_alone_keep_a_checkpoint_out_of_reach() -> None:
    shape = FleetShape({"a": 6}, {"a": 4}, 10, 20, not_matching=4)
    preferences = RefreshPreferences(90, checkpoint_percentages=(50, 80, 100), checkpoint_delay_s=600)
    course = forecast(shape, preferences, TIMING)
    assert [(each.percentage, each.machines) for each in course.checkpoints] == [(50, 5)]
    assert [batch.machines for batch in course.batches] == [1] * 6


def test_a_checkpoint_that_the_last_machine_reaches_is_waited_at_if_it_is_not_the_last() -> None:
    shape = FleetShape({"a": 1}, {"a": 3}, 4, 8, not_matching=3)
    preferences = RefreshPreferences(100, 200, checkpoint_percentages=(10, 100), checkpoint_delay_s=600)
    assert forecast(shape, preferences, TIMING).duration_s.likely == 660 + 600


def test_machines_that_the_group_lacks_come_as_new_ones() -> None:
    shape = FleetShape({"a": 8}, {}, 10, 20)
    preferences = RefreshPreferences(90, checkpoint_percentages=(50, 100), checkpoint_delay_s=600)
    course = forecast(shape, preferences, TIMING)
    assert [each.percentage for each in course.checkpoints] == [50, 100]


def test_nothing_to_replace_takes_no_time() -> None:
    preferences = RefreshPreferences(100, 150, refresh_bake_time_s=600, checkpoint_percentages=(10, 100))
    course = forecast(FleetShape({}, {"a": 4}, 4, 4), preferences, TIMING)
    assert (course.duration_s, course.batches, course.checkpoints) == (Spread.exactly(0), (), ())
    assert (course.least_in_service, course.most_running, course.surge_usd) == (4, 4, 0)


def test_refresh_bake_time_is_waited_at_the_end() -> None:
    assert course_of(4, 0, refresh_bake_time_s=600).duration_s == Spread.exactly(360 + 600)


def test_the_surge_costs_what_its_machines_cost() -> None:
    shape = FleetShape({"a": 10}, {}, 10, 20, machine_usd_per_hour=0.5)
    course = forecast(shape, RefreshPreferences(100, 200), TIMING)
    assert course.surge_usd == pytest.approx(10 * 660 / HOUR * 0.5)


@pytest.mark.parametrize(
    ("least", "most", "machines", "serving", "running"),
    [
        (90, 100, 20, 18, 22),
        (100, 100, 20, 20, 21),
        (100, 150, 20, 20, 30),
        (90, 120, 100, 90, 130),
        (0, 100, 20, 0, 40),
        (90, 100, 1, 0, 2),
        (90, 110, 1, 1, 2),
    ],
)
def test_capacity_falls_and_rises_so_far(
    least: int, most: int, machines: int, serving: int, running: int
) -> None:
    course = course_of(machines, least, most)
    assert (course.least_in_service, course.most_running) == (serving, running)


def test_machines_that_leave_at_once_make_room_for_their_replacements() -> None:
    at_once = Timing(Spread.exactly(60), 300, Spread.exactly(0))
    assert forecast(fleet(20), RefreshPreferences(90), at_once).most_running == 20


def test_an_operator_s_warm_up_counts_and_not_the_group_s() -> None:
    assert course_of(4, 0, instance_warmup_s=0).duration_s == Spread.exactly(300)
    assert course_of(4, 0, instance_warmup_s=500).duration_s == Spread.exactly(560)


def test_the_last_of_many_decides_how_long_a_batch_takes() -> None:
    boots = Timing(Spread(40, 60, 90), 0, Spread.exactly(0))
    alone = forecast(fleet(1), RefreshPreferences(0), boots).duration_s
    together = forecast(fleet(1000), RefreshPreferences(0), boots).duration_s
    assert alone.likely == pytest.approx(61.8, abs=0.5)
    assert 120 < together.likely < 140
    assert alone.low == together.low == 40


def test_launches_that_fail_by_habit_take_their_time() -> None:
    boots = Timing(Spread.exactly(60), 0, Spread.exactly(0), failure_share=0.1)
    one = forecast(fleet(1), RefreshPreferences(0), boots).duration_s
    assert one.likely == pytest.approx(60 + (0.1 + 0.01 + 0.001) * 75, abs=0.1)
    assert one.low == 60
