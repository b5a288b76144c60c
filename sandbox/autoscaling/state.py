# SPDX-License-Identifier: Apache-2.0
"""All that Auto Scaling keeps, as one plain object on moto's backend."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.moto_api._internal import mock_random

from sandbox.autoscaling.activities import Activity, Status
from sandbox.autoscaling.group import Group
from sandbox.autoscaling.member import Member
from sandbox.autoscaling.policies import Policy
from sandbox.autoscaling.schedules import Schedule

_ATTRIBUTE = "slipway_state"


@dataclass
class State:
    """Groups by name, what they did, and what changes them."""

    groups: dict[str, Group] = field(default_factory=dict)
    # The group of each instance.
    homes: dict[str, str] = field(default_factory=dict)
    # By group, in the order in which they began; those of deleted groups stay.
    activities: dict[str, list[Activity]] = field(default_factory=dict)
    activity_by_id: dict[str, Activity] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)

    def member(self, instance_id: str) -> tuple[Group, Member] | None:
        """Return an instance and its group."""
        group = self.groups.get(self.homes.get(instance_id, ""))
        return None if group is None else (group, group.members[instance_id])

    def take_in(self, group: Group, member: Member) -> None:
        """Add an instance to a group."""
        group.add(member)
        self.homes[member.instance_id] = group.name

    def let_go(self, group: Group, member: Member) -> None:
        """Remove an instance from its group."""
        group.remove(member)
        self.homes.pop(member.instance_id, None)

    def begin(
        self,
        group: Group,
        description: str,
        cause: str,
        *,
        now: datetime,
        status: Status = Status.IN_PROGRESS,
        details: str = "{}",
    ) -> Activity:
        """Record an activity."""
        activity = Activity(
            new_id(), group.name, group.arn, description, cause, now, status=status, details=details
        )
        self.activities.setdefault(group.name, []).append(activity)
        self.activity_by_id[activity.activity_id] = activity
        return activity

    def forget(self, group: Group) -> list[str]:
        """Remove a group and what belongs to it, except activities; return the alarms made for it."""
        del self.groups[group.name]
        made = [name for each in self.policies.values() if each.group == group.name for name in each.alarms]
        self.policies = {arn: each for arn, each in self.policies.items() if each.group != group.name}
        self.schedules = {arn: each for arn, each in self.schedules.items() if each.group != group.name}
        return made


def state_of(backend: Any) -> State:
    """Return what is kept on moto's backend, from the first call on."""
    state: State | None = vars(backend).get(_ATTRIBUTE)
    if state is None:
        state = State()
        setattr(backend, _ATTRIBUTE, state)
    return state


def new_id() -> str:
    """Return an id that is not guessed, the same ones in the same order for the same seed of moto's."""
    return str(mock_random.uuid4())
