# SPDX-License-Identifier: Apache-2.0
"""How long machines take, measured in what a group did before."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.fleet import ScalingActivity
from orchestrator.domain.forecast import measured_timing
from orchestrator.domain.forecast.course import Spread, Timing, TimingSource

BEGAN = datetime(2030, 1, 1, tzinfo=UTC)
ASSUMED = Timing(Spread(60, 120, 300), 0, Spread(0, 30, 300))
REFRESH = "At 2030-01-01T00:00:00Z an instance was taken out of service in response to an instance refresh."


def activity(
    words: str, seconds: float | None, *, status: str = "Successful", cause: str = REFRESH
) -> ScalingActivity:
    ended = None if seconds is None else BEGAN + timedelta(seconds=seconds)
    return ScalingActivity("id", f"{words}: i-1", cause, status, BEGAN, ended)


def launch(seconds: float | None, status: str = "Successful") -> ScalingActivity:
    return activity("Launching a new EC2 instance", seconds, status=status)


def leave(seconds: float, cause: str = REFRESH) -> ScalingActivity:
    return activity("Terminating EC2 instance", seconds, cause=cause)


def test_two_launches_are_not_a_measure() -> None:
    timing = measured_timing([launch(40), launch(50)], warmup_s=60, assumed=ASSUMED)
    assert timing == Timing(ASSUMED.boot_s, 60, ASSUMED.leave_s)


def test_boots_are_measured_from_launch_to_service() -> None:
    timing = measured_timing([launch(50), launch(40), launch(60)], warmup_s=60, assumed=ASSUMED)
    assert timing == Timing(Spread(40, 50, 60), 60, ASSUMED.leave_s, TimingSource.MEASURED, 3)


def test_departures_are_measured_from_choice_to_end() -> None:
    timing = measured_timing([leave(300), leave(310), leave(320)], warmup_s=60, assumed=ASSUMED)
    assert timing == Timing(ASSUMED.boot_s, 60, Spread(300, 310, 320))


def test_ill_machines_leave_without_draining_and_are_not_counted() -> None:
    ill = "At 2030-01-01T00:00:00Z an instance was taken out of service in response to an EC2 health check."
    timing = measured_timing([leave(1, ill)] * 5, warmup_s=60, assumed=ASSUMED)
    assert timing.leave_s == ASSUMED.leave_s


def test_launches_that_go_on_are_not_counted_and_failed_ones_are_a_share() -> None:
    activities = [launch(None, "InProgress"), launch(900, "Failed"), *(launch(50) for _ in range(4))]
    timing = measured_timing(activities, warmup_s=0, assumed=ASSUMED)
    assert (timing.boot_s, timing.samples, timing.failure_share) == (Spread.exactly(50), 4, 0.2)


@pytest.mark.parametrize("hung", [1, 3])
def test_machines_that_hung_do_not_count_as_usual(hung: int) -> None:
    chance = random.Random(7)  # noqa: S311
    usual = [launch(chance.uniform(40, 60)) for _ in range(100)]
    timing = measured_timing([*usual, *[launch(3600)] * hung], warmup_s=0, assumed=ASSUMED)
    assert timing.boot_s.high < 61
    assert timing.boot_s.likely == pytest.approx(50, abs=2)
