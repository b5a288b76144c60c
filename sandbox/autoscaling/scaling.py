# SPDX-License-Identifier: Apache-2.0
"""Change desired capacities: by policies that an alarm or a user triggers, and by schedules.

The lock of Auto Scaling is held.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sandbox.autoscaling import activities, policies
from sandbox.autoscaling.group import Group, Process
from sandbox.autoscaling.member import AT_REST, Lifecycle
from sandbox.autoscaling.policies import SIMPLE, TARGET_TRACKING, Policy
from sandbox.autoscaling.schedules import Schedule


def is_cooling(group: Group, cooldown_s: int, now: datetime) -> bool:
    """Whether a scaling activity is in progress or its cooldown is not over."""
    if group.orders or any(member.state not in AT_REST for member in group.in_motion()):
        return True
    last = group.last_activity_at
    return last is not None and (now - last).total_seconds() < cooldown_s


def warm_up_s(group: Group, policy: Policy) -> int:
    """Return how long a new instance does not count for a policy."""
    given = (policy.warmup_s, group.settings.warmup_s, group.settings.cooldown_s)
    return next(each for each in given if each is not None)


def warming(group: Group, policy: Policy, now: datetime) -> int:
    """Return how much of the desired capacity a policy has added that does not count yet."""
    began = group.scaled_out_at
    if began is None:
        return 0
    limit = now - timedelta(seconds=warm_up_s(group, policy))
    warm = sum(
        member.launched_at < began or (member.in_service_at is not None and member.in_service_at <= limit)
        for member in group.in_state(Lifecycle.IN_SERVICE)
    )
    return max(group.settings.desired - warm, 0)


def trigger(
    group: Group, policy: Policy, *, alarm: str, metric: float, threshold: float, now: datetime
) -> bool:
    """Follow an alarm; True if the desired capacity has changed."""
    if not policy.is_enabled or not group.is_active(Process.ALARM_NOTIFICATION) or group.is_being_deleted:
        return False
    if policy.kind == SIMPLE:
        cooldown_s = group.settings.cooldown_s if policy.cooldown_s is None else policy.cooldown_s
        if is_cooling(group, cooldown_s, now):
            return False
    if policy.kind == TARGET_TRACKING:
        wanted = _tracked(group, policy, metric, now, is_high=alarm == policy.alarms[0])
    else:
        wanted = policies.scaled(
            policy,
            desired=group.settings.desired,
            warming=warming(group, policy, now),
            breach=metric - threshold,
        )
    return wanted is not None and set_desired(group, policy, wanted, alarm=alarm, now=now)


def set_desired(group: Group, policy: Policy, wanted: int, *, alarm: str | None, now: datetime) -> bool:
    """Set what a policy asks for, within the group's bounds; True if that is a change."""
    settings = group.settings
    wanted = min(max(wanted, settings.min_size), settings.max_size)
    if wanted == settings.desired:
        return False
    if wanted > settings.desired and not warming(group, policy, now):
        group.scaled_out_at = now
    group.reason = activities.by_policy(now, policy.name, alarm, settings.desired, wanted)
    settings.desired = wanted
    group.stuck_at = None
    return True


def follow(group: Group, schedule: Schedule, now: datetime) -> bool:
    """Do what a schedule says; True if the desired capacity has changed."""
    settings = group.settings
    if not group.is_active(Process.SCHEDULED_ACTIONS) or group.is_being_deleted:
        return False
    before = settings.desired
    settings.min_size = settings.min_size if schedule.min_size is None else schedule.min_size
    settings.max_size = settings.max_size if schedule.max_size is None else schedule.max_size
    wanted = before if schedule.desired is None else schedule.desired
    settings.desired = min(max(wanted, settings.min_size), settings.max_size)
    if settings.desired != before:
        bounds = (settings.min_size, settings.max_size, settings.desired)
        group.reason = activities.updated(now, bounds, before, "scheduled action")
    return settings.desired != before


def _tracked(group: Group, policy: Policy, metric: float, now: datetime, *, is_high: bool) -> int | None:
    target = policy.target or {}
    young = warming(group, policy, now)
    # What the metric says is said of the instances that are warm.
    serving = max(group.settings.desired - young, 1)
    wanted = policies.tracked(serving, metric, float(target["TargetValue"]))
    if is_high:
        return max(wanted, group.settings.desired)
    if target.get("DisableScaleIn") or young:
        return None
    return min(wanted, group.settings.desired)
