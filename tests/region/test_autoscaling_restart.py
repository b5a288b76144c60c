# SPDX-License-Identifier: Apache-2.0
"""Groups outlive the region's end, whenever it comes. Each test runs regions of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.autoscaling.calls import RegionCalls
from sandbox.autoscaling.work import Outcome, Work
from sandbox.simulated import SimulatedSubstrate

from .autoscaling_world import GROUP, World, make_world


@contextmanager
def running(substrate: SimulatedSubstrate, state_file: Path) -> Iterator[World]:
    """Run a region that saves itself."""
    worlds = make_world(state_file, substrate)
    yield next(worlds)
    next(worlds, None)


def test_groups_go_on_after_a_restart(tmp_path: Path) -> None:
    substrate = SimulatedSubstrate()
    hooks = [
        {
            "LifecycleHookName": "ready",
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
            "HeartbeatTimeout": 60,
            "DefaultResult": "CONTINUE",
        }
    ]
    with running(substrate, tmp_path / "region") as world:
        world.prepare()
        world.make(3, zones="abc", LifecycleHookSpecificationList=hooks)
        first = world.instances("Pending:Wait")
        world.groups.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=4)
        # The next look has not come: the launch is decided by the region that is started next.
    del substrate.power[first[0]]
    with running(substrate, tmp_path / "region") as world:
        assert world.instances() == first[1:]
        # A launch that failed is tried again after a while, and the new instances wait for their hook.
        world.pass_time(15 + 60)
        assert world.states() == ["InService"] * 4
        assert sorted(world.running()) == sorted(world.instances())


def test_a_launch_that_was_cut_short_is_not_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    substrate = SimulatedSubstrate()
    carry_out = RegionCalls.carry_out

    def cut_short(calls: RegionCalls, work: Work) -> Outcome:
        carry_out(calls, work)
        raise RuntimeError("killed after the call, before its answer was taken in")

    with running(substrate, tmp_path / "region") as world:
        world.prepare()
        world.make(2, zones="ab")
        with monkeypatch.context() as patched:
            patched.setattr(RegionCalls, "carry_out", cut_short)
            world.resize(4)
        assert len(world.running()) == 4
        assert len(world.instances()) == 2
    with running(substrate, tmp_path / "region") as world:
        assert len(world.instances()) == 4
        assert sorted(world.running()) == sorted(world.instances())
