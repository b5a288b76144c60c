# SPDX-License-Identifier: Apache-2.0
"""Refreshes keep zones served: what is launched before something goes stands where that leaves room."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from sandbox.autoscaling.member import Lifecycle
from sandbox.autoscaling.refresh.choices import DEFAULT
from sandbox.autoscaling.refresh.record import RefreshStatus
from tests.unit.autoscaling_fleet import Fleet
from tests.unit.refresh.conftest import HOUR_S, Stories, Story
from tests.unit.refresh.test_pace import prefer


def by_zone(story: Story) -> Counter[str]:
    return Counter(each.zone for each in story.of_state(Lifecycle.IN_SERVICE))


def run(story: Story) -> list[Counter[str]]:
    """Run a refresh to its end and return what served in each zone at each look."""
    assert story.refresh is not None
    looks = [by_zone(story)]
    while story.refresh.is_active:
        assert story.age_s < 20 * HOUR_S
        story.pass_time(10)
        looks.append(by_zone(story))
    assert story.refresh.status is RefreshStatus.SUCCESSFUL
    return looks


@pytest.mark.parametrize("size", [3, 6, 7, 30])
@pytest.mark.parametrize(
    ("least", "most", "checkpoints"),
    [(100, 200, ()), (100, 200, (34, 100)), (100, 110, ()), (90, 150, ())],
)
def test_no_zone_is_ever_without_an_instance_nor_out_of_balance_in_the_end(
    stories: Stories, size: int, least: int, most: int, checkpoints: tuple[int, ...]
) -> None:
    story = stories.of(size, zones="abc")
    zones = set(by_zone(story))
    assert len(zones) == 3
    story.begin(replace(prefer(least, most), checkpoints=checkpoints, checkpoint_delay_s=60))
    looks = run(story)
    assert all(set(+look) == zones for look in looks)
    last = looks[-1]
    assert max(last.values()) - min(last[zone] for zone in zones) <= 1


def test_by_the_other_switch_a_surge_goes_where_the_fewest_are_with_what_will_leave(stories: Stories) -> None:
    fleet = Fleet(choices=replace(DEFAULT, surges_where_room_is_made=False))
    story = stories.of(3, fleet=fleet, zones="abc")
    story.begin(replace(prefer(100, 200), checkpoints=(34, 100), checkpoint_delay_s=60))
    assert any(len(+look) < 3 for look in run(story))
