# SPDX-License-Identifier: Apache-2.0
"""Look up what decides whether a rollout can go well, and check it. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.fleet import FleetGroup, LaunchTemplateVersion
from orchestrator.domain.forecast.course import Course
from orchestrator.domain.preflight_finding import Finding
from orchestrator.domain.refresh import InstanceRefresh, RefreshPreferences
from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.workflows.rollout.world import RolloutWorld


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, with what the plan has read already.

    Attributes:
        group: The group as it stands.
        source: The launch template's version that the new one is made from; it names the old image.
        new_ami_id: The image to roll out, be there such an image or not.
        refreshes: The group's latest refreshes, newest first.
        own_refresh_ids: Refreshes that this rollout itself began: none of them is in its way.
        is_paused_by_us: Whether the group's InstanceRefresh process was suspended by `rollout.pause`.
    """

    target: RolloutTarget
    group: FleetGroup
    source: LaunchTemplateVersion
    new_ami_id: str
    preferences: RefreshPreferences
    course: Course
    refreshes: tuple[InstanceRefresh, ...] = ()
    own_refresh_ids: tuple[str, ...] = ()
    is_paused_by_us: bool = False


def findings(world: RolloutWorld, question: Question) -> tuple[Finding, ...]:
    """Return what speaks against the rollout, errors first."""
    return ()
