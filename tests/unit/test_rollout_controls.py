# SPDX-License-Identifier: Apache-2.0
"""Controlling a rollout from another terminal while one watches it, and when nobody does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from orchestrator.domain.refresh import RefreshStatus
from orchestrator.domain.rollout.record import Phase
from orchestrator.errors import Refused, RolledBack, SlipwayError, Stranded
from orchestrator.workflows import rollout
from orchestrator.workflows.rollout.names import group_name
from orchestrator.workflows.rollout.world import RolloutWorld
from tests.unit.mortal import CHANGING, Fate, Killed, mortal, object_locks
from tests.unit.rollout_world import API, Lab

STAGED = {"checkpoint_percentages": [25, 50, 100], "checkpoint_delay_s": 3600}


class Stopped(BaseException):
    """The operator's command was killed."""


def kill_after(lab: Lab, seconds: float) -> None:
    """Kill the command that sleeps when so much time has passed."""
    at_s = lab.clock.monotonic_s() + seconds
    sleep = lab.clock.sleep

    def fatal(seconds: float) -> None:
        sleep(seconds)
        if lab.clock.monotonic_s() >= at_s:
            lab.clock.sleep = sleep  # type: ignore[method-assign]
            raise Stopped

    lab.clock.sleep = fatal  # type: ignore[method-assign]


def started(lab: Lab, seconds: float = 30) -> Lab:
    """Begin a rollout and kill its command."""
    kill_after(lab, seconds)
    with pytest.raises(Stopped):
        lab.roll()
    return lab


def meanwhile(lab: Lab, after_s: float, action: Callable[[], object], *, waits: bool = True) -> list[object]:
    """Let another terminal do something while one watches; return where its results go.

    Args:
        waits: Else its command is killed when it first waits: both wait in one thread here, and what it would
            wait for is done by the one that it interrupts.
    """
    results: list[object] = []
    sleep = lab.clock.sleep

    def fatal(_: float) -> None:
        raise Stopped

    def act() -> None:
        lab.clock.sleep = sleep if waits else fatal  # type: ignore[method-assign]
        try:
            results.append(action())
        except (SlipwayError, Stopped) as error:
            results.append(error)
        finally:
            lab.clock.sleep = sleep  # type: ignore[method-assign]

    lab.clock.schedule(after_s, act)
    return results


def quiet(_: object) -> None:
    """Show nothing."""


def test_a_pause_holds_the_rollout_without_limit_and_resume_lets_it_go_on() -> None:
    lab = Lab()
    meanwhile(lab, 20, lambda: rollout.pause(lab.world("bob@desk"), API))
    meanwhile(lab, 3 * 86_400, lambda: rollout.resume(lab.world("bob@desk"), API))
    result = lab.roll()
    assert result.is_changed
    assert (result.record and result.record.actual_s or 0) > 3 * 86_400
    assert any("bob@desk" in each.paused for each in lab.shown)
    assert lab.group.suspended == {}
    assert lab.record.pause is None


def test_a_pause_of_a_run_that_is_gone_is_given_back_by_the_next() -> None:
    lab = started(Lab(), 20)
    rollout.pause(lab.world("bob@desk"), API)
    assert "InstanceRefresh" in lab.group.suspended
    lab.roll()
    assert lab.group.suspended == {}
    assert lab.record.phase is Phase.SUCCEEDED


def test_a_pause_killed_before_its_call_is_repaired_by_the_next_command() -> None:
    lab = started(Lab(), 20)
    lab.fleets.fail("suspend slipway-dev-api InstanceRefresh", Stopped())
    with pytest.raises(Stopped):
        rollout.pause(lab.world("bob@desk"), API)
    assert lab.record.pause is not None
    rollout.resume(lab.world(), API)
    assert lab.record.pause is None
    lab.roll()
    assert lab.record.phase is Phase.SUCCEEDED


def test_a_pause_that_others_give_back_at_the_same_moment_leaves_nothing_suspended() -> None:
    lab = started(Lab(), 20)

    def give_back(call: str) -> None:
        if call.startswith("suspend"):
            rollout.resume(lab.world(), API)

    lab.fleets.after_call = give_back
    with pytest.raises(Refused, match="at the same moment"):
        rollout.pause(lab.world("bob@desk"), API)
    assert lab.group.suspended == {}


def test_promotion_goes_on_past_a_checkpoint_and_the_watcher_follows() -> None:
    lab = Lab(policy=STAGED)
    results = meanwhile(lab, 600, lambda: rollout.promote(lab.world("bob@desk"), API, lab.reporter))
    again = meanwhile(lab, 1500, lambda: rollout.promote(lab.world("bob@desk"), API, lab.reporter))
    lab.roll()
    assert [type(each).__name__ for each in results + again] == ["RolloutResult", "RolloutResult"]
    assert lab.record.phase is Phase.SUCCEEDED
    assert len(lab.record.refresh_ids) == 3
    assert (lab.record.actual_s or 0) < 3600
    statuses = [each.status for each in lab.fleets.refreshes(group_name(API))]
    assert statuses == [RefreshStatus.SUCCESSFUL, RefreshStatus.CANCELLED, RefreshStatus.CANCELLED]
    assert lab.pointer == lab.new


def test_nothing_is_promoted_where_nothing_waits() -> None:
    lab = started(Lab(policy=STAGED), 4)
    with pytest.raises(Refused, match="no checkpoint"):
        rollout.promote(lab.world(), API, lab.reporter)


COMMANDS: dict[str, Callable[[Lab, RolloutWorld], object]] = {
    "pause": lambda lab, world: rollout.pause(world, API),
    "resume": lambda lab, world: rollout.resume(world, API),
    "promote": lambda lab, world: rollout.promote(world, API, lab.reporter),
    "abort": lambda lab, world: rollout.abort(world, API, lab.reporter),
    "rollback": lambda lab, world: rollout.rollback(world, API, lab.reporter, quiet),
}


