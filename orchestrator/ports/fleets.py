# SPDX-License-Identifier: Apache-2.0
"""Fleets: Auto Scaling groups, their launch templates and targets, and who is told what they do."""

from __future__ import annotations

from typing import Protocol

from orchestrator.domain.fleet import (
    FleetGroup,
    LaunchTemplateVersion,
    LifecycleHook,
    ScalingActivity,
    TargetHealth,
)
from orchestrator.domain.refresh import InstanceRefresh, RefreshRequest


class Fleets(Protocol):
    """Auto Scaling groups. Each method is one call at any size of the group."""

    def group(self, name: str) -> FleetGroup:
        """Return a group with all its instances, or raise NotFound."""

    def hooks(self, name: str) -> tuple[LifecycleHook, ...]:
        """Return a group's lifecycle hooks."""

    def activities(self, name: str, *, limit: int = 100) -> tuple[ScalingActivity, ...]:
        """Return a group's latest activities, newest first; a call for each 100."""

    def refreshes(self, name: str, *, limit: int = 10) -> tuple[InstanceRefresh, ...]:
        """Return a group's latest refreshes, newest first, at most 100."""

    def refresh(self, name: str, refresh_id: str) -> InstanceRefresh:
        """Return one refresh of a group, or raise NotFound."""

    def start_refresh(self, name: str, request: RefreshRequest) -> str:
        """Begin a refresh and return its id.

        Raises:
            AwsError: Code InstanceRefreshInProgress when one is active.
        """

    def cancel_refresh(self, name: str) -> str:
        """Begin to cancel the active refresh or rollback and return its id; what was replaced stays so.

        Raises:
            AwsError: Code ActiveInstanceRefreshNotFound when there is none.
        """

    def rollback_refresh(self, name: str) -> str:
        """Begin to take the active refresh back and return its id.

        Raises:
            AwsError: Codes ActiveInstanceRefreshNotFound and IrreversibleInstanceRefresh.
        """

    def suspend(self, name: str, process: str) -> None:
        """Suspend a process of a group; one that is suspended stays so."""

    def resume(self, name: str, process: str) -> None:
        """Resume a process of a group; one that is not suspended stays so."""


class LaunchTemplates(Protocol):
    """Launch templates and their numbered versions."""

    def version(self, template_id: str, version: str) -> LaunchTemplateVersion:
        """Return a version by its number as text, $Latest or $Default, or raise NotFound."""

    def create_version(
        self, template_id: str, *, source: int, ami_id: str, description: str, token: str
    ) -> int:
        """Make a version like `source` with another image and return its number.

        Args:
            token: The same token gives the same version, however often it is asked for.
        """

    def set_default(self, template_id: str, number: int) -> None:
        """Make a version the one that is launched when none is named."""


class Targets(Protocol):
    """What load balancers think of machines."""

    def health(self, target_group_arn: str) -> tuple[TargetHealth, ...]:
        """Return all targets of a target group, in one call."""


class Notices(Protocol):
    """Tells people what happens."""

    def publish(self, topic_arn: str, subject: str, message: str) -> None:
        """Publish a message; AWS takes 100 characters of subject, in ASCII."""
