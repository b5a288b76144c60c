# SPDX-License-Identifier: Apache-2.0
"""What holds for every rollout, whatever becomes of it: random fleets, policies, troubles, commands."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest

from orchestrator.domain.rollout.record import Phase
from orchestrator.errors import SlipwayError
from orchestrator.workflows import rollout
from orchestrator.workflows.rollout.names import group_name
from tests.fakes.fleets import Trouble
from tests.unit.rollout_world import API, Lab
from tests.unit.test_rollout_controls import Stopped, kill_after, meanwhile, quiet

GROUP = group_name(API)


def policy(chance: random.Random) -> dict[str, Any]:
    least = chance.choice([0, 50, 75, 90, 100])
    checkpoints = chance.choice([[], [], [25, 100], [10, 50, 100]])
    return {
        "min_healthy_percentage": least,
        "max_healthy_percentage": chance.choice(
            [each for each in (100, 110, 150, 200) if each - least <= 100]
        ),
        "checkpoint_percentages": checkpoints,
        "checkpoint_delay_s": chance.choice([0, 60, 600]),
        "instance_warmup_s": chance.choice([0, 10, 60]),
        "refresh_bake_time_s": chance.choice([0, 0, 120]),
        "max_failures": chance.choice([1, 2, 3]),
    }


def disturb(chance: random.Random, lab: Lab) -> None:
    """Let some of the machines fail, or another terminal interfere."""
    after_s = chance.uniform(1, 300)
    if chance.random() < 0.5:
        lab.fleets.spared[2] = chance.randrange(lab.machines)
        lab.fleets.trouble[2] = chance.choice(list(Trouble))
    match chance.randrange(6):
        case 0:
            meanwhile(lab, after_s, lambda: rollout.pause(lab.world("bob"), API))
            meanwhile(lab, after_s + 500, lambda: rollout.resume(lab.world("bob"), API))
        case 1:
            meanwhile(lab, after_s, lambda: rollout.promote(lab.world("bob"), API, lab.reporter))
        case 2:
            meanwhile(lab, after_s, lambda: rollout.abort(lab.world("bob"), API, lab.reporter), waits=False)
        case 3:
            undo = lambda: rollout.rollback(lab.world("bob"), API, lab.reporter, quiet)  # noqa: E731
            meanwhile(lab, after_s, undo, waits=False)
        case 4:
            kill_after(lab, after_s)


@pytest.mark.parametrize("seed", range(60))
def test_every_rollout_ends_and_the_pointer_changes_only_on_success(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    lab = Lab(machines=chance.choice([1, 2, 4, 7, 12]), policy=policy(chance))
    sleep = lab.clock.sleep
    disturb(chance, lab)
    with suppress(SlipwayError, Stopped):
        lab.roll()
    lab.clock.sleep = sleep  # type: ignore[method-assign]
    if not lab.record.phase.is_over:
        with suppress(SlipwayError):
            lab.roll()
    record = lab.record
    assert record.phase.is_over
    assert (lab.pointer == lab.new) is (record.phase is Phase.SUCCEEDED)
    assert (lab.default_version == 2) is (record.phase is Phase.SUCCEEDED)
    assert (lab.locks.held, dict(lab.group.suspended), record.pause) == ({}, {}, None)
    if record.phase is Phase.SUCCEEDED:
        assert set(lab.versions) == {2}
    if record.phase is Phase.ROLLED_BACK:
        assert lab.versions == [1] * lab.machines
        assert lab.group.template_version == "1"
    assert not any(each.status.is_active for each in lab.fleets.refreshes(GROUP))
