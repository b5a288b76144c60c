# SPDX-License-Identifier: Apache-2.0
"""Watching rollouts: one's own, another run's, and refreshes that nobody of ours began."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from orchestrator.domain.refresh import RefreshPreferences, RefreshRequest
from orchestrator.domain.rollout.plan import Action
from orchestrator.domain.rollout.record import Happened, Phase
from orchestrator.errors import AwsError, Refused, RolledBack, Stranded
from orchestrator.workflows import rollout
from orchestrator.workflows.rollout.names import group_name
from tests.fakes.fleets import Trouble
from tests.unit.rollout_world import API, Lab
from tests.unit.test_rollout_controls import STAGED, started

GROUP = group_name(API)


def begun_by_others(lab: Lab) -> str:
    """Let somebody begin a refresh in AWS's console."""
    number = lab.templates.create_version(
        lab.template_id, source=1, ami_id=lab.new, description="by hand", token="by-hand"
    )
    return lab.fleets.start_refresh(GROUP, RefreshRequest(lab.template_id, number, RefreshPreferences()))


def held_by_another(lab: Lab) -> None:
    """Let the run that carries the rollout out be alive."""
    lab.locks.hold_for_other(lab.lock, "rollout-of-ana")


def test_a_refresh_that_others_began_is_watched_and_nothing_is_changed() -> None:
    lab = Lab()
    begun_by_others(lab)
    assert lab.plan().action is Action.ATTACH
    result = lab.roll()
    assert not result.is_changed
    assert "was not written" in result.says[0]
    assert len(lab.shown) > 3
    assert lab.changes() == [f"start_refresh {GROUP}"]
    assert (lab.pointer, lab.objects.objects) == (lab.old, {})


def test_a_refresh_that_others_began_and_that_fails_says_so() -> None:
    lab = Lab()
    begun_by_others(lab)
    lab.clock.schedule(30, lambda: lab.fleets.rollback_refresh(GROUP))
    with pytest.raises(RolledBack, match="no rollout of ours"):
        lab.roll()
    begun = Lab()
    begun_by_others(begun)
    begun.clock.schedule(30, lambda: begun.fleets.cancel_refresh(GROUP))
    with pytest.raises(Stranded, match="Cancelled"):
        begun.roll()


def test_a_second_terminal_watches_and_ends_as_the_first() -> None:
    lab = started(Lab(), 20)
    held_by_another(lab)

    def end() -> None:
        del lab.locks.held[lab.lock]
        lab.roll()

    lab.clock.schedule(40, end)
    result = lab.roll()
    assert result.record is not None
    assert result.record.phase is Phase.SUCCEEDED
    assert any("watching it" in text for _, text in lab.reporter.of("note"))
    assert len(lab.fleets.refreshes(GROUP)) == 1


def test_a_watcher_goes_on_with_a_rollout_whose_run_has_died() -> None:
    lab = started(Lab(), 20)
    held_by_another(lab)
    lab.clock.schedule(40, lab.locks.held.clear)
    lab.roll()
    assert lab.record.phase is Phase.SUCCEEDED
    assert lab.pointer == lab.new


def test_a_watcher_guards_as_soon_as_the_run_that_did_has_died() -> None:
    lab = Lab(policy={"checkpoint_percentages": [50, 100], "checkpoint_delay_s": 7200})
    lab.fleets.spared[2], lab.fleets.trouble[2] = 2, Trouble.HOOK
    started(lab, 600)
    held_by_another(lab)
    lab.clock.schedule(1000, lab.locks.held.clear)
    dies_at = lab.clock.now() + timedelta(seconds=1000)
    lab.clock.schedule(1200, lambda: lab.fleets.rollback_refresh(GROUP))
    with pytest.raises(RolledBack):
        lab.roll()
    attached = next(each.at for each in lab.record.notes if each.what == Happened.ATTACHED)
    assert timedelta() < attached - dies_at < timedelta(seconds=90)


def test_a_watcher_follows_a_promotion_to_the_next_refresh() -> None:
    lab = started(Lab(policy=STAGED), 600)
    held_by_another(lab)
    lab.clock.schedule(60, lambda: rollout.promote(lab.world("bob@desk"), API, lab.reporter))
    lab.clock.schedule(900, lab.locks.held.clear)
    lab.roll()
    assert {each.refresh.refresh_id for each in lab.shown} == set(lab.record.refresh_ids)
    assert len(lab.record.refresh_ids) == 2


