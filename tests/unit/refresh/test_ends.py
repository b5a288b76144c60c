# SPDX-License-Identifier: Apache-2.0
"""How refreshes fail, are cancelled and are taken back.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-rollback.html
https://docs.aws.amazon.com/autoscaling/ec2/userguide/cancel-instance-refresh.html
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.autoscaling.member import Lifecycle
from sandbox.autoscaling.refresh import words
from sandbox.autoscaling.refresh.preferences import Preferences
from sandbox.autoscaling.refresh.record import RefreshStatus
from tests.unit.autoscaling_fleet import BOOT_S, Fleet
from tests.unit.refresh.conftest import HOUR_S, Stories, Story

DAY_S = 24 * HOUR_S
QUICK = Preferences(50, 100, warmup_s=0)
REVERSIBLE = replace(QUICK, auto_rollback=True)


def ended(story: Story) -> tuple[RefreshStatus, int]:
    """Run a refresh to its end; return how it ended and after how many hours."""
    status = story.run(15 * DAY_S, step_s=60).status
    return status, round(story.age_s / HOUR_S)


def roll_back(story: Story) -> None:
    assert story.refresh is not None
    refreshing = story.fleet.engine.refreshing
    refreshing.roll_back(story.group, story.refresh, words.ROLLED_BACK_BY_USER, story.fleet.clock.now())
    story.fleet.wake()


def cancel(story: Story, *, waits: bool) -> None:
    assert story.refresh is not None
    refreshing = story.fleet.engine.refreshing
    refreshing.cancel(story.group, story.refresh, story.fleet.clock.now(), waits=waits)
    story.fleet.wake()


@pytest.mark.parametrize(
    ("preferences", "status", "versions"),
    [(QUICK, RefreshStatus.FAILED, {1: 2}), (REVERSIBLE, RefreshStatus.ROLLBACK_SUCCESSFUL, {1: 4})],
    ids=["left as it is", "taken back"],
)
def test_launches_that_keep_failing_are_tried_for_an_hour(
    stories: Stories, preferences: Preferences, status: RefreshStatus, versions: dict[int, int]
) -> None:
    story = stories.of(4)
    story.fleet.broken = {2}
    refresh = story.begin(preferences)
    story.pass_time(HOUR_S - 60)
    assert refresh.status is RefreshStatus.IN_PROGRESS
    assert ended(story) == (status, 1)
    assert story.versions == versions or status is RefreshStatus.FAILED
    assert story.group.settings.template.version == "1"


def test_new_instances_that_fail_their_health_checks_are_replaced_for_an_hour(stories: Stories) -> None:
    options = {"health_check_type": "ELB", "target_groups": ("tg-1",)}
    story = stories.of(4, **options)
    story.fleet.ill = {2}
    story.begin(REVERSIBLE)
    story.pass_time(HOUR_S - 60)
    assert sum(count for _, count in story.launches) > 10
    assert ended(story) == (RefreshStatus.ROLLBACK_SUCCESSFUL, 1)
    assert story.versions == {1: 4}
    assert story.fleet.told == ["Started", "Rollback Started", "Rollback Succeeded"]


def test_one_that_becomes_healthy_within_the_hour_is_enough_to_go_on(stories: Stories) -> None:
    options = {"health_check_type": "ELB", "target_groups": ("tg-1",)}
    story = stories.of(2, **options)
    story.fleet.ill = {2}
    refresh = story.begin(QUICK)
    story.pass_time(HOUR_S - 300)
    story.fleet.ill = set()
    assert story.run().status is RefreshStatus.SUCCESSFUL
    assert refresh.percentage == 100


def test_a_rollback_that_cant_launch_either_has_failed_after_another_hour(stories: Stories) -> None:
    story = stories.of(4)
    story.begin(replace(REVERSIBLE, min_healthy=75))
    story.pass_time(BOOT_S + 10)
    story.fleet.broken = {1, 2}
    assert ended(story) == (RefreshStatus.ROLLBACK_FAILED, 2)
    assert story.fleet.told[-2:] == ["Rollback Started", "Rollback Failed"]


def test_no_refresh_takes_longer_than_fourteen_days(stories: Stories) -> None:
    story = stories.of(20)
    story.begin(Preferences(95, 100, warmup_s=DAY_S))
    assert story.run(15 * DAY_S, step_s=HOUR_S).status is RefreshStatus.FAILED
    assert story.age_s == pytest.approx(14 * DAY_S, abs=HOUR_S)
    assert story.versions == {1: 6, 2: 14}


@pytest.mark.parametrize("waits", [True, False])
def test_cancelling_never_undoes_what_is_replaced(stories: Stories, waits: bool) -> None:
    story = stories.of(4)
    refresh = story.begin(QUICK)
    story.pass_time(BOOT_S + 10)
    cancel(story, waits=waits)
    if waits:
        assert (refresh.status, refresh.reason) == (RefreshStatus.CANCELLING, words.CANCELLING)
    else:
        assert refresh.status is RefreshStatus.CANCELLED
    assert story.run().status is RefreshStatus.CANCELLED
    story.pass_time(600)
    # Both batches were begun.
    assert story.versions[2] >= 2
    assert story.group.settings.template.version == "1"
    assert story.fleet.told == ["Started", "Cancelled"]


def test_a_rollback_can_be_cancelled_too(stories: Stories) -> None:
    story = stories.of(8)
    story.begin(replace(REVERSIBLE, min_healthy=75))
    story.pass_time(2 * BOOT_S + 10)
    roll_back(story)
    cancel(story, waits=True)
    assert story.run().status is RefreshStatus.CANCELLED
    assert set(story.versions) == {1, 2}


def test_a_rollback_falls_back_to_zero_and_has_only_what_was_replaced_to_do(stories: Stories) -> None:
    story = stories.of(10)
    refresh = story.begin(replace(REVERSIBLE, min_healthy=80))
    story.pass_time(2 * BOOT_S + 10)
    assert (refresh.percentage, story.versions) == (40, {1: 4, 2: 6})
    roll_back(story)
    assert refresh.rollback is not None
    assert (refresh.rollback.percentage, refresh.rollback.to_update) == (40, 6)
    told = [refresh.percentage]
    while refresh.is_active:
        story.pass_time(10)
        told.append(refresh.percentage)
    assert told == sorted(told, reverse=True)
    assert told[-1] == 0
    assert refresh.status is RefreshStatus.ROLLBACK_SUCCESSFUL
    assert story.versions == {1: 10}


def test_a_rollback_waits_at_no_checkpoint(stories: Stories) -> None:
    story = stories.of(4)
    story.begin(replace(REVERSIBLE, checkpoints=(50, 75, 100), checkpoint_delay_s=HOUR_S))
    story.pass_time(BOOT_S + 10)
    assert story.fleet.told[-1] == "Checkpoint Reached 50"
    roll_back(story)
    begun_s = story.age_s
    assert story.run().status is RefreshStatus.ROLLBACK_SUCCESSFUL
    assert story.age_s - begun_s < 10 * 60


def test_a_rollback_may_begin_while_the_group_is_watched_at_the_end(stories: Stories) -> None:
    story = stories.of(2)
    refresh = story.begin(replace(REVERSIBLE, refresh_bake_time_s=HOUR_S))
    story.pass_time(3 * BOOT_S)
    assert refresh.status is RefreshStatus.BAKING
    roll_back(story)
    assert story.run().status is RefreshStatus.ROLLBACK_SUCCESSFUL
    assert story.versions == {1: 2}


@pytest.mark.parametrize(
    ("preferences", "status"),
    [(QUICK, RefreshStatus.FAILED), (REVERSIBLE, RefreshStatus.ROLLBACK_SUCCESSFUL)],
)
@pytest.mark.parametrize("is_baking", [False, True])
def test_an_alarm_ends_a_refresh_at_once(
    stories: Stories, preferences: Preferences, status: RefreshStatus, is_baking: bool
) -> None:
    fleet = Fleet(alarms={"errors": "OK"})
    story = stories.of(4, fleet=fleet)
    refresh = story.begin(replace(preferences, alarms=("errors",), refresh_bake_time_s=HOUR_S))
    story.pass_time(HOUR_S / 2 if is_baking else BOOT_S)
    assert (refresh.status is RefreshStatus.BAKING) is is_baking
    before_s = story.age_s
    fleet.alarms["errors"] = "ALARM"
    story.fleet.wake()
    assert story.run().status is status
    assert story.age_s - before_s < 5 * 60
    told = refresh.rollback.reason if refresh.rollback else refresh.reason
    assert told == "The CloudWatch alarm errors is in state ALARM."


def test_an_alarm_without_data_only_holds_replacements_up(stories: Stories) -> None:
    fleet = Fleet(alarms={"errors": "OK"})
    story = stories.of(4, fleet=fleet)
    refresh = story.begin(replace(REVERSIBLE, alarms=("errors",)))
    fleet.alarms["errors"] = "INSUFFICIENT_DATA"
    fleet.wake()
    story.pass_time(3 * HOUR_S, step_s=60)
    assert refresh.status is RefreshStatus.IN_PROGRESS
    assert refresh.reason == "Waiting for data of the CloudWatch alarm errors."
    assert sum(count for _, count in story.launches) == 2
    fleet.alarms["errors"] = "OK"
    fleet.wake()
    assert story.run().status is RefreshStatus.SUCCESSFUL


@pytest.mark.parametrize(
    ("choice", "status", "hours", "versions"),
    [
        ("Wait", RefreshStatus.FAILED, 1, {1: 1, 2: 3}),
        ("Ignore", RefreshStatus.SUCCESSFUL, 0, {1: 1, 2: 3}),
        ("Refresh", RefreshStatus.SUCCESSFUL, 0, {2: 4}),
    ],
)
def test_protected_instances_are_waited_for_ignored_or_replaced(
    stories: Stories, choice: str, status: RefreshStatus, hours: int, versions: dict[int, int]
) -> None:
    story = stories.of(4)
    story.group.members["i-2"].is_protected = True
    story.begin(replace(QUICK, protected=choice))
    story.pass_time(5 * 60)
    # All others are replaced first.
    assert story.versions == versions
    assert ended(story) == (status, hours)
    assert story.versions == versions


@pytest.mark.parametrize(
    ("choice", "status", "hours", "standby"),
    [
        ("Wait", RefreshStatus.FAILED, 1, 1),
        ("Ignore", RefreshStatus.SUCCESSFUL, 0, 1),
        ("Terminate", RefreshStatus.SUCCESSFUL, 0, 0),
    ],
)
def test_instances_in_standby_are_waited_for_ignored_or_ended(
    stories: Stories, choice: str, status: RefreshStatus, hours: int, standby: int
) -> None:
    story = stories.of(4)
    story.group.settings.desired = 3
    story.group.move(story.group.members["i-2"], Lifecycle.STANDBY)
    story.begin(replace(QUICK, standby=choice))
    assert ended(story) == (status, hours)
    assert story.versions == {2: 3}
    assert len(story.of_state(Lifecycle.STANDBY)) == standby


def test_protection_that_is_taken_away_within_the_hour_lets_it_end(stories: Stories) -> None:
    story = stories.of(4)
    member = story.group.members["i-2"]
    member.is_protected = True
    refresh = story.begin(QUICK)
    story.pass_time(HOUR_S / 2)
    assert refresh.reason.endswith("i-2 is protected from scale-in.")
    member.is_protected = False
    story.group.look_at(member)
    story.fleet.wake()
    assert story.run().status is RefreshStatus.SUCCESSFUL
    assert story.versions == {2: 4}
