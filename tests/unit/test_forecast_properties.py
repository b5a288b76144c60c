# SPDX-License-Identifier: Apache-2.0
"""What holds of the course of every rollout, whatever the fleet and the preferences."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.forecast import forecast
from orchestrator.domain.forecast.course import FleetShape, Spread, Timing
from orchestrator.domain.refresh import RefreshPreferences

SPREADS = st.tuples(*(st.floats(0, 900) for _ in range(3))).map(lambda times: Spread(*sorted(times)))
TIMINGS = st.builds(Timing, SPREADS, st.integers(0, 600).map(float), SPREADS)
CHECKPOINTS = st.sets(st.integers(1, 99), max_size=3).map(lambda found: (*sorted(found), 100))


@st.composite
def fleets(draw: st.DrawFn) -> FleetShape:
    to_replace = {zone: draw(st.integers(0, 60)) for zone in "abc"}
    to_keep = {zone: draw(st.integers(0, 5)) for zone in "ab"}
    desired = max(1, sum(to_replace.values()) + sum(to_keep.values()))
    return FleetShape(to_replace, to_keep, desired, desired + draw(st.integers(0, 50)), 0.1)


@st.composite
def preferences(draw: st.DrawFn) -> RefreshPreferences:
    least = draw(st.integers(0, 100))
    return RefreshPreferences(
        least,
        draw(st.none() | st.integers(100, min(200, least + 100))),
        checkpoint_percentages=draw(st.just(()) | CHECKPOINTS),
        checkpoint_delay_s=draw(st.none() | st.integers(0, 3600)),
        refresh_bake_time_s=draw(st.integers(0, 600)),
    )


@given(fleets(), preferences(), TIMINGS)
@settings(deadline=None)
def test_every_machine_is_replaced_once_in_order(
    shape: FleetShape, chosen: RefreshPreferences, timing: Timing
) -> None:
    course = forecast(shape, chosen, timing)
    assert sum(batch.machines for batch in course.batches) == shape.replacements
    starts = [batch.starts_s for batch in course.batches]
    assert starts == sorted(starts)
    reached = [each.reached_s.likely for each in course.checkpoints]
    assert reached == sorted(reached)
    assert all(each.reached_s.likely <= course.duration_s.likely + 1e-6 for each in course.checkpoints)


@given(fleets(), preferences(), TIMINGS)
@settings(deadline=None)
def test_the_low_end_is_low_and_the_high_end_high(
    shape: FleetShape, chosen: RefreshPreferences, timing: Timing
) -> None:
    course = forecast(shape, chosen, timing)
    for spread in (course.duration_s, *(each.reached_s for each in course.checkpoints)):
        assert 0 <= spread.low <= spread.likely <= spread.high < math.inf


@given(fleets(), preferences(), TIMINGS)
@settings(deadline=None)
def test_capacity_stays_in_the_promised_band_but_for_one_machine(
    shape: FleetShape, chosen: RefreshPreferences, timing: Timing
) -> None:
    course = forecast(shape, chosen, timing)
    # One machine is replaced at once whatever the percentages: that one may be beyond the bounds.
    lowest = math.ceil(shape.desired * chosen.min_healthy_percentage / 100)
    assert course.least_in_service >= min(lowest, shape.in_service - 1)
    highest = shape.desired * max(100, chosen.max_healthy_percentage or 100) // 100
    draining = shape.in_service - course.least_in_service
    assert course.most_running <= max(highest, shape.in_service + 1) + draining
    if chosen.min_healthy_percentage == 100:
        assert course.least_in_service == shape.in_service


@given(fleets(), preferences(), TIMINGS)
@settings(deadline=None)
def test_checkpoints_never_make_it_faster_nor_riskier(
    shape: FleetShape, chosen: RefreshPreferences, timing: Timing
) -> None:
    paced = forecast(shape, chosen, timing)
    straight = forecast(
        shape,
        RefreshPreferences(
            chosen.min_healthy_percentage,
            chosen.max_healthy_percentage,
            refresh_bake_time_s=chosen.refresh_bake_time_s,
        ),
        timing,
    )
    assert paced.least_in_service >= straight.least_in_service
    assert paced.most_running <= straight.most_running
    assert len(paced.batches) >= len(straight.batches)
