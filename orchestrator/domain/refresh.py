# SPDX-License-Identifier: Apache-2.0
"""Instance refreshes in AWS's words. Pure.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRefresh.html
https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RefreshStatus(StrEnum):
    """How far a refresh is."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    BAKING = "Baking"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    CANCELLING = "Cancelling"
    CANCELLED = "Cancelled"
    ROLLBACK_IN_PROGRESS = "RollbackInProgress"
    ROLLBACK_SUCCESSFUL = "RollbackSuccessful"
    ROLLBACK_FAILED = "RollbackFailed"

    @property
    def is_active(self) -> bool:
        """Tell whether a group can't begin another one yet."""
        return self in _ACTIVE

    @property
    def is_rolling_back(self) -> bool:
        """Tell whether it is being taken back, or was."""
        return self in (self.ROLLBACK_IN_PROGRESS, self.ROLLBACK_SUCCESSFUL, self.ROLLBACK_FAILED)


_ACTIVE = frozenset(
    {
        RefreshStatus.PENDING,
        RefreshStatus.IN_PROGRESS,
        RefreshStatus.BAKING,
        RefreshStatus.CANCELLING,
        RefreshStatus.ROLLBACK_IN_PROGRESS,
    }
)


class ProtectedInstances(StrEnum):
    """What a refresh does with instances that are protected from scale-in."""

    REFRESH = "Refresh"
    IGNORE = "Ignore"
    WAIT = "Wait"


class StandbyInstances(StrEnum):
    """What a refresh does with instances in standby."""

    TERMINATE = "Terminate"
    IGNORE = "Ignore"
    WAIT = "Wait"


@dataclass(frozen=True, slots=True)
class RefreshPreferences:
    """How a refresh goes about it; None leaves a choice to the group's own settings or AWS's default.

    `refresh_bake_time_s` is AWS's BakeTime: how long the whole group is watched at the end.
    """

    min_healthy_percentage: int = 100
    max_healthy_percentage: int | None = None
    instance_warmup_s: int | None = None
    checkpoint_percentages: tuple[int, ...] = ()
    checkpoint_delay_s: int | None = None
    skip_matching: bool = True
    auto_rollback: bool = True
    scale_in_protected_instances: ProtectedInstances = ProtectedInstances.IGNORE
    standby_instances: StandbyInstances = StandbyInstances.IGNORE
    alarms: tuple[str, ...] = ()
    refresh_bake_time_s: int = 0


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """A refresh to begin: always with a desired configuration, a numbered version of a launch template."""

    template_id: str
    version: int
    preferences: RefreshPreferences


@dataclass(frozen=True, slots=True)
class RollbackDetails:
    """What AWS tells of a rollback."""

    reason: str
    started_at: datetime | None
    percentage_at_rollback: int
    instances_to_update_at_rollback: int


@dataclass(frozen=True, slots=True)
class InstanceRefresh:
    """A refresh as DescribeInstanceRefreshes shows it.

    `version` is that of the desired configuration; None when it has none or it names no number: such a
    refresh can't be rolled back. `percentage` and `instances_to_update` are AWS's own numbers, those of the
    rollback while one runs.
    """

    refresh_id: str
    group: str
    status: RefreshStatus
    reason: str = ""
    percentage: int = 0
    instances_to_update: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    template_id: str = ""
    version: int | None = None
    preferences: RefreshPreferences = RefreshPreferences()
    rollback: RollbackDetails | None = None
