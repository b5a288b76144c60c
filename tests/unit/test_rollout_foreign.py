# SPDX-License-Identifier: Apache-2.0
"""A refresh that somebody began without a desired configuration: nothing in it can be told to be new."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from orchestrator.domain.refresh import InstanceRefresh, RefreshPreferences, RefreshRequest
from orchestrator.workflows.rollout.look import Onlooker
from orchestrator.workflows.rollout.names import group_name
from tests.fakes.fleets import FakeFleets
from tests.unit.rollout_world import API, Lab


class WithoutVersion:
    """Groups whose refreshes show no version, as those without a desired configuration."""

    def __init__(self, fleets: FakeFleets) -> None:
        self._fleets = fleets

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fleets, name)

    def refresh(self, name: str, refresh_id: str) -> InstanceRefresh:
        return replace(self._fleets.refresh(name, refresh_id), template_id="", version=None)


def test_machines_that_come_and_go_are_no_failures() -> None:
    lab, name = Lab(), group_name(API)
    version = lab.templates.create_version(
        lab.template_id, source=1, ami_id=lab.new, description="", token="a"
    )
    refresh_id = lab.fleets.start_refresh(
        name, RefreshRequest(lab.template_id, version, RefreshPreferences())
    )
    world: Any = replace(lab.world(), fleets=WithoutVersion(lab.fleets))  # type: ignore[arg-type]
    onlooker = Onlooker(world, API, world.fleets.refresh(name, refresh_id), record=None)
    looks = 0
    while lab.fleets.refresh(name, refresh_id).status.is_active:
        assert onlooker.look().failures == ()
        looks += 1
        lab.clock.advance(20)
    assert looks > 2
    assert lab.versions == [version] * lab.machines
