# SPDX-License-Identifier: Apache-2.0
"""Two environments of one account, rolled one after the other with the same image."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestrator.domain.rollout.record import Phase
from orchestrator.errors import Refused, RolledBack
from orchestrator.workflows import rollout
from orchestrator.workflows.rollout import waves
from tests.fakes import FakeReporter

from ..simulated_world import simulated
from .rolling import FLEET, Rolling

SETTLE_S = 300


@pytest.fixture(name="way")
def fixture_way() -> Iterator[tuple[Rolling, Rolling]]:
    """Return what is rolled first, and what comes after it."""
    for client in simulated():
        first = Rolling(client, machines=2, environment="test")
        yield first, Rolling(client, machines=2, environment="production", beside=first)


def roll(way: tuple[Rolling, Rolling], ami_id: str = "") -> waves.WavesResult:
    legs = waves.way([each.world() for each in way], ami_id=ami_id)
    nobody = FakeReporter()
    return waves.roll(legs, nobody, lambda progress: None, is_confirmed=True, announce=lambda plan: None)


def test_the_image_is_the_same_all_the_way_and_settles_in_between(way: tuple[Rolling, Rolling]) -> None:
    first, second = way
    image = first.next_image
    assert [each.is_changed for each in roll(way).results] == [True, True]
    assert [each.pointer() for each in way] == [image, image]
    assert [each.running() for each in way] == [{"2"}, {"2"}]
    before, after = (rollout.history(each.world(), FLEET)[0] for each in way)
    assert before.ended_at is not None
    assert (after.begun_at - before.ended_at).total_seconds() >= SETTLE_S
    assert [each.is_changed for each in roll(way).results] == [False, False]
    assert [len(each.refreshes()) for each in (first, second)] == [1, 1]


def test_a_failure_stops_the_way_and_the_next_run_goes_on_there(way: tuple[Rolling, Rolling]) -> None:
    first, second = way
    old, image = first.pointer(), first.next_image
    first.roll(image)
    with second.failing_launches(), pytest.raises(RolledBack):
        roll(way)
    assert [each.pointer() for each in way] == [image, old]
    assert rollout.history(second.world(), FLEET)[0].phase is Phase.ROLLED_BACK
    with pytest.raises(Refused, match="image-not-taken-back"):
        roll(way)
    assert [each.is_changed for each in roll(way, image).results] == [False, True]
    assert [each.pointer() for each in way] == [image, image]
    assert len(first.refreshes()) == 1