def test_a_rollout_that_ends_between_plan_and_watching_is_told_as_it_ended() -> None:
    lab = started(Lab(), 20)
    plan = lab.plan()
    lab.roll()
    result = rollout.apply(lab.world(), plan, lab.reporter, lab.shown.append)
    assert result.record is not None
    assert (plan.action, result.record.phase) == (Action.ATTACH, Phase.SUCCEEDED)


def test_another_image_is_refused_while_a_rollout_is_under_way() -> None:
    lab = started(Lab(), 20)
    with pytest.raises(Refused, match="is under way"):
        lab.roll(lab.old)


def test_a_rollout_that_was_overtaken_after_its_plan_is_refused() -> None:
    lab = Lab()
    plan = lab.plan()
    lab.roll()
    with pytest.raises(Refused, match="since the plan was made"):
        rollout.apply(lab.world(), plan, lab.reporter, lab.shown.append)


@contextmanager
def polls_counted(lab: Lab) -> Iterator[list[int]]:
    """Count the calls between two pauses."""
    counts: list[int] = []
    sleep, before = lab.clock.sleep, 0

    def count(seconds: float) -> None:
        nonlocal before
        now = len(lab.fleets.calls) + len(lab.targets.calls) + len(lab.objects.calls)
        counts.append(now - before)
        sleep(seconds)
        before = len(lab.fleets.calls) + len(lab.targets.calls) + len(lab.objects.calls)

    lab.clock.sleep = count  # type: ignore[method-assign]
    yield counts
    lab.clock.sleep = sleep  # type: ignore[method-assign]


@pytest.mark.parametrize("machines", [4, 200])
def test_a_look_is_three_calls_at_any_size(machines: int) -> None:
    lab = Lab(machines=machines)
    lab.clock.schedule(60, lambda: rollout.pause(lab.world("bob@desk"), API))
    lab.clock.schedule(300, lambda: rollout.resume(lab.world("bob@desk"), API))
    with polls_counted(lab) as counts:
        lab.roll()
    assert lab.record.phase is Phase.SUCCEEDED
    assert set(counts[1:]) == {3}


@pytest.mark.parametrize(
    "trouble", [Trouble.HOOK, Trouble.LAUNCH, Trouble.STATUS_CHECK, Trouble.TARGET_HEALTH]
)
@pytest.mark.parametrize("machines", [4, 60])
def test_the_guard_acts_within_a_minute_of_the_failure_that_is_too_much(
    trouble: Trouble, machines: int
) -> None:
    lab = Lab(machines=machines, policy={"max_failures": 2, "checkpoint_percentages": [50, 100]})
    lab.fleets.spared[2] = machines // 2
    lab.fleets.trouble[2] = trouble
    with pytest.raises(RolledBack):
        lab.roll()
    refresh = lab.fleets.refreshes(GROUP)[0]
    assert refresh.rollback is not None
    assert refresh.rollback.started_at is not None
    second = sorted(each.at for each in lab.record.failures)[1]
    assert (refresh.rollback.started_at - second).total_seconds() <= 60


def test_looks_that_fail_are_left_out() -> None:
    lab = Lab()
    error = AwsError("autoscaling", "DescribeInstanceRefreshes", "InternalFailure", "again")
    lab.clock.schedule(20, lambda: lab.fleets.fail("refresh", *[error] * 5))
    lab.roll()
    assert lab.record.phase is Phase.SUCCEEDED


def test_the_view_tells_of_zones_targets_checkpoint_and_forecast() -> None:
    lab = Lab(policy={"checkpoint_percentages": [50, 100], "checkpoint_delay_s": 120})
    lab.roll()
    waiting = [each for each in lab.shown if each.checkpoint]
    assert {each.checkpoint.percentage for each in waiting if each.checkpoint} == {50}
    assert {(each.old, each.new) for each in waiting} == {(2, 2)}
    first = waiting[0].checkpoint
    assert first is not None
    assert (first.ends_at - first.reached_at).total_seconds() == 120
    last = lab.shown[-1]
    assert (last.old, last.new, last.desired) == (0, 4, 4)
    assert last.targets["healthy"] == 4
    assert last.predicted_s == lab.record.predicted_s
    assert last.activities
    assert not any(each.checkpoint for each in lab.shown[-3:])
