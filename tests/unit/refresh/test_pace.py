# SPDX-License-Identifier: Apache-2.0
"""How many instances a refresh replaces at a time, and when: what AWS documents, sentence by sentence.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html
https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-adding-checkpoints-instance-refresh.html
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from sandbox.autoscaling.group import Process
from sandbox.autoscaling.member import Lifecycle
from sandbox.autoscaling.refresh.choices import DEFAULT
from sandbox.autoscaling.refresh.preferences import Preferences
from sandbox.autoscaling.refresh.record import RefreshStatus
from tests.unit.autoscaling_fleet import BOOT_S, Fleet
from tests.unit.refresh.conftest import Stories

MINUTE_S = 60


def prefer(least: int, most: int | None = None, **options: object) -> Preferences:
    return Preferences(least, most, warmup_s=0, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "least", "most", "sizes"),
    [
        (10, 80, 100, [2] * 5),
        (10, 85, None, [1] * 10),  # the least is rounded up: nine of ten
        (19, 90, 100, [1] * 19),
        (20, 90, 100, [2] * 10),
        (10, 100, 100, [1] * 10),
        (10, 100, 125, [2] * 5),  # the most is rounded down: twelve of ten
        (10, 100, 200, [10]),
        (10, 0, 100, [10]),
        (10, 90, 120, [3, 3, 3, 1]),
        (1, 90, 100, [1]),
        (3, 50, 100, [1] * 3),
        (3, 100, 110, [1] * 3),  # no room, yet at least one
    ],
    ids=str,
)
def test_instances_are_replaced_in_batches_within_the_percentages(
    stories: Stories, size: int, least: int, most: int | None, sizes: list[int]
) -> None:
    story = stories.of(size)
    story.begin(prefer(least, most))
    assert story.run().status is RefreshStatus.SUCCESSFUL
    assert [count for _, count in story.launches] == sizes
    assert story.versions == {2: size}


@pytest.mark.parametrize(
    ("size", "least", "most", "extremes"),
    [
        (10, 100, 100, (10, 11)),  # launch first, one at a time, never fewer
        (10, 100, 150, (10, 15)),
        (10, 90, 100, (9, 10)),  # terminate first
        (10, 50, 100, (5, 10)),
        (10, 0, 100, (0, 10)),
        (100, 90, 120, (90, 120)),
        (2, 50, 100, (1, 2)),
        (1, 90, 100, (0, 1)),  # one instance that is terminated first is an outage
        (1, 100, 100, (1, 2)),
    ],
    ids=str,
)
def test_capacity_stays_between_the_percentages_of_desired(
    stories: Stories, size: int, least: int, most: int, extremes: tuple[int, int]
) -> None:
    story = stories.of(size)
    story.begin(prefer(least, most))
    story.run()
    assert (min(story.seen.values()), story.most) == extremes


@pytest.mark.parametrize(("least", "most"), [(100, 100), (100, 150), (100, 200), (75, 100)])
def test_a_zone_keeps_as_many_instances_as_the_percentages_allow(
    stories: Stories, least: int, most: int
) -> None:
    story = stories.of(8)
    story.begin(prefer(least, most))
    fewest = 2
    while story.refresh and story.refresh.is_active:
        story.pass_time(10)
        serving = Counter(each.zone for each in story.of_state(Lifecycle.IN_SERVICE))
        fewest = min(fewest, *(serving[zone] for zone in "abcd"))
    assert fewest == (2 if least == 100 else 1)
    assert Counter(each.zone for each in story.group.members.values()) == dict.fromkeys("abcd", 2)


def test_a_batch_waits_for_the_warm_up_of_the_one_before(stories: Stories) -> None:
    story = stories.of(4)
    story.begin(replace(prefer(75, 100), warmup_s=300))
    story.run()
    assert story.gaps == [BOOT_S + 300] * 3


@pytest.mark.parametrize(
    ("asked", "of_group", "grace_s", "waits_s"),
    [(120, 60, 30, 120), (None, 60, 30, 60), (None, None, 30, 30), (0, 60, 30, 0)],
    ids=["the refresh's own", "the group's default", "the health checks' grace", "zero is an answer"],
)
def test_the_warm_up_is_the_refreshs_else_the_groups_else_the_grace_period(
    stories: Stories, asked: int | None, of_group: int | None, grace_s: int, waits_s: int
) -> None:
    story = stories.of(2, warmup_s=of_group, grace_s=grace_s)
    story.begin(Preferences(50, 100, warmup_s=asked))
    story.run(step_s=1)
    assert story.gaps == [BOOT_S + waits_s]


def test_two_at_once_with_checkpoints_as_the_documentation_works_it_out(stories: Stories) -> None:
    """Ten instances, 80 %, checkpoints at 20 and 50 %, 15 minutes' delay, 10 minutes to warm up."""
    fleet = Fleet(boot_s=0.0)
    story = stories.of(10, fleet=fleet)
    story.begin(
        Preferences(80, 100, warmup_s=10 * MINUTE_S, checkpoints=(20, 50), checkpoint_delay_s=15 * MINUTE_S)
    )
    refresh = story.run()
    assert story.launches == [(0, 2), (25 * MINUTE_S, 2), (35 * MINUTE_S, 1)]
    assert refresh.status is RefreshStatus.SUCCESSFUL
    assert story.age_s == 45 * MINUTE_S
    assert story.versions == {1: 5, 2: 5}
    assert story.fleet.told == ["Started", "Checkpoint Reached 20", "Checkpoint Reached 50", "Succeeded"]


