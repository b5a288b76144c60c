# SPDX-License-Identifier: Apache-2.0
"""Decide an instance's next step through its group's lifecycle. Pure: nothing is changed here.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-health-checks.html
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum, auto

from sandbox.autoscaling.group import Group, Process
from sandbox.autoscaling.member import ON_LAUNCH, ON_TERMINATION, Lifecycle, Member, Power

# How often the balancer is asked whether a target that leaves is done with its requests.
DRAIN_LOOK = timedelta(seconds=5)
CONTINUE, ABANDON = "CONTINUE", "ABANDON"

LOST = "an EC2 health check indicating it has been terminated or stopped"
IMPAIRED = "an EC2 instance status checks failure"


class Step(StrEnum):
    """What may happen to an instance."""

    FAIL_LAUNCH = auto()
    WAIT_FOR_HOOKS = auto()
    ABANDON_LAUNCH = auto()
    PROCEED = auto()
    SERVE = auto()
    MARK_UNHEALTHY = auto()
    REPLACE = auto()
    RETARGET = auto()
    DEREGISTER = auto()
    CHECK_DRAIN = auto()
    END_TERMINATION = auto()
    TERMINATE = auto()
    DROP = auto()
    STAND_BY = auto()
    DETACH = auto()


def next_step(group: Group, member: Member, now: datetime) -> Step | None:
    """Return what an instance is due for; None while there is nothing but to wait."""
    match member.state:
        case Lifecycle.PENDING | Lifecycle.PENDING_WAIT | Lifecycle.PENDING_PROCEED:
            return _launching(group, member, now)
        case Lifecycle.IN_SERVICE:
            return _serving(group, member, now)
        case Lifecycle.STANDBY:
            return None
        case Lifecycle.ENTERING_STANDBY:
            return _drained(member, now) or Step.STAND_BY if _may_go_on(member, now) else None
        case Lifecycle.DETACHING:
            return _drained(member, now) or Step.DETACH if _may_go_on(member, now) else None
    return _leaving(group, member, now)


def due(group: Group, member: Member) -> datetime | None:
    """Return when an instance that waits is due without anything new; None if only an event helps."""
    waits = [action.deadline for action in member.actions if action.result is None]
    if member.drains_until is not None:
        look = (member.drain_checked_at or member.drains_until) + DRAIN_LOOK
        waits.append(min(member.drains_until, look))
    if member.state is Lifecycle.IN_SERVICE and member.is_impaired and not member.unhealthy:
        waits.append(grace_ends(group, member))
    return min(waits, default=None)


def grace_ends(group: Group, member: Member) -> datetime:
    """Return when health checks begin to count."""
    began = member.in_service_at or member.launched_at
    return began + timedelta(seconds=group.settings.grace_s)


def fault(group: Group, member: Member, now: datetime) -> str | None:
    """Return what is wrong with an instance in service, as far as EC2 knows."""
    if not group.is_active(Process.HEALTH_CHECK):
        return None
    if member.power.is_lost:
        return LOST
    return IMPAIRED if member.is_impaired and grace_ends(group, member) <= now else None


def missing_targets(group: Group, member: Member) -> list[str]:
    """Return the target groups in which an instance is still to be registered."""
    wanted = group.settings.target_groups
    if not wanted or member.is_left_out or not group.is_active(Process.ADD_TO_LOAD_BALANCER):
        return []
    return [arn for arn in wanted if arn not in member.target_groups]


def surplus_targets(group: Group, member: Member) -> list[str]:
    """Return the target groups that the group has left and an instance has not."""
    return [arn for arn in member.target_groups if arn not in group.settings.target_groups]


def expire(member: Member, now: datetime) -> None:
    """Give the actions whose time is over their hook's default result."""
    for action in member.actions:
        if action.result is None and action.deadline <= now:
            action.result = action.hook.default_result
            action.how = "Heartbeat Timeout"


def result_of(member: Member) -> str | None:
    """Return what an instance's hooks have come to; None while one is waited for."""
    results = [action.result for action in member.actions]
    if ABANDON in results:
        return ABANDON
    return None if None in results else CONTINUE


def _launching(group: Group, member: Member, now: datetime) -> Step | None:
    if member.power.is_lost:
        return Step.FAIL_LAUNCH
    if member.state is Lifecycle.PENDING_WAIT:
        match result_of(member):
            case None:
                return None
            case "ABANDON":
                return Step.ABANDON_LAUNCH
        return Step.PROCEED
    if member.power is not Power.RUNNING:
        return None
    has_hooks = bool(group.hooks_on(ON_LAUNCH)) and not member.has_run_hooks
    return Step.WAIT_FOR_HOOKS if has_hooks else Step.SERVE


def _serving(group: Group, member: Member, now: datetime) -> Step | None:
    if not member.unhealthy and fault(group, member, now):
        return Step.MARK_UNHEALTHY
    may_replace = group.is_active(Process.REPLACE_UNHEALTHY) and group.is_active(Process.TERMINATE)
    if member.unhealthy and may_replace:
        return Step.REPLACE
    if missing_targets(group, member) or surplus_targets(group, member):
        return Step.RETARGET
    return None


def _leaving(group: Group, member: Member, now: datetime) -> Step | None:
    if member.power is Power.TERMINATED and not member.target_groups:
        return Step.DROP
    if not _may_go_on(member, now):
        return None
    if step := _drained(member, now):
        return step
    if member.state is Lifecycle.TERMINATING_WAIT:
        return Step.END_TERMINATION if result_of(member) else None
    is_lost = member.power.is_lost
    if not member.has_run_hooks and not is_lost and group.hooks_on(ON_TERMINATION):
        return Step.WAIT_FOR_HOOKS
    return None if member.is_termination_asked or member.power is Power.SHUTTING_DOWN else Step.TERMINATE


def _may_go_on(member: Member, now: datetime) -> bool:
    """Whether there is a step to take: while a target drains, only at times."""
    if member.drains_until is None or member.power.is_lost:
        return True
    checked = member.drain_checked_at or now
    return member.drains_until <= now or checked + DRAIN_LOOK <= now


def _drained(member: Member, now: datetime) -> Step | None:
    """Return what has to be done at the balancer first; one that is lost has no requests to wait for."""
    if member.target_groups:
        return Step.DEREGISTER
    if member.drains_until is None or member.power.is_lost or member.drains_until <= now:
        return None
    return Step.CHECK_DRAIN
