# SPDX-License-Identifier: Apache-2.0
"""A rollout that is killed at any of its calls, before or after it took effect, is ended by the next run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.domain.rollout.record import Phase
from orchestrator.errors import RolledBack
from orchestrator.workflows import rollout
from orchestrator.workflows.rollout.names import group_name
from orchestrator.workflows.rollout.world import RolloutWorld
from tests.fakes import Trouble
from tests.unit.mortal import CHANGING, Fate, Killed, mortal, object_locks
from tests.unit.rollout_world import Lab

QUICK = {"max_healthy_percentage": 200, "instance_warmup_s": 5, "max_failures": 1}
CANARY = {**QUICK, "checkpoint_percentages": (25, 100), "checkpoint_delay_s": 20}
Step = Callable[[Lab, RolloutWorld], None]


def quick(policy: dict[str, object]) -> Lab:
    """Return a lab whose machines take so little time that few looks see them come and go."""
    lab = Lab(policy=policy)
    lab.fleets.boot_s, lab.fleets.leave_s = 5.0, 5.0
    return lab


def roll(lab: Lab, world: RolloutWorld) -> None:
    """Do what `invoke rollout` does."""
    target = RolloutTarget(lab.environment, "api", lab.new)
    plan = rollout.observe_and_plan(world, target)
    rollout.confirm(world, plan, is_confirmed=True)
    rollout.apply(world, plan, lab.reporter, lab.shown.append)


def again(lab: Lab, step: Step) -> None:
    """Do a step in a run that is not killed."""
    step(lab, replace(lab.world("ben@desk"), locks=object_locks(lab.objects, lab.clock)))


def deaths(fresh: Callable[[], Lab], step: Step) -> Iterator[Lab]:
    """Give labs in which a step was killed: before each of its calls, and after each that changes something.

    After a call that only reads all is as before the next one.
    """
    lab, fate = fresh(), Fate()
    with suppress(RolledBack):
        step(lab, mortal(lab.world(), fate, lab.clock))
    for number, call in enumerate(fate.calls, start=1):
        for after in (False, True)[: 1 + call.endswith(CHANGING)]:
            lab = fresh()
            with pytest.raises(Killed):
                step(lab, mortal(lab.world(), Fate(number, after=after), lab.clock))
            yield lab


def check_nothing_is_left(lab: Lab) -> None:
    """Check that no lock, pause or open record is left, and that no rollout began two refreshes."""
    lab.clock.advance(120)
    assert not [key for key in lab.objects.objects if key.startswith("locks/")]
    assert lab.group.suspended == {}
    records = rollout.history(lab.world(), "api")
    assert all(each.phase.is_over and each.pause is None and each.ended_at for each in records)
    begun = sorted(each.refresh_id for each in lab.fleets.refreshes(group_name(lab.target)))
    assert begun == sorted(each.refresh_id for each in records)
    assert all(len(each.refresh_ids) == 1 for each in records)
    assert len(lab.group.in_service) == len(lab.group.instances) == lab.machines


def test_a_good_image_is_rolled_out() -> None:
    for lab in deaths(lambda: quick(CANARY), roll):
        again(lab, roll)
        check_nothing_is_left(lab)
        assert [each.phase for each in rollout.history(lab.world(), "api")] == [Phase.SUCCEEDED]
        assert (lab.versions, lab.pointer, lab.default_version) == ([2, 2, 2, 2], lab.new, 2)
        assert lab.group.template_version == "2"
        assert len(lab.templates.versions[lab.template_id]) == 2


@pytest.mark.parametrize("trouble", [Trouble.LAUNCH, Trouble.TARGET_HEALTH])
def test_a_bad_image_is_taken_back(trouble: Trouble) -> None:
    def fresh() -> Lab:
        lab = quick(QUICK)
        # A rollout killed at its very end is over: the next run begins another, with a version of its own.
        lab.fleets.trouble.update({2: trouble, 3: trouble})
        return lab

    for lab in deaths(fresh, roll):
        with pytest.raises(RolledBack):
            again(lab, roll)
        check_nothing_is_left(lab)
        assert {each.phase for each in rollout.history(lab.world(), "api")} == {Phase.ROLLED_BACK}
        assert (lab.versions, lab.pointer, lab.default_version) == ([1, 1, 1, 1], lab.old, 1)
        assert lab.group.template_version == "1"