def test_a_checkpoint_that_a_small_group_passes_over_is_skipped(stories: Stories) -> None:
    story = stories.of(2)
    story.begin(prefer(50, 100, checkpoints=(10, 40, 100), checkpoint_delay_s=600))
    story.run()
    assert story.fleet.told == ["Started", "Checkpoint Reached 40", "Succeeded"]
    assert story.gaps == [BOOT_S + 600]


def test_no_event_tells_of_the_checkpoint_at_a_hundred(stories: Stories) -> None:
    story = stories.of(2)
    story.begin(prefer(50, 100, checkpoints=(100,), checkpoint_delay_s=600))
    story.run()
    assert story.fleet.told == ["Started", "Succeeded"]
    assert story.age_s == 2 * BOOT_S


def test_a_group_that_grows_falls_behind_its_checkpoint_and_waits_there_again(stories: Stories) -> None:
    story = stories.of(4)
    story.begin(prefer(50, 100, checkpoints=(50, 100), checkpoint_delay_s=600))
    story.pass_time(BOOT_S)
    assert story.fleet.told == ["Started", "Checkpoint Reached 50"]
    story.fleet.resize(12)
    story.run()
    # What is launched meanwhile is of the desired configuration: 10 of 12 are new at once.
    assert story.versions == {2: 12}
    assert story.fleet.told.count("Checkpoint Reached 50") == 2


@pytest.mark.parametrize("process", [Process.INSTANCE_REFRESH, Process.LAUNCH, Process.TERMINATE])
def test_a_suspended_process_pauses_and_does_not_cancel(stories: Stories, process: Process) -> None:
    story = stories.of(4)
    story.begin(prefer(75, 100))
    story.pass_time(BOOT_S)
    story.group.suspended[process] = "User suspended"
    story.fleet.wake()
    story.pass_time(30 * MINUTE_S)
    before = sum(count for _, count in story.launches)
    story.pass_time(5 * 3600, step_s=600)
    assert story.refresh is not None
    assert story.refresh.status is RefreshStatus.IN_PROGRESS
    assert sum(count for _, count in story.launches) == before < 4
    assert story.refresh.reason == f"Waiting for the {process} process to be resumed."
    del story.group.suspended[process]
    story.fleet.wake()
    assert story.run().status is RefreshStatus.SUCCESSFUL


def test_the_bake_time_comes_after_the_last_instance(stories: Stories) -> None:
    story = stories.of(2)
    refresh = story.begin(prefer(0, 100, refresh_bake_time_s=1200))
    story.pass_time(BOOT_S + 1190)
    assert (refresh.status, refresh.percentage, story.versions) == (RefreshStatus.BAKING, 100, {2: 2})
    assert story.group.settings.template.version == "1"
    story.pass_time(10)
    assert refresh.status is RefreshStatus.SUCCESSFUL
    assert story.group.settings.template.version == "2"
    assert story.fleet.told == ["Started", "Started Baking", "Succeeded"]


