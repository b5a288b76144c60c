# SPDX-License-Identifier: Apache-2.0
"""What a look at a group finds to be done at other services, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sandbox.autoscaling.group import LaunchOrder, TemplateReference
from sandbox.autoscaling.member import HookAction, TemplateVersion
from sandbox.event_bus import Event


@dataclass(frozen=True, slots=True)
class Launched:
    """An instance that RunInstances gave."""

    instance_id: str
    zone: str
    subnet_id: str
    instance_type: str
    image_id: str
    template: TemplateVersion | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A launch that EC2 refused; `is_capacity` if another zone may do."""

    message: str
    is_capacity: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """A message that a hook sends to its target."""

    action: HookAction
    instance_id: str
    at: datetime


@dataclass
class Work:
    """Calls to be made, instances by target group; made without any lock."""

    group: str
    template: TemplateReference
    tags: Mapping[str, str] = field(default_factory=dict)
    orders: list[LaunchOrder] = field(default_factory=list)
    terminate: list[str] = field(default_factory=list)
    register: dict[str, list[str]] = field(default_factory=dict)
    deregister: dict[str, list[str]] = field(default_factory=dict)
    check_drain: dict[str, list[str]] = field(default_factory=dict)
    check_health: list[str] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    stale_alarms: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to call."""
        return not any(
            (
                self.orders,
                self.terminate,
                self.register,
                self.deregister,
                self.check_drain,
                self.check_health,
                self.notices,
                self.events,
            )
        )


@dataclass
class Outcome:
    """What the calls answered."""

    launches: dict[str, list[Launched] | Refused] = field(default_factory=dict)
    # By target group, the seconds that its targets are given to finish.
    delays: dict[str, float] = field(default_factory=dict)
    still_draining: set[str] = field(default_factory=set)
    unhealthy_targets: set[str] = field(default_factory=set)
    # Those that the balancer does not find healthy, or not yet.
    unready_targets: set[str] = field(default_factory=set)


class Services(Protocol):
    """The services that groups work with."""

    def carry_out(self, work: Work) -> Outcome:
        """Make the calls. What fails is logged or part of the outcome: nothing is raised."""
