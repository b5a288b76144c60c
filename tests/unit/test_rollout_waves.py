# SPDX-License-Identifier: Apache-2.0
"""Several fleets, environment by environment, with one image all the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.domain.rollout.plan import RolloutPlan
from orchestrator.errors import Refused, RolledBack
from orchestrator.workflows.rollout import waves
from orchestrator.workflows.rollout.world import RolloutWorld
from tests.fakes import FakeClock
from tests.fakes.fleets import Trouble
from tests.unit.rollout_world import Lab


class Way:
    """Two environments of one account: images are the same for both."""

    def __init__(self, *, is_protected: bool = False) -> None:
        self.clock = FakeClock()
        self.test = Lab(environment="test", clock=self.clock)
        self.production = Lab(environment="production", clock=self.clock, is_protected=is_protected)
        self.production.images = self.test.images
        self.announced: list[str] = []

    @property
    def worlds(self) -> list[RolloutWorld]:
        return [self.test.world(), replace(self.production.world(), images=self.test.images)]

    def roll(self, ami_id: str = "", *, is_confirmed: bool = False) -> waves.WavesResult:
        legs = waves.way(self.worlds, ami_id=ami_id)
        return waves.roll(
            legs,
            self.test.reporter,
            self.test.shown.append,
            is_confirmed=is_confirmed,
            announce=self._announce,
        )

    def _announce(self, plan: RolloutPlan) -> None:
        self.announced.append(plan.target.name)


def test_environments_are_rolled_in_order_with_one_image_and_time_to_settle() -> None:
    way = Way()
    result = way.roll()
    assert way.announced == ["test/api", "production/api"]
    assert {way.test.pointer, way.production.pointer} == {way.test.new}
    assert [each.is_changed for each in result.results] == [True, True]
    ended_at = way.test.record.ended_at
    assert ended_at is not None
    assert (way.production.record.begun_at - ended_at).total_seconds() >= 300
    assert len(result.lines()) == 2


def test_the_first_failure_stops_it_and_says_how_far_it_is() -> None:
    way = Way()
    way.test.fleets.trouble[2] = Trouble.HOOK
    with pytest.raises(RolledBack, match="not begun: production/api"):
        way.roll()
    assert way.production.changes() == []


def test_the_next_run_goes_on_where_it_stopped() -> None:
    way = Way()
    way.production.fleets.trouble[2] = Trouble.HOOK
    with pytest.raises(RolledBack, match="done: test/api"):
        way.roll()
    way.production.fleets.trouble.clear()
    with pytest.raises(Refused, match="image-not-taken-back"):
        way.roll()
    before_s = way.clock.monotonic_s()
    result = way.roll(way.test.new)
    assert [each.is_changed for each in result.results] == [False, True]
    assert way.production.pointer == way.test.new
    assert way.clock.monotonic_s() - before_s < 300
    assert len(way.test.changes()) == 1


def test_time_to_settle_is_waited_for_after_another_run_as_well() -> None:
    way = Way()
    way.test.roll()
    ended_at = way.test.record.ended_at
    way.roll()
    assert ended_at is not None
    assert (way.production.record.begun_at - ended_at).total_seconds() >= 300


def test_an_image_that_an_environment_does_not_have_is_refused_before_anything_is_done() -> None:
    way = Way()
    other = Lab(environment="production", clock=way.clock)
    other.images.images.clear()
    with pytest.raises(Refused, match=f"production: class api has no published {way.test.new}"):
        waves.way([way.test.world(), other.world()])


def test_an_image_that_no_bake_has_published_is_refused() -> None:
    way = Way()
    with pytest.raises(Refused, match="has no published ami-x"):
        waves.way(way.worlds, ami_id="ami-x")


def test_nothing_is_begun_on_the_way_to_a_protected_environment_without_a_word() -> None:
    way = Way(is_protected=True)
    with pytest.raises(Refused, match="production: protected"):
        way.roll()
    assert way.test.changes() == []
    way.roll(is_confirmed=True)
    assert way.production.pointer == way.test.new


def test_plans_of_the_whole_way_change_nothing() -> None:
    way = Way()
    found = list(waves.plans(waves.way(way.worlds)))
    assert [each.image.new_ami_id for each in found] == [way.test.new] * 2
    assert way.test.changes() + way.production.changes() == []
