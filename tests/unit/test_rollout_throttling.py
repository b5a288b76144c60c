# SPDX-License-Identifier: Apache-2.0
"""A rollout half of whose calls AWS throttles, and some of whose others it does and fails to answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.errors import AwsError, RolledBack
from orchestrator.workflows import rollout
from orchestrator.workflows.rollout.names import group_name
from orchestrator.workflows.rollout.world import RolloutWorld
from tests.fakes.fleets import ZONES, Trouble
from tests.unit.rollout_world import API, Lab

PORTS = (
    "fleets",
    "templates",
    "targets",
    "images",
    "machines",
    "parameters",
    "objects",
    "locks",
    "identity",
    "notices",
    "stacks",
)


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


def tapped(world: RolloutWorld, tell: Callable[[str, bool], None]) -> RolloutWorld:
    taps: dict[str, Any] = {name: Tap(getattr(world, name), tell) for name in PORTS}
    return replace(world, **taps)


def run(lab: Lab, world: RolloutWorld) -> rollout.RolloutResult:
    plan = rollout.observe_and_plan(world, API)
    rollout.confirm(world, plan, is_confirmed=True)
    return rollout.apply(world, plan, lab.reporter, lab.shown.append)


def good() -> Lab:
    lab = Lab(machines=2, policy={"instance_warmup_s": 0, "max_failures": 1})
    lab.have_group(zones=ZONES[:2], subnet_ids=("subnet-a", "subnet-b"))
    lab.fleets.boot_s = lab.fleets.leave_s = 1
    return lab


def bad() -> Lab:
    lab = good()
    lab.fleets.trouble.update(dict.fromkeys(range(2, 9), Trouble.HOOK))
    return lab


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("make", [good, bad])
def test_it_ends_well_when_calls_are_throttled_or_not_answered(make: Callable[[], Lab], seed: int) -> None:
    chance, lab = random.Random(seed), make()  # noqa: S311 - no secret

    def tell(name: str, is_done: bool) -> None:
        if not is_done and chance.random() < 0.5:
            raise AwsError("aws", name, "Throttling", "Rate exceeded")
        if is_done and chance.random() < 0.2:
            raise AwsError("aws", name, "InternalFailure", "try again")

    world = tapped(lab.world(), tell)
    if make is good:
        run(lab, world)
        assert (lab.pointer, lab.versions) == (lab.new, [2, 2])
    else:
        with pytest.raises(RolledBack):
            run(lab, world)
        assert (lab.pointer, lab.versions) == (lab.old, [1, 1])
    assert len(lab.fleets.refreshes(group_name(API))) == 1
