# SPDX-License-Identifier: Apache-2.0
"""The instances of Auto Scaling groups, as plain data that is saved with moto's state.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Lifecycle(StrEnum):
    """The states of an instance in its group, in AWS's words."""

    PENDING = "Pending"
    PENDING_WAIT = "Pending:Wait"
    PENDING_PROCEED = "Pending:Proceed"
    IN_SERVICE = "InService"
    TERMINATING = "Terminating"
    TERMINATING_WAIT = "Terminating:Wait"
    TERMINATING_PROCEED = "Terminating:Proceed"
    DETACHING = "Detaching"
    ENTERING_STANDBY = "EnteringStandby"
    STANDBY = "Standby"


class Power(StrEnum):
    """What matters to a group of the state that EC2 gives an instance."""

    PENDING = "pending"
    RUNNING = "running"
    # Stopped or on its way to be: a group has no use for it.
    STOPPED = "stopped"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"

    @property
    def is_lost(self) -> bool:
        """Whether the instance can't serve, now or later."""
        return self in (Power.STOPPED, Power.SHUTTING_DOWN, Power.TERMINATED)


LAUNCHING = frozenset({Lifecycle.PENDING, Lifecycle.PENDING_WAIT, Lifecycle.PENDING_PROCEED})
# Counted against the desired capacity.
COUNTED = LAUNCHING | {Lifecycle.IN_SERVICE}
LEAVING = frozenset({Lifecycle.TERMINATING, Lifecycle.TERMINATING_WAIT, Lifecycle.TERMINATING_PROCEED})
AT_REST = frozenset({Lifecycle.IN_SERVICE, Lifecycle.STANDBY})

ON_LAUNCH = "autoscaling:EC2_INSTANCE_LAUNCHING"
ON_TERMINATION = "autoscaling:EC2_INSTANCE_TERMINATING"


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """The version that an instance was launched from."""

    template_id: str
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Hook:
    """A lifecycle hook.

    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html
    """

    name: str
    transition: str
    heartbeat_s: int = 3600
    default_result: str = "ABANDON"
    target_arn: str | None = None
    role_arn: str | None = None
    metadata: str | None = None

    @property
    def global_timeout_s(self) -> int:
        """The longest that an action may wait, whatever the heartbeats."""
        return min(48 * 3600, 100 * self.heartbeat_s)


@dataclass(slots=True)
class HookAction:
    """A hook that an instance waits for."""

    hook: Hook
    token: str
    deadline: datetime
    ends_at: datetime
    result: str | None = None
    # How it came to its result, as the activity's status says it.
    how: str = ""

    def beat(self, now: datetime) -> None:
        """Begin the heartbeat timeout again."""
        self.deadline = min(now + timedelta(seconds=self.hook.heartbeat_s), self.ends_at)


@dataclass(slots=True)
class Member:
    """An instance of a group. `number` counts the group's instances as they came."""

    instance_id: str
    number: int
    zone: str
    subnet_id: str
    instance_type: str
    image_id: str
    launched_at: datetime
    state: Lifecycle
    template: TemplateVersion | None = None
    power: Power = Power.PENDING
    # EC2's reason for its end.
    lost_because: str = ""
    is_impaired: bool = False
    is_protected: bool = False
    # Why it shall be replaced, as an activity's cause says it; empty while it is healthy.
    unhealthy: str = ""
    in_service_at: datetime | None = None
    activity_id: str = ""
    actions: list[HookAction] = field(default_factory=list)
    has_run_hooks: bool = False
    target_groups: list[str] = field(default_factory=list)
    # It came while AddToLoadBalancer was suspended: AWS does not register it later either.
    is_left_out: bool = False
    drains_until: datetime | None = None
    drain_checked_at: datetime | None = None
    is_termination_asked: bool = False
    # The mark of the refresh that ran when it was launched, and of the one that ends it.
    made_by: str = ""
    ended_by: str = ""
    # It was ended before what takes its place was in service.
    is_ended_first: bool = False

    @property
    def is_counted(self) -> bool:
        """Whether it counts against the desired capacity."""
        return self.state in COUNTED
