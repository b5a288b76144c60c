# SPDX-License-Identifier: Apache-2.0
"""Scaling activities: what a group did and why, in AWS's words.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-verify-scaling-activity.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache


class Status(StrEnum):
    """The codes of an activity that occur here."""

    PRE_IN_SERVICE = "PreInService"
    IN_PROGRESS = "InProgress"
    MID_LIFECYCLE_ACTION = "MidLifecycleAction"
    DRAINING = "WaitingForELBConnectionDraining"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


LAUNCHING = "Launching a new EC2 instance"
TERMINATING = "Terminating EC2 instance"

_PROGRESS = {
    Status.PRE_IN_SERVICE: 30,
    Status.IN_PROGRESS: 50,
    Status.MID_LIFECYCLE_ACTION: 60,
    Status.DRAINING: 40,
}


@dataclass(slots=True)
class Activity:
    """One scaling activity."""

    activity_id: str
    group: str
    group_arn: str
    description: str
    cause: str
    started_at: datetime
    status: Status
    details: str
    message: str | None = None
    ended_at: datetime | None = None

    @property
    def progress(self) -> int:
        """How far it is, in percent."""
        return _PROGRESS.get(self.status, 100)

    def end(self, status: Status, now: datetime, message: str | None = None) -> None:
        """Finish; the message of what went wrong is part of the description, as AWS does it."""
        self.status = status
        self.ended_at = now
        self.message = message
        if message:
            self.description += f".  Status Reason: {message}"


@lru_cache(maxsize=256)
def moment(now: datetime) -> str:
    """Write a time as causes have it."""
    return f"{now:%Y-%m-%dT%H:%M:%SZ}"


@lru_cache(maxsize=256)
def details(subnet_id: str, zone: str) -> str:
    """Return the details of an activity, a JSON document."""
    return json.dumps({"Subnet ID": subnet_id, "Availability Zone": zone}, separators=(",", ":"))


def created(now: datetime, desired: int) -> str:
    """Return why a group wants instances after it was made."""
    return (
        f"At {moment(now)} a user request created an AutoScalingGroup "
        f"changing the desired capacity from 0 to {desired}."
    )


def updated(now: datetime, bounds: tuple[int, int, int], before: int, who: str = "user request") -> str:
    """Return why the desired capacity changed with an update; `bounds` are min, max and desired."""
    least, most, desired = bounds
    return (
        f"At {moment(now)} a {who} update of AutoScalingGroup constraints to "
        f"min: {least}, max: {most}, desired: {desired} changing the desired capacity "
        f"from {before} to {desired}."
    )


def set_explicitly(now: datetime, before: int, desired: int) -> str:
    """Return why the desired capacity changed with SetDesiredCapacity."""
    return (
        f"At {moment(now)} a user request explicitly set group desired capacity "
        f"changing the desired capacity from {before} to {desired}."
    )


def by_policy(now: datetime, policy: str, alarm: str | None, before: int, desired: int) -> str:
    """Return why the desired capacity changed with a policy: for an alarm, or for a user."""
    trigger = f"a monitor alarm {alarm} in state ALARM triggered" if alarm else "a user request executed"
    change = f"changing the desired capacity from {before} to {desired}"
    return f"At {moment(now)} {trigger} policy {policy} {change}."


def grows(now: datetime, before: int, after: int) -> str:
    """Return the cause of a launch for want of capacity."""
    return (
        f"At {moment(now)} an instance was started in response to a difference between desired and "
        f"actual capacity, increasing the capacity from {before} to {after}."
    )


def shrinks(now: datetime, before: int, after: int) -> str:
    """Return the cause of a termination for too much capacity."""
    how = "an instance was" if before - after == 1 else "instances were"
    return (
        f"At {moment(now)} {how} taken out of service in response to a difference between desired and "
        f"actual capacity, shrinking the capacity from {before} to {after}."
    )


def selected(now: datetime, instance_id: str) -> str:
    """Return the last part of the cause of a termination."""
    return f"At {moment(now)} instance {instance_id} was selected for termination."


def replaces(now: datetime) -> str:
    """Return the cause of a launch in place of an unhealthy instance."""
    return (
        f"At {moment(now)} an instance was launched in response to an unhealthy instance needing to be "
        "replaced."
    )


def refreshes(now: datetime) -> str:
    """Return the cause of a launch in place of what a refresh ends."""
    return f"At {moment(now)} an instance was launched in response to an instance refresh."


def out_of_service(now: datetime, why: str) -> str:
    """Return the cause of the termination of an unhealthy instance."""
    return f"At {moment(now)} an instance was taken out of service in response to {why}."


def balances(now: datetime, counts: dict[str, int]) -> str:
    """Return the cause of a launch that balances zones."""
    zones, numbers = " ".join(counts), " ".join(str(count) for count in counts.values())
    return (
        f"At {moment(now)} availability zones {zones} had {numbers} instances respectively. "
        "An instance was launched to aid in balancing the group's zones."
    )


def balanced(now: datetime, zones: list[str]) -> str:
    """Return why there is an instance too many after zones were balanced."""
    return (
        f"At {moment(now)} instances were launched to balance instances in zones {' '.join(zones)} with "
        "other zones resulting in more than desired number of instances in the group."
    )


def joined(*causes: str) -> str:
    """Put the parts of a cause together."""
    return "  ".join(cause for cause in causes if cause)