def test_a_surge_may_exceed_the_maximum_size_unless_the_switch_says_not(stories: Stories) -> None:
    ends = {}
    for is_allowed in (True, False):
        fleet = Fleet(choices=replace(DEFAULT, surge_may_exceed_max_size=is_allowed))
        story = stories.of(4, fleet=fleet)
        story.group.settings.max_size = 4
        story.begin(prefer(100, 150))
        ends[is_allowed] = (story.run().status, story.most)
    assert ends == {True: (RefreshStatus.SUCCESSFUL, 6), False: (RefreshStatus.FAILED, 4)}


def test_slot_by_slot_begins_the_next_as_soon_as_one_is_done(stories: Stories) -> None:
    took = {}
    for is_slot_by_slot in (False, True):
        fleet = Fleet(choices=replace(DEFAULT, refills_slot_by_slot=is_slot_by_slot))
        story = stories.of(6, fleet=fleet)
        story.begin(replace(prefer(66, 100), warmup_s=60))
        assert story.run().status is RefreshStatus.SUCCESSFUL
        took[is_slot_by_slot] = story.age_s
    assert took[True] <= took[False] == 3 * (BOOT_S + 60)


def test_progress_counts_what_is_replaced_healthy_and_warm(stories: Stories) -> None:
    story = stories.of(4)
    refresh = story.begin(replace(prefer(50, 100), warmup_s=100))
    told = [(refresh.percentage, refresh.to_update)]
    for _ in range(2):
        story.pass_time(BOOT_S + 90)
        told.append((refresh.percentage, refresh.to_update))
        assert "is warming up." in refresh.reason
        story.pass_time(10)
        told.append((refresh.percentage, refresh.to_update))
    assert told == [(0, 4), (0, 4), (50, 2), (50, 2), (100, 0)]


def test_the_group_keeps_its_old_version_until_all_is_done(stories: Stories) -> None:
    story = stories.of(4)
    refresh = story.begin(prefer(75, 100))
    while refresh.is_active:
        assert story.group.settings.template.version == "1"
        story.pass_time(10)
    assert story.group.settings.template.version == "2"


def test_what_is_launched_for_more_capacity_meanwhile_is_of_the_desired_configuration(
    stories: Stories,
) -> None:
    story = stories.of(4)
    story.begin(prefer(75, 100, checkpoints=(25, 100), checkpoint_delay_s=6000))
    story.pass_time(BOOT_S)
    story.fleet.resize(6)
    story.pass_time(BOOT_S)
    assert story.versions == {1: 3, 2: 3}


def test_without_a_desired_configuration_the_groups_own_is_launched(stories: Stories) -> None:
    story = stories.of(3)
    before = set(story.group.members)
    story.begin(prefer(0, 100), desired=None)
    assert story.run().status is RefreshStatus.SUCCESSFUL
    assert story.versions == {1: 3}
    assert before.isdisjoint(story.group.members)


def test_causes_say_that_it_was_a_refresh(stories: Stories) -> None:
    story = stories.of(1)
    story.begin(prefer(0, 100))
    story.run()
    causes = [each.cause for each in story.fleet.state.activities["web"][1:]]
    assert "an instance was taken out of service in response to an instance refresh." in causes[0]
    assert causes[0].endswith("instance i-1 was selected for termination.")
    assert "instance refresh" in causes[1]


def test_a_refresh_goes_on_after_a_restart(stories: Stories) -> None:
    story = stories.of(6)
    story.begin(prefer(50, 100, checkpoints=(50, 100), checkpoint_delay_s=600))
    story.pass_time(BOOT_S + 100)
    story.fleet.restart()
    story.fleet.loop.look_at_all()
    assert story.run().status is RefreshStatus.SUCCESSFUL
    assert story.versions == {2: 6}
    assert story.fleet.told == ["Started", "Checkpoint Reached 50", "Succeeded"]
