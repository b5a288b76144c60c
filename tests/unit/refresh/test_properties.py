# SPDX-License-Identifier: Apache-2.0
"""What holds for every refresh, whatever its preferences, the group and its luck."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from sandbox.autoscaling.member import Lifecycle, Power
from sandbox.autoscaling.refresh import words
from sandbox.autoscaling.refresh.preferences import Preferences
from sandbox.autoscaling.refresh.record import RefreshStatus
from tests.unit.autoscaling_fleet import Fleet
from tests.unit.refresh.conftest import Stories, Story

CASES = range(60)
ZONES = "abcd"
STEP_S = 10
SCALE = 100


def case(number: int, stories: Stories) -> tuple[Random, Story, Preferences]:
    """Return a group and preferences that nobody has chosen."""
    chance = Random(number)  # noqa: S311 - nothing is secret in a test
    least = chance.choice([0, 25, 50, 75, 90, 100, chance.randint(0, 100)])
    most = chance.choice([None, 100, 110, 150, 200])
    if most is not None:
        most = min(most, least + SCALE)
    checkpoints = tuple(sorted(chance.sample(range(1, 100), chance.randint(0, 3))))
    preferences = Preferences(
        least,
        most,
        warmup_s=chance.choice([0, 30, 120]),
        checkpoints=(*checkpoints, SCALE) if checkpoints else (),
        checkpoint_delay_s=chance.choice([0, 60, 600]),
        auto_rollback=chance.random() < 0.5,
    )
    fleet = Fleet(boot_s=chance.choice([20.0, 60.0]), end_s=chance.choice([0.0, 30.0]))
    return chance, stories.of(chance.randint(1, 24), fleet=fleet), preferences


def follow(story: Story, look: Callable[[], None], limit_s: float = 24 * 3600) -> RefreshStatus:
    """Let a refresh run to its end, looking at it every few seconds."""
    assert story.refresh is not None
    while story.refresh.is_active:
        assert story.age_s < limit_s, (story.refresh.status, story.refresh.reason)
        story.pass_time(STEP_S)
        look()
    return story.refresh.status


@pytest.mark.parametrize("number", CASES)
def test_capacity_stays_in_the_promised_band_and_all_becomes_new(number: int, stories: Stories) -> None:
    _, story, preferences = case(number, stories)
    size = story.group.settings.desired
    low = math.ceil(size * preferences.min_healthy / SCALE)
    high = math.floor(size * (preferences.max_healthy or SCALE) / SCALE)
    goes_first = preferences.min_healthy == SCALE or (preferences.max_healthy or SCALE) > SCALE
    if low == high == size:  # no room: at least one at a time all the same
        low, high = (low, high + 1) if goes_first else (low - 1, high)

    def look() -> None:
        serving = [each for each in story.of_state(Lifecycle.IN_SERVICE) if each.power is Power.RUNNING]
        coming = [each for each in story.group.members.values() if each.is_counted]
        assert low <= len(serving)
        assert len(coming) <= max(high, size)

    story.begin(preferences)
    assert follow(story, look) is RefreshStatus.SUCCESSFUL
    assert story.versions == {2: size}


@pytest.mark.parametrize("number", CASES)
def test_no_zone_is_left_without_an_instance_unless_all_may_go(number: int, stories: Stories) -> None:
    _, story, preferences = case(number, stories)
    size = story.group.settings.desired
    zones = Counter(each.zone for each in story.group.members.values())
    away = size - math.ceil(size * preferences.min_healthy / SCALE)
    is_safe = away < min(zones.values()) if away else preferences.min_healthy == SCALE

    def look() -> None:
        if is_safe:
            assert {each.zone for each in story.of_state(Lifecycle.IN_SERVICE)} == set(zones)

    story.begin(preferences)
    follow(story, look)
    last = Counter(each.zone for each in story.group.members.values())
    # Without a zone of the group the counter says 0, and that is what would be wrong.
    assert max(last[zone] for zone in ZONES) - min(last[zone] for zone in ZONES) <= 1


@pytest.mark.parametrize("number", CASES)
def test_what_is_taken_back_at_any_moment_is_what_it_was(number: int, stories: Stories) -> None:
    chance, story, preferences = case(number, stories)
    size = story.group.settings.desired
    _, twin, _ = case(number, stories)
    twin.begin(preferences)
    follow(twin, lambda: None)
    refresh = story.begin(preferences)
    story.pass_time(chance.uniform(0, twin.age_s - STEP_S))
    assert refresh.is_active
    refreshing = story.fleet.engine.refreshing
    refreshing.roll_back(story.group, refresh, words.ROLLED_BACK_BY_USER, story.fleet.clock.now())
    story.fleet.wake()
    assert follow(story, lambda: None) is RefreshStatus.ROLLBACK_SUCCESSFUL
    assert story.versions == {1: size}
    assert story.group.settings.template.version == "1"


@pytest.mark.parametrize("number", CASES)
def test_a_bad_image_ends_every_refresh_in_an_hour_and_a_half(number: int, stories: Stories) -> None:
    _, story, preferences = case(number, stories)
    size = story.group.settings.desired
    story.fleet.broken = {2}
    story.begin(preferences)
    status = follow(story, lambda: None, limit_s=5400)
    if preferences.auto_rollback:
        assert (status, story.versions) == (RefreshStatus.ROLLBACK_SUCCESSFUL, {1: size})
    else:
        assert status is RefreshStatus.FAILED
    assert story.group.settings.template.version == "1"
