# SPDX-License-Identifier: Apache-2.0
"""A rollout that is killed at each of its calls, before and after it takes effect; one that is throttled."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.rollout.record import Phase
from orchestrator.errors import AwsError, RolledBack
from orchestrator.workflows import rollout
from orchestrator.workflows.rollout.names import group_name
from orchestrator.workflows.rollout.world import RolloutWorld
from tests.fakes.fleets import ZONES, Trouble
from tests.unit.rollout_world import API, Lab

PORTS = ("fleets", "templates", "targets", "images", "parameters", "objects", "locks", "identity", "stacks")
ALL_PORTS = (*PORTS, "notices", "machines")


class Killed(BaseException):
    """The operator's command was killed."""


class Tap:
    """A port that tells of its calls before and after each."""

    def __init__(self, port: object, tell: Callable[[str, bool], None]) -> None:
        self._port, self._tell = port, tell

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*args: object, **kwargs: object) -> object:
            self._tell(name, False)
            try:
                return method(*args, **kwargs)
            finally:
                self._tell(name, True)

        return call


def tapped(world: RolloutWorld, tell: Callable[[str, bool], None], ports: tuple[str, ...]) -> RolloutWorld:
    taps: dict[str, Any] = {name: Tap(getattr(world, name), tell) for name in ports}
    return replace(world, **taps)


def run(lab: Lab, world: RolloutWorld) -> rollout.RolloutResult:
    plan = rollout.observe_and_plan(world, API)
    rollout.confirm(world, plan, is_confirmed=True)
    return rollout.apply(world, plan, lab.reporter, lab.shown.append)


def count_calls(make: Callable[[], Lab]) -> int:
    calls: list[str] = []
    lab = make()
    world = tapped(lab.world(), lambda name, is_done: calls.append(name) if is_done else None, ALL_PORTS)
    with suppress(RolledBack):
        run(lab, world)
    return len(calls)


def kill_at(lab: Lab, place: int, *, after: bool) -> None:
    """Run a command that is killed at its n-th call."""
    seen = 0

    def tell(_: str, is_done: bool) -> None:
        nonlocal seen
        seen += not is_done
        if seen == place and is_done is after:
            raise Killed

    with pytest.raises(Killed):
        run(lab, tapped(lab.world(), tell, ALL_PORTS))


def good() -> Lab:
    lab = Lab(machines=2, policy={"instance_warmup_s": 0, "max_failures": 1})
    lab.have_group(zones=ZONES[:2], subnet_ids=("subnet-a", "subnet-b"))
    lab.fleets.boot_s = lab.fleets.leave_s = 1
    return lab


def bad() -> Lab:
    lab = good()
    lab.fleets.trouble.update(dict.fromkeys(range(2, 9), Trouble.HOOK))
    return lab


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_second_run_ends_what_a_killed_one_began(after: bool) -> None:
    for place in range(1, count_calls(good) + 1):
        lab = good()
        kill_at(lab, place, after=after)
        lab.roll()
        assert lab.record.phase is Phase.SUCCEEDED, place
        assert (lab.pointer, lab.default_version, lab.versions) == (lab.new, 2, [2, 2]), place
        assert len(lab.fleets.refreshes(group_name(API))) == 1, place
        assert len(lab.templates.versions[lab.template_id]) == 2, place
        assert (lab.locks.held, lab.group.suspended) == ({}, {}), place


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_second_run_takes_back_what_a_killed_one_would_have(after: bool) -> None:
    for place in range(1, count_calls(bad) + 1):
        lab = bad()
        kill_at(lab, place, after=after)
        with pytest.raises(RolledBack):
            lab.roll()
        assert lab.record.phase is Phase.ROLLED_BACK, place
        assert (lab.pointer, lab.default_version, lab.versions) == (lab.old, 1, [1, 1]), place
        assert (lab.locks.held, lab.group.suspended) == ({}, {}), place


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("make", [good, bad])
def test_it_ends_well_when_calls_are_throttled_or_not_answered(make: Callable[[], Lab], seed: int) -> None:
    chance, lab = random.Random(seed), make()  # noqa: S311 - no secret

    def tell(name: str, is_done: bool) -> None:
        if not is_done and chance.random() < 0.5:
            raise AwsError("aws", name, "Throttling", "Rate exceeded")
        if is_done and chance.random() < 0.2:
            raise AwsError("aws", name, "InternalFailure", "try again")

    world = tapped(lab.world(), tell, ALL_PORTS)
    if make is good:
        run(lab, world)
        assert (lab.pointer, lab.versions) == (lab.new, [2, 2])
    else:
        with pytest.raises(RolledBack):
            run(lab, world)
        assert (lab.pointer, lab.versions) == (lab.old, [1, 1])
    assert len(lab.fleets.refreshes(group_name(API))) == 1
