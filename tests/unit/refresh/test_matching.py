# SPDX-License-Identifier: Apache-2.0
"""Which instances a refresh replaces, and in which order.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-instance-refresh-skip-matching.html
https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-instance-termination.html
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sandbox.autoscaling.group import TemplateReference
from sandbox.autoscaling.refresh.preferences import Preferences
from sandbox.autoscaling.refresh.record import RefreshStatus
from tests.unit.autoscaling_fleet import BOOT_S, TEMPLATE
from tests.unit.refresh.conftest import Stories, Story

ONE_BY_ONE = Preferences(75, 100, warmup_s=0)
LATEST = TemplateReference("lt-1", "web", "$Latest")


def ended_first(story: Story) -> list[str]:
    """Return the instances that were terminated, in order."""
    title = "Terminating EC2 instance: "
    found = (each.description for each in story.fleet.state.activities["web"])
    return [each.removeprefix(title) for each in found if each.startswith(title)]


def test_without_skip_matching_all_are_replaced_also_by_what_they_are(stories: Stories) -> None:
    story = stories.of(4)
    before = set(story.group.members)
    story.begin(ONE_BY_ONE, desired=TEMPLATE)
    assert story.run().status is RefreshStatus.SUCCESSFUL
    assert before.isdisjoint(story.group.members)


def test_with_nothing_to_change_skip_matching_succeeds_at_once(stories: Stories) -> None:
    story = stories.of(4)
    refresh = story.begin(replace(ONE_BY_ONE, skips_matching=True), desired=TEMPLATE)
    assert (refresh.status, refresh.percentage, refresh.to_update) == (RefreshStatus.SUCCESSFUL, 100, 0)
    assert (story.age_s, story.launches) == (0, [])


def test_skip_matching_replaces_only_what_differs(stories: Stories) -> None:
    story = stories.of(4)
    story.begin(replace(ONE_BY_ONE, checkpoints=(50,)))
    story.run()
    assert story.versions == {1: 2, 2: 2}
    kept = {each.instance_id for each in story.group.members.values() if story.version(each) == 2}
    story.begin(replace(ONE_BY_ONE, skips_matching=True))
    assert story.run().status is RefreshStatus.SUCCESSFUL
    assert story.versions == {2: 4}
    assert kept <= set(story.group.members)


def test_latest_is_looked_up_for_each_replacement(stories: Stories) -> None:
    story = stories.of(4)
    story.fleet.latest = 2
    story.begin(replace(ONE_BY_ONE, skips_matching=True), desired=LATEST)
    story.pass_time(BOOT_S + 10)
    story.fleet.latest = 3
    assert story.run().status is RefreshStatus.SUCCESSFUL
    assert story.versions == {3: 4}


def test_a_second_refresh_begins_with_what_the_first_left_alone(stories: Stories) -> None:
    story = stories.of(8)
    story.begin(replace(ONE_BY_ONE, checkpoints=(50,)))
    story.run()
    left = {each.instance_id for each in story.group.members.values() if story.version(each) == 1}
    before = len(ended_first(story))
    story.begin(ONE_BY_ONE)
    story.run()
    assert set(ended_first(story)[before : before + 4]) == left


def test_the_zone_with_the_most_instances_comes_first_then_the_termination_policy(stories: Stories) -> None:
    story = stories.of(6, termination_policies=("NewestInstance",))
    zones = {each.instance_id: each.zone for each in story.group.members.values()}
    assert Counter(zones.values()) == {"a": 2, "b": 2, "c": 1, "d": 1}
    story.begin(Preferences(84, 100, warmup_s=0))  # one at a time
    story.pass_time(0)
    [first] = ended_first(story)
    assert zones[first] in "ab"
    others = [each for each, zone in zones.items() if zone == zones[first] and each != first]
    assert story.group.members[others[0]].number < int(first.removeprefix("i-"))


def test_an_instance_of_a_zone_that_the_group_has_left_comes_before_all(stories: Stories) -> None:
    story = stories.of(8)
    settings = story.group.settings
    story.group.settings = replace(settings, subnets=settings.subnets[:3])
    story.group.suspended = {"AZRebalance": ""}
    left = {each.instance_id for each in story.group.members.values() if each.zone == "d"}
    story.begin(Preferences(90, 100, warmup_s=0))
    story.run()
    assert set(ended_first(story)[:2]) == left
    assert {each.zone for each in story.group.members.values()} == {"a", "b", "c"}


def test_an_instance_that_dies_meanwhile_is_replaced_by_a_new_one(stories: Stories) -> None:
    story = stories.of(4)
    story.begin(replace(ONE_BY_ONE, checkpoints=(25, 100), checkpoint_delay_s=3600))
    story.pass_time(BOOT_S + 10)
    assert story.versions == {1: 3, 2: 1}
    old = next(each for each in story.group.members.values() if story.version(each) == 1)
    old.unhealthy = "a user health-check"
    story.group.look_at(old)
    story.fleet.wake()
    story.pass_time(BOOT_S + 10)
    assert story.versions == {1: 2, 2: 2}