def at_a_checkpoint(verb: str) -> Lab:
    lab = started(Lab(policy=STAGED | {"checkpoint_delay_s": 300}), 200)
    if verb == "resume":
        rollout.pause(lab.world(), API)
    return lab


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_command_killed_anywhere_is_repaired_by_the_next_rollout(verb: str) -> None:
    fate, lab = Fate(), at_a_checkpoint(verb)
    COMMANDS[verb](lab, mortal(lab.world(), fate, lab.clock))
    for number, call in enumerate(fate.calls, start=1):
        for after in (False, True)[: 1 + call.endswith(CHANGING)]:
            lab = at_a_checkpoint(verb)
            with pytest.raises(Killed):
                COMMANDS[verb](lab, mortal(lab.world(), Fate(number, after=after), lab.clock))
            with suppress(RolledBack, Stranded):
                run_after(lab)
            record = lab.record
            assert record.phase.is_over, (number, call)
            assert (record.pause, dict(lab.group.suspended)) == (None, {}), (number, call)
            assert (lab.pointer == lab.new) is (record.phase is Phase.SUCCEEDED), (number, call)
            assert not any(each.status.is_active for each in lab.fleets.refreshes(group_name(API)))


def run_after(lab: Lab) -> None:
    """Run `rollout` with locks that know whether their owner is dead."""
    world = replace(lab.world(), locks=object_locks(lab.objects, lab.clock))
    rollout.apply(world, rollout.observe_and_plan(world, API), lab.reporter, lab.shown.append)


def test_an_abort_leaves_both_images_and_says_so() -> None:
    lab = Lab(policy=STAGED)
    results = meanwhile(
        lab, 600, lambda: rollout.abort(lab.world("bob@desk"), API, lab.reporter), waits=False
    )
    with pytest.raises(Stranded, match="aborted by bob@desk") as caught:
        lab.roll()
    assert caught.value.exit_code == 8
    assert "3 of version 1, 1 of version 2" in caught.value.state
    assert lab.record.phase is Phase.ABORTED
    assert lab.pointer == lab.old
    assert [type(each) for each in results] == [Stopped]


def test_a_rollout_after_an_abort_goes_on_with_the_same_version() -> None:
    lab = started(Lab(policy=STAGED), 600)
    rollout.abort(lab.world(), API, lab.reporter)
    assert lab.versions == [1, 1, 1, 2]
    kept = [each.instance_id for each in lab.group.in_service if each.version == 2]
    lab.roll()
    assert lab.versions == [2, 2, 2, 2]
    assert kept[0] in {each.instance_id for each in lab.group.in_service}


def test_an_abort_can_be_taken_back() -> None:
    lab = started(Lab(policy=STAGED), 600)
    rollout.abort(lab.world(), API, lab.reporter)
    result = rollout.rollback(lab.world(), API, lab.reporter, quiet)
    assert result.is_changed
    assert lab.versions == [1, 1, 1, 1]
    assert (lab.pointer, lab.default_version) == (lab.old, 1)
    assert (lab.record.actual_s or 0) < 600  # nobody waits at checkpoints on the way back


@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "nobody watches"])
def test_a_rollback_while_it_goes_on(is_watched: bool) -> None:
    lab = Lab(policy=STAGED)
    if is_watched:
        results = meanwhile(
            lab,
            600,
            lambda: rollout.rollback(lab.world("bob@desk"), API, lab.reporter, quiet),
            waits=False,
        )
        with pytest.raises(RolledBack, match="taken back by bob@desk"):
            lab.roll()
        assert [type(each) for each in results] == [Stopped]
    else:
        started(lab, 600)
        assert rollout.rollback(lab.world(), API, lab.reporter, quiet).is_changed
    assert lab.versions == [1, 1, 1, 1]
    assert lab.record.phase is Phase.ROLLED_BACK
    assert lab.changes()[-1].startswith("rollback_refresh")


def test_a_rollback_finds_the_refresh_that_a_killed_run_could_not_write_down() -> None:
    lab = Lab(policy=STAGED)
    lab.fleets.after_call = lambda call: lab.objects.fail("put", Stopped()) if "start" in call else None
    with pytest.raises(Stopped):
        lab.roll()
    lab.fleets.after_call = lambda call: None
    lab.clock.advance(600)
    assert (lab.versions, lab.record.refresh_ids) == ([1, 1, 1, 2], ())
    assert rollout.rollback(lab.world(), API, lab.reporter, quiet).is_changed
    assert lab.versions == [1, 1, 1, 1]
    assert lab.record.phase is Phase.ROLLED_BACK


def test_a_rollback_after_success_rolls_the_image_before_out() -> None:
    lab = Lab()
    lab.roll()
    first = lab.record.rollout_id
    result = rollout.rollback(lab.world(), API, lab.reporter, quiet)
    assert result.record is not None
    assert (result.record.takes_back, result.record.new_ami_id) == (first, lab.old)
    assert lab.pointer == lab.old
    with pytest.raises(Refused, match="no rollout to take back"):
        rollout.rollback(lab.world(), API, lab.reporter, quiet)


@pytest.mark.parametrize("verb", ["pause", "promote", "abort"])
def test_controls_are_refused_when_nothing_is_under_way(verb: str) -> None:
    lab = Lab()
    lab.roll()
    arguments = (lab.reporter,) if verb != "pause" else ()
    with pytest.raises(Refused, match="none is under way"):
        getattr(rollout, verb)(lab.world(), API, *arguments)
