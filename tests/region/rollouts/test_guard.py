# SPDX-License-Identifier: Apache-2.0
"""The guard in a simulated region: how soon a bad image is on its way back, by the region's own clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from orchestrator.domain.rollout.progress import FailureKind
from orchestrator.errors import RolledBack
from orchestrator.workflows import rollout
from tests.fakes import FakeReporter

from ..simulated_world import simulated
from .rolling import FLEET, GROUP, POLICY, Rolling

MOST_S = 60


@pytest.fixture
def rolling() -> Iterator[Rolling]:
    """Return a fleet of four machines whose new machines may fail once, but not twice."""
    for client in simulated():
        yield Rolling(client, policy={**POLICY, "max_failures": 2, "instance_warmup_s": 300})


def taken_back_at(rolling: Rolling) -> datetime:
    """Return when AWS was asked to take the latest refresh back."""
    started: datetime = rolling.refreshes()[0]["RollbackDetails"]["RollbackStartTime"]
    return started


def activities(rolling: Rolling) -> list[dict[str, Any]]:
    """Return what the group did, oldest first."""
    answer = rolling.api("autoscaling").describe_scaling_activities(AutoScalingGroupName=GROUP)
    return sorted(answer["Activities"], key=lambda each: each["StartTime"])


def test_launches_that_fail_are_counted(rolling: Rolling) -> None:
    before = rolling.running()
    with rolling.failing_launches(), pytest.raises(RolledBack, match="a machine that was not launched"):
        rolling.roll(rolling.next_image)
    failed = [each["EndTime"] for each in activities(rolling) if each["StatusCode"] == "Failed"]
    assert 0 <= (taken_back_at(rolling) - failed[1]).total_seconds() <= MOST_S
    assert rolling.running() == before


def test_machines_that_never_answer_are_counted(rolling: Rolling) -> None:
    before, pointer = rolling.running(), rolling.pointer()
    rolling.client.fault(kind="unhealthy")
    with pytest.raises(RolledBack, match="target health"):
        rolling.roll(rolling.next_image)
    record = rollout.history(rolling.world(), FLEET)[0]
    assert {each.kind for each in record.failures} == {FailureKind.TARGET_HEALTH}
    ill = [each["StartTime"] for each in activities(rolling) if "ELB system health check" in each["Cause"]]
    assert (taken_back_at(rolling) - sorted(ill)[1]).total_seconds() <= MOST_S
    rolling.time.sleep(300)  # until the bad ones are gone
    assert (rolling.running(), rolling.pointer()) == (before, pointer)


def test_machines_that_somebody_terminates_are_counted(rolling: Rolling) -> None:
    killed: list[datetime] = []

    def kill_new_machines(_: object) -> None:
        machines = rolling.group()["Instances"]
        new = [each for each in machines if each["LaunchTemplate"]["Version"] != "1"]
        serving = [each["InstanceId"] for each in new if each["LifecycleState"] == "InService"]
        if serving and len(killed) < 2:  # noqa: PLR2004 - the guard's number
            rolling.api("ec2").terminate_instances(InstanceIds=serving[:1])
            killed.append(rolling.time.now())

    world = rolling.world()
    plan = rollout.observe_and_plan(world, rolling.target)
    with pytest.raises(RolledBack, match="terminated or stopped"):
        rollout.apply(world, plan, FakeReporter(), kill_new_machines)
    causes = [each["StartTime"] for each in activities(rolling) if "terminated or stopped" in each["Cause"]]
    assert 0 <= (taken_back_at(rolling) - causes[1]).total_seconds() <= MOST_S
