# SPDX-License-Identifier: Apache-2.0
"""What a rollout of one fleet will do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.forecast.course import Course, Timing
from orchestrator.domain.preflight_finding import Finding, Level
from orchestrator.domain.refresh import RefreshPreferences


class Action(StrEnum):
    """What there is to do."""

    NOTHING = "nothing"  # every machine runs the image already, and the pointer names it
    START = "start"  # a new rollout
    FINISH = "finish"  # every machine runs the image, but the pointer or the default version is behind
    ATTACH = "attach"  # a refresh runs: watch it, and finish what its rollout began


@dataclass(frozen=True, slots=True)
class RolloutTarget:
    """A fleet as the operator names it, and the AMI it shall run; empty for its class's newest published.

    `is_chosen` tells that nobody named the AMI: it is the newest one where a way over several fleets began.
    """

    environment: str
    fleet: str
    ami_id: str = ""
    is_chosen: bool = False

    @property
    def name(self) -> str:
        """Return what the fleet is called in messages and in the names of locks: `production/api`."""
        return f"{self.environment}/{self.fleet}"


@dataclass(frozen=True, slots=True)
class ImageChange:
    """The image a fleet leaves and the one it gets, and how they differ, in lines: packages, files, ports."""

    old_ami_id: str
    new_ami_id: str
    old_name: str = ""
    new_name: str = ""
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RollbackOutlook:
    """Whether it could be taken back, and why."""

    is_possible: bool
    why: str


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """All that will be done to one fleet. `source_version` is what the new version is made from."""

    target: RolloutTarget
    action: Action
    group: str
    server_class: str
    template_id: str
    source_version: int
    image: ImageChange
    machines_by_zone: Mapping[str, int]
    preferences: RefreshPreferences
    max_failures: int
    timing: Timing
    course: Course
    rollback: RollbackOutlook
    findings: tuple[Finding, ...] = ()
    # A version with the new image that an aborted rollout has left: its machines need not be replaced again.
    reuses_version: int | None = None
    # The group's newest refresh, and the AMI that the fleet's parameter names, as they are now.
    newest_refresh: str = ""
    pointer: str = ""
    # What is attached to, in a sentence; empty for a new rollout.
    attaches_to: str = ""
    # The preferences that --optimise proposes, and what they would save, in sentences.
    proposal: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return what refuses the rollout."""
        return tuple(each for each in self.findings if each.level is Level.ERROR)
