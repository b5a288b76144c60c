# SPDX-License-Identifier: Apache-2.0
"""Auto Scaling groups, as plain data that is saved with moto's state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sandbox.autoscaling.member import AT_REST, COUNTED, LAUNCHING, Hook, Lifecycle, Member
from sandbox.autoscaling.refresh.record import Refresh
from sandbox.event_bus import Event


class Process(StrEnum):
    """What can be suspended.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html
    """

    LAUNCH = "Launch"
    TERMINATE = "Terminate"
    ADD_TO_LOAD_BALANCER = "AddToLoadBalancer"
    ALARM_NOTIFICATION = "AlarmNotification"
    AZ_REBALANCE = "AZRebalance"
    HEALTH_CHECK = "HealthCheck"
    INSTANCE_REFRESH = "InstanceRefresh"
    REPLACE_UNHEALTHY = "ReplaceUnhealthy"
    SCHEDULED_ACTIONS = "ScheduledActions"


@dataclass(frozen=True, slots=True)
class TemplateReference:
    """The launch template as the group names it; `version` may be $Latest or $Default."""

    template_id: str
    name: str
    version: str | None


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet to launch into."""

    subnet_id: str
    zone: str


@dataclass(slots=True)
class LaunchOrder:
    """A launch that was decided: repeated with the same token, it gives the same instances.

    Attributes:
        template: What to launch, as it was when this was decided.
        made_by: The mark of the refresh that ran then.
        is_refresh: Whether it takes the place of what the refresh ends.
    """

    token: str
    subnet: Subnet
    count: int
    cause: str
    ordered_at: datetime
    is_replacement: bool = False
    template: TemplateReference | None = None
    made_by: str = ""
    is_refresh: bool = False


@dataclass(slots=True)
class Settings:
    """What a group is asked to be."""

    min_size: int
    max_size: int
    desired: int
    template: TemplateReference
    subnets: tuple[Subnet, ...]
    names_subnets: bool = True
    cooldown_s: int = 300
    health_check_type: str = "EC2"
    grace_s: int = 0
    warmup_s: int | None = None
    termination_policies: tuple[str, ...] = ("Default",)
    protects_new: bool = False
    target_groups: tuple[str, ...] = ()
    service_role_arn: str = ""

    @property
    def zones(self) -> tuple[str, ...]:
        """The group's zones in the order of their names."""
        return tuple(sorted({subnet.zone for subnet in self.subnets}))

    @property
    def checks_targets(self) -> bool:
        """Whether the load balancer's opinion of an instance counts."""
        return "ELB" in self.health_check_type.split(",")


@dataclass(slots=True)
class Tag:
    """A tag of a group."""

    key: str
    value: str
    propagates: bool


@dataclass
class Group:
    """A group: what is asked of it, what it has, and what it is about to do."""

    name: str
    arn: str
    created_at: datetime
    settings: Settings
    tags: dict[str, Tag] = field(default_factory=dict)
    hooks: dict[str, Hook] = field(default_factory=dict)
    suspended: dict[str, str] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)
    # Members that are not at rest, or wait for something.
    moving: dict[str, None] = field(default_factory=dict)
    # Members that something has happened to since the last look: a look costs no more than these.
    touched: dict[str, None] = field(default_factory=dict)
    # When members are due for a look although nothing happens: a heap of times, numbers and ids.
    agenda: list[tuple[datetime, int, str]] = field(default_factory=list)
    # Members in service that the balancer has not found healthy yet.
    unchecked: dict[str, None] = field(default_factory=dict)
    # In the order in which they began; the last one may be active.
    refreshes: list[Refresh] = field(default_factory=list)
    # What EventBridge is to be told.
    outbox: list[Event] = field(default_factory=list)
    orders: list[LaunchOrder] = field(default_factory=list)
    status: str | None = None
    launched: int = 0
    # What last changed the desired capacity, for the causes of what follows from it.
    reason: str = ""
    owed_replacements: int = 0
    # Instances above the desired capacity while zones are balanced.
    surplus: int = 0
    failures: int = 0
    retry_at: datetime | None = None
    zone_retry_at: dict[str, datetime] = field(default_factory=dict)
    stuck_at: int | None = None
    last_activity_at: datetime | None = None
    # When a policy last made the group bigger: what was launched since has to warm up.
    scaled_out_at: datetime | None = None
    targets_checked_at: datetime | None = None
    counted: Counter[str] = field(default_factory=Counter)
    # How many members are on their way into service.
    launching: int = 0

    @property
    def refresh(self) -> Refresh | None:
        """The active refresh."""
        last = self.refreshes[-1] if self.refreshes else None
        return last if last is not None and last.is_active else None

    @property
    def template(self) -> TemplateReference:
        """What is launched now: while a refresh is active, its desired configuration."""
        refresh = self.refresh
        return self.settings.template if refresh is None else refresh.target or self.settings.template

    @property
    def target(self) -> int:
        """How many instances the group shall have now."""
        refresh = self.refresh
        return self.settings.desired + self.surplus + (0 if refresh is None else refresh.surge)

    @property
    def is_launching(self) -> bool:
        """Whether an instance is on its way into service."""
        return bool(self.orders) or self.launching > 0

    @property
    def capacity(self) -> int:
        """How many instances count against the desired capacity, those that are being launched too."""
        return sum(self.counted.values()) + sum(order.count for order in self.orders)

    @property
    def is_being_deleted(self) -> bool:
        """Whether the group goes once its instances are gone."""
        return self.status is not None

    def is_active(self, process: Process) -> bool:
        """Whether a process is not suspended."""
        return process not in self.suspended

    def hooks_on(self, transition: str) -> list[Hook]:
        """Return the hooks of a transition, in the order of their names."""
        return [self.hooks[name] for name in sorted(self.hooks) if self.hooks[name].transition == transition]

    def add(self, member: Member) -> None:
        """Take an instance in."""
        self.members[member.instance_id] = member
        self.look_at(member)
        self.launching += member.state in LAUNCHING
        if member.is_counted:
            self.counted[member.zone] += 1

    def remove(self, member: Member) -> None:
        """Let an instance go."""
        self.move(member, Lifecycle.TERMINATING)
        del self.members[member.instance_id]
        self.moving.pop(member.instance_id, None)
        self.unchecked.pop(member.instance_id, None)

    def move(self, member: Member, state: Lifecycle) -> None:
        """Put an instance into a state."""
        self.counted[member.zone] += (state in COUNTED) - member.is_counted
        self.launching += (state in LAUNCHING) - (member.state in LAUNCHING)
        member.state = state
        self.touched[member.instance_id] = None
        if state in AT_REST:
            self.moving.pop(member.instance_id, None)
        else:
            self.moving[member.instance_id] = None

    def look_at(self, member: Member) -> None:
        """See to it that the next look takes an instance in."""
        self.moving[member.instance_id] = None
        self.touched[member.instance_id] = None

    def look_at_moving(self) -> None:
        """See to it that the next look takes in every instance that is not at rest."""
        self.touched.update(self.moving)

    def in_motion(self) -> Iterator[Member]:
        """Yield the instances that are not at rest, or wait for something."""
        for instance_id in list(self.moving):
            if member := self.members.get(instance_id):
                yield member

    def in_state(self, *states: Lifecycle) -> list[Member]:
        """Return the instances in these states, as they came."""
        return [member for member in self.members.values() if member.state in states]
