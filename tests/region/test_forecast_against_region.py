# SPDX-License-Identifier: Apache-2.0
"""Forecasts against the region's engine, which shares no code with them: a thousand random rollouts."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from orchestrator.domain.forecast.course import Course
from sandbox.autoscaling.refresh.choices import Choices
from tests.region.forecast_region import Actual, Scenario, roll, scenario

SCENARIOS = 1000
# Every size from 1 to 10,000 occurs, but few of the large ones, which take the region's engine long.
DECADES = (0.4, 0.4, 0.193, 0.007)
MEDIAN, NINETY_FIFTH = 0.05, 0.15
WORST_SHOWN = 8


@dataclass
class Trial:
    """A scenario, what was foretold, and what happened."""

    scenario: Scenario
    course: Course
    actual: Actual

    @property
    def error(self) -> float:
        """Return by how much the likely duration is off, as a share of the actual one."""
        return (self.course.duration_s.likely - self.actual.duration_s) / max(1.0, self.actual.duration_s)

    @property
    def is_smooth(self) -> bool:
        """Tell whether no launch fails."""
        return not self.scenario.failure_share

    def __str__(self) -> str:
        foretold, actual = self.course, self.actual
        return (
            f"{self.scenario}\n    foretold {foretold.duration_s}, {foretold.least_in_service} to "
            f"{foretold.most_running} machines, happened {actual.status} in {actual.duration_s} s, "
            f"{actual.least_in_service} to {actual.most_running} machines, checkpoints {actual.reached_s}"
        )


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    found = (scenario(seed, decades=DECADES) for seed in range(SCENARIOS))
    return [Trial(each, each.course, roll(each)) for each in found]


def shown(trials: list[Trial]) -> str:
    return "\n".join(str(trial) for trial in trials[:WORST_SHOWN])


def test_where_nothing_is_left_to_chance_the_forecast_is_exact() -> None:
    for seed in range(300):
        found = scenario(seed, decades=(0.5, 0.45, 0.05)).without_chance()
        trial = Trial(found, found.course, roll(found))
        reached = {each.percentage: each.reached_s.likely for each in trial.course.checkpoints}
        reached.pop(100, None)  # AWS tells of none
        assert trial.course.duration_s.likely == pytest.approx(trial.actual.duration_s), str(trial)
        assert reached == pytest.approx(trial.actual.reached_s), str(trial)


def test_every_rollout_succeeds(trials: list[Trial]) -> None:
    failed = [trial for trial in trials if trial.actual.status != "Successful"]
    assert not failed, shown(failed)


def test_the_likely_duration_is_close(trials: list[Trial]) -> None:
    ranked = sorted(trials, key=lambda trial: -abs(trial.error))
    errors = [abs(trial.error) for trial in reversed(ranked)]
    median, late = errors[len(errors) // 2], errors[int(len(errors) * 0.95)]
    assert median <= MEDIAN, shown(ranked)
    assert late <= NINETY_FIFTH, f"{late:.3f}\n{shown(ranked)}"


def test_the_likely_duration_leans_to_neither_side(trials: list[Trial]) -> None:
    assert abs(sum(trial.error for trial in trials) / len(trials)) <= 0.02


def test_nearly_all_rollouts_end_between_the_low_and_the_high_end(trials: list[Trial]) -> None:
    outside = [
        trial
        for trial in trials
        if not trial.course.duration_s.low <= trial.actual.duration_s <= trial.course.duration_s.high
    ]
    assert len(outside) <= 0.1 * len(trials), shown(outside)


def test_as_few_machines_are_in_service_as_foretold(trials: list[Trial]) -> None:
    wrong = [
        trial
        for trial in trials
        if trial.is_smooth and trial.course.least_in_service != trial.actual.least_in_service
    ]
    assert not wrong, shown(wrong)


def test_as_many_machines_run_as_foretold(trials: list[Trial]) -> None:
    wrong = [
        trial
        for trial in trials
        if trial.is_smooth and trial.course.most_running != trial.actual.most_running
    ]
    assert not wrong, shown(wrong)


def test_what_is_launched_first_runs_as_long_as_foretold(trials: list[Trial]) -> None:
    errors = sorted(
        abs(trial.course.surge_machine_hours - trial.actual.surplus_hours) / trial.actual.surplus_hours
        for trial in trials
        if trial.scenario.preferences.min_healthy_percentage == 100 and trial.course.batches
    )
    assert errors[len(errors) // 2] <= MEDIAN
    assert errors[int(len(errors) * 0.95)] <= 2 * NINETY_FIFTH


def test_the_low_end_covers_replacements_one_by_one_within_the_band() -> None:
    """AWS may refill the band machine by machine; which of both it does is not documented."""
    found = [scenario(seed, decades=(0.5, 0.5)) for seed in range(100)]
    slot_by_slot = [roll(each, Choices(refills_slot_by_slot=True)) for each in found]
    faster = [
        str(each)
        for each, actual in zip(found, slot_by_slot, strict=True)
        if actual.duration_s < each.course.duration_s.low
    ]
    assert len(faster) <= 5, faster


def test_launches_that_fail_take_no_machine_out_of_service(trials: list[Trial]) -> None:
    wrong = [trial for trial in trials if trial.course.least_in_service > trial.actual.least_in_service]
    assert not wrong, shown(wrong)


def test_the_checkpoints_are_those_that_are_foretold(trials: list[Trial]) -> None:
    wrong = [
        trial
        for trial in trials
        if {each.percentage for each in trial.course.checkpoints} - {100} != {*trial.actual.reached_s}
    ]
    assert not wrong, shown(wrong)


def test_checkpoints_are_reached_when_foretold(trials: list[Trial]) -> None:
    errors = sorted(
        abs(each.reached_s.likely - trial.actual.reached_s[each.percentage])
        / max(1.0, trial.actual.reached_s[each.percentage])
        for trial in trials
        for each in trial.course.checkpoints
        if each.percentage in trial.actual.reached_s
    )
    assert errors[len(errors) // 2] <= MEDIAN
