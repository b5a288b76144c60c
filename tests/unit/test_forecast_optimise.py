# SPDX-License-Identifier: Apache-2.0
"""The percentages and checkpoints that finish soonest, against all that there are."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from orchestrator.domain.forecast import Limits, forecast, optimise
from orchestrator.domain.forecast.course import Course, FleetShape, Spread, Timing
from orchestrator.domain.forecast.simulate import course as course_of
from orchestrator.domain.refresh import RefreshPreferences

TIMING = Timing(Spread(40, 60, 90), 300, Spread(280, 300, 320))


def is_within(limits: Limits, course: Course) -> bool:
    return (
        course.least_in_service >= limits.least_in_service
        and (limits.most_running is None or course.most_running <= limits.most_running)
        and (limits.surge_usd is None or course.surge_usd <= limits.surge_usd + 0.005)
    )


def stops_of(machines: int, percentages: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.ceil(machines * each / 100) for each in percentages)


def every_placing(machines: int, ceilings: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield one placing of checkpoints for each outcome: ascending, none above its ceiling, none dropped."""
    seen = set()
    apart = len(set(stops_of(machines, ceilings)))
    for chosen in itertools.product(*(range(ceiling, 0, -1) for ceiling in ceilings)):
        stops = stops_of(machines, chosen)
        if chosen == tuple(sorted(set(chosen))) and len(set(stops)) == apart and stops not in seen:
            seen.add(stops)
            yield chosen


