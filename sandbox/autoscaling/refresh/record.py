# SPDX-License-Identifier: Apache-2.0
"""An instance refresh, as plain data that is saved with its group.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRefresh.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from sandbox.autoscaling.refresh.preferences import Preferences

if TYPE_CHECKING:
    from sandbox.autoscaling.group import TemplateReference


class RefreshStatus(StrEnum):
    """How far a refresh is, in AWS's words."""

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


ACTIVE = frozenset(
    {
        RefreshStatus.PENDING,
        RefreshStatus.IN_PROGRESS,
        RefreshStatus.BAKING,
        RefreshStatus.CANCELLING,
        RefreshStatus.ROLLBACK_IN_PROGRESS,
    }
)


@dataclass(slots=True)
class Rollback:
    """How far a refresh was when its rollback began."""

    reason: str
    started_at: datetime
    percentage: int
    to_update: int


@dataclass(slots=True)
class Refresh:
    """A refresh: what was asked for, how far it is, and what it is about to do.

    Attributes:
        desired: The desired configuration, if one was given.
        followed: The number of the version that $Latest or $Default of what is launched stands for.
        percentage: Of the group, what is replaced, healthy and warm; of a rollback, what is still to be
            taken back.
        to_update: How many instances are not replaced, healthy and warm yet.
        surge: How many instances above the desired capacity take the place of some that serve still.
        stale_zones: How many instances are to be replaced in each zone; empty where launches don't mind.
        owed: How many launches take the place of what the refresh has ended.
        progressed_at: When something last got better: an hour later the refresh fails.
        is_paused: Whether it waits for processes to be resumed, or for data of alarms.
        checkpoint: How many checkpoints are reached.
        checkpoint_size: The desired capacity when the last of them was.
        waits_until: The end of a checkpoint's delay.
        bakes_until: The end of the bake time.
        began_at: When the instances began to be replaced, or taken back.
        earlier: The mark of the refresh before, if it left some instances alone.
    """

    refresh_id: str
    group: str
    preferences: Preferences
    desired: TemplateReference | None
    started_at: datetime
    status: RefreshStatus = RefreshStatus.PENDING
    reason: str = ""
    ended_at: datetime | None = None
    percentage: int = 0
    to_update: int = 0
    rollback: Rollback | None = None
    followed: int | None = None
    surge: int = 0
    stale_zones: dict[str, int] = field(default_factory=dict)
    owed: int = 0
    progressed_at: datetime | None = None
    is_paused: bool = False
    checkpoint: int = 0
    checkpoint_size: int = 0
    waits_until: datetime | None = None
    bakes_until: datetime | None = None
    began_at: datetime | None = None
    earlier: str = ""

    @property
    def is_active(self) -> bool:
        """Whether the group can't begin another one yet."""
        return self.status in ACTIVE

    @property
    def is_rollback(self) -> bool:
        """Whether the group goes back to what it was."""
        return self.rollback is not None

    @property
    def mark(self) -> str:
        """What instances carry that are launched now."""
        return f"{self.refresh_id}/rollback" if self.is_rollback else self.refresh_id

    @property
    def target(self) -> TemplateReference | None:
        """What is launched now instead of the group's own configuration."""
        return None if self.is_rollback else self.desired
