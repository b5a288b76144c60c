# SPDX-License-Identifier: Apache-2.0
"""What a rollout costs at any size: the time and calls of its plan, and calls an hour while it goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from orchestrator.workflows import rollout
from tests.bench.report import Report, Row, sample
from tests.region.quotas import raise_quotas
from tests.region.rollouts.rolling import Rolling
from tests.region.simulated_world import Client, simulated

pytestmark = pytest.mark.bench

SIZES = (4, 1_000, 10_000)
# A whole rollout of ten thousand takes the region and us the better part of an hour.
ROLLED = (4, 1_000)
ROUNDS = 5
MOST_CALLS = 60
HOUR_S = 3600.0
# Half of the fleet at a time: as many as there are addresses for at ten thousand.
POLICY = {"min_healthy_percentage": 100, "max_healthy_percentage": 150, "instance_warmup_s": 300}
# Thousands of machines are more than a new account may have; this is more than any size needs.
QUOTA = 1_000_000


@pytest.fixture
def region() -> Iterator[Client]:
    """A simulated region of its own, in this process."""
    yield from simulated()


@pytest.fixture(scope="module")
def rows(report: Report) -> Iterator[dict[int, list[Row]]]:
    """Gather the rows by size."""
    made: dict[int, list[Row]] = {}
    yield made
    report.add("rollout", [row for size in sorted(made) for row in made[size]])


@pytest.mark.parametrize("size", SIZES)
def test_plan_and_rollout(size: int, region: Client, rows: dict[int, list[Row]]) -> None:
    raise_quotas(region.aws("service-quotas"), QUOTA)
    rolling = Rolling(region, machines=size, policy=POLICY)
    rows[size] = plan_rows(rolling)
    if size in ROLLED:
        rows[size] += rollout_rows(rolling)


def plan_rows(rolling: Rolling) -> list[Row]:
    """Return how long plans take, and their calls."""
    took, calls = [], 0
    for _ in range(ROUNDS):
        rolling.session.begin()
        began = time.perf_counter()
        plan = rollout.observe_and_plan(rolling.world(), rolling.target)
        took.append(time.perf_counter() - began)
        calls = len(rolling.session.heard)
    assert plan.errors == ()
    name = f"{rolling.machines:,} instances"
    return [
        sample(f"{name}: a plan", took, unit="s"),
        Row(f"{name}: calls of a plan", str(calls), "none of them changes anything", f"<= {MOST_CALLS}"),
    ]


def rollout_rows(rolling: Rolling) -> list[Row]:
    """Return the calls of a rollout by the hour of the region's time, and how long it takes for real."""
    rolling.session.begin()
    began, begun_at = time.perf_counter(), rolling.time.now()
    rolling.roll(rolling.next_image)
    real_s = time.perf_counter() - began
    hours = (rolling.time.now() - begun_at).total_seconds() / HOUR_S
    assert {each["LaunchTemplate"]["Version"] for each in rolling.group()["Instances"]} == {"2"}
    heard, name = len(rolling.session.heard), f"{rolling.machines:,} instances"
    return [
        Row(
            f"{name}: calls of a rollout, an hour of the region's time",
            f"{heard / hours:.0f}",
            f"{heard} in {hours:.1f} h",
        ),
        Row(f"{name}: a rollout, real time", f"{real_s:.1f} s", "the region's part and ours"),
    ]