def brute_force(shape: FleetShape, timing: Timing, limits: Limits) -> float:
    """Return the shortest duration of all preferences with another outcome; infinity if none keeps to it."""
    machines = shape.desired
    *ceilings, last = limits.preferences.checkpoint_percentages or (100,)
    bounds = {
        (math.ceil(machines * least / 100), machines * most // 100, least == 100): (least, most)
        for least in range(101)
        for most in range(100, min(200, least + 100) + 1)
    }
    best = math.inf
    for (least, most), places in itertools.product(
        bounds.values(), list(every_placing(machines, tuple(ceilings)))
    ):
        checkpoints = (*places, last) if ceilings else ()
        preferences = replace(
            limits.preferences,
            min_healthy_percentage=least,
            max_healthy_percentage=most,
            checkpoint_percentages=checkpoints,
        )
        course = course_of(shape, preferences, timing)
        if is_within(limits, course):
            best = min(best, course.duration_s.likely)
    return best


def random_case(seed: int) -> tuple[FleetShape, Timing, Limits]:
    chance = random.Random(seed)  # noqa: S311
    machines = chance.randint(1, 12)
    boot = sorted(chance.uniform(20, 300) for _ in range(3))
    leave = sorted(chance.uniform(0, 400) for _ in range(3))
    ceilings = chance.choice([(), (100,), (chance.randint(5, 60), 100), (15, 50, 100)])
    preferences = RefreshPreferences(checkpoint_percentages=ceilings, checkpoint_delay_s=300)
    return (
        FleetShape({"a": machines}, {}, machines, machines, machine_usd_per_hour=0.2),
        Timing(Spread(*boot), chance.choice([0.0, 60.0, 300.0]), Spread(*leave)),
        Limits(
            least_in_service=chance.randint(0, machines),
            most_running=chance.choice([None, machines + chance.randint(0, machines)]),
            surge_usd=chance.choice([None, 0.0, chance.uniform(0, 0.2 * machines * 0.2)]),
            preferences=preferences,
        ),
    )


@pytest.mark.parametrize("seed", range(40))
def test_a_proposal_is_within_five_percent_of_the_best_there_is(seed: int) -> None:
    shape, timing, limits = random_case(seed)
    best = brute_force(shape, timing, limits)
    proposal = optimise(shape, timing, limits)
    if proposal.course is None or proposal.preferences is None:
        assert best == math.inf
        return
    assert proposal.course == forecast(shape, proposal.preferences, timing)
    assert is_within(limits, proposal.course)
    assert proposal.course.duration_s.likely <= best * 1.05


@pytest.mark.parametrize("seed", range(20))
def test_a_proposal_drops_no_checkpoint_and_lets_none_come_later(seed: int) -> None:
    shape, timing, limits = random_case(seed)
    limits = replace(limits, least_in_service=0, surge_usd=None, most_running=None)
    ceilings = limits.preferences.checkpoint_percentages
    chosen = optimise(shape, timing, limits).preferences
    assert chosen is not None
    placed = chosen.checkpoint_percentages
    assert len(placed) == len(ceilings)
    assert list(placed) == sorted(set(placed))
    assert all(place <= ceiling for place, ceiling in zip(placed, ceilings, strict=True))
    assert len({*stops_of(shape.desired, placed)}) >= len({*stops_of(shape.desired, ceilings)})


def test_limits_that_exclude_each_other_have_no_proposal() -> None:
    shape = FleetShape({"a": 4}, {}, 4, 4, machine_usd_per_hour=1.0)
    proposal = optimise(shape, TIMING, Limits(least_in_service=4, surge_usd=0.0))
    assert (proposal.preferences, proposal.course) == (None, None)
    current = forecast(shape, RefreshPreferences(90), TIMING)
    assert proposal.lines(current) == (
        "No percentages keep to the capacity, the budget and the quotas at once.",
    )


def test_of_equally_fast_preferences_the_gentlest_is_proposed() -> None:
    shape = FleetShape({"a": 1}, {}, 1, 1)
    timing = Timing(Spread.exactly(60), 300, Spread.exactly(0))
    proposal = optimise(shape, timing, Limits(least_in_service=0))
    assert proposal.course is not None
    assert proposal.course.least_in_service == 1


def test_a_proposal_says_what_it_saves() -> None:
    shape = FleetShape({"a": 10, "b": 10}, {}, 20, 40, machine_usd_per_hour=0.1)
    timing = Timing(Spread.exactly(60), 300, Spread.exactly(300))
    kept = RefreshPreferences(100, 100, checkpoint_percentages=(10, 100), checkpoint_delay_s=300)
    proposal = optimise(shape, timing, Limits(least_in_service=20, most_running=30, preferences=kept))
    assert proposal.lines(forecast(shape, kept, timing)) == (
        "Replace at 100 to 145 % with checkpoints 10, 100 %.",
        "It would take 38 min instead of 3 h 45 min, with at least 20 machines in service instead of 20, "
        "at most 29 instead of 21 running, and $0.37 instead of $0.37 of surge.",
    )


def test_a_proposal_says_when_nothing_is_faster() -> None:
    shape = FleetShape({"a": 10}, {}, 10, 20)
    timing = Timing(Spread.exactly(60), 300, Spread.exactly(300))
    limits = Limits(least_in_service=10)
    best = optimise(shape, timing, limits)
    assert best.course is not None
    assert best.lines(best.course) == ("Nothing within the limits is faster than 11 min.",)


def test_a_slower_proposal_is_made_where_what_would_be_done_breaks_a_limit() -> None:
    shape = FleetShape({"a": 10}, {}, 10, 20)
    timing = Timing(Spread.exactly(60), 300, Spread.exactly(300))
    current = forecast(shape, RefreshPreferences(100, 200), timing)
    proposal = optimise(shape, timing, Limits(least_in_service=10, most_running=15))
    assert proposal.course is not None
    assert proposal.course.duration_s.likely > current.duration_s.likely
    assert proposal.lines(current)[0] == "Replace at 100 to 150 %."


def test_a_fleet_that_is_as_wanted_keeps_its_preferences() -> None:
    kept = RefreshPreferences(100, 150, checkpoint_percentages=(25, 100))
    proposal = optimise(FleetShape({}, {}, 0, 4), TIMING, Limits(least_in_service=0, preferences=kept))
    assert proposal.preferences == kept
