# SPDX-License-Identifier: Apache-2.0
"""Rollouts from plan to pointer, on fakes."""

from __future__ import annotations

import pytest

from orchestrator.domain.rollout.plan import Action
from orchestrator.domain.rollout.record import Phase
from orchestrator.errors import Refused, RolledBack
from tests.fakes.fleets import Trouble
from tests.unit.rollout_world import API, Lab


def test_a_good_image_is_rolled_out_verified_and_pointed_to() -> None:
    lab = Lab()
    result = lab.roll()
    assert result.is_changed
    assert lab.versions == [2, 2, 2, 2]
    assert (lab.pointer, lab.default_version) == (lab.new, 2)
    assert lab.record.phase is Phase.SUCCEEDED
    assert lab.locks.held == {}
    assert lab.notices.subjects == ["rollout dev/api: begun", "rollout dev/api: succeeded"]


def test_there_is_nothing_to_do_the_second_time() -> None:
    lab = Lab()
    lab.roll()
    plan = lab.plan()
    assert plan.action is Action.NOTHING
    assert not lab.roll().is_changed
    assert len(lab.changes()) == 1


@pytest.mark.parametrize("trouble", list(Trouble))
def test_the_guard_takes_a_bad_image_back(trouble: Trouble) -> None:
    lab = Lab()
    lab.fleets.trouble[2] = trouble
    with pytest.raises(RolledBack) as caught:
        lab.roll()
    assert caught.value.exit_code == 7
    assert lab.versions == [1, 1, 1, 1]
    assert (lab.pointer, lab.default_version) == (lab.old, 1)
    assert lab.record.phase is Phase.ROLLED_BACK
    assert len(lab.record.failures) == 2


def test_a_protected_environment_has_to_be_confirmed() -> None:
    lab = Lab(is_protected=True)
    with pytest.raises(Refused):
        lab.roll()
    assert lab.changes() == []
    assert lab.roll(is_confirmed=True).target == API
