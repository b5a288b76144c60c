# SPDX-License-Identifier: Apache-2.0
"""Checks of quotas and limits: whether there is room for the machines that run beside the old ones. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from orchestrator.domain.preflight.check import Check, counted
from orchestrator.domain.preflight.facts import known
from orchestrator.domain.preflight.situation import Situation
from orchestrator.domain.preflight_finding import Level

# https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html
_LONGEST_S = 14 * 24 * 3600.0


def _vcpus_suffice(situation: Situation) -> Iterator[str]:
    kind = known(situation.instance_type)
    if kind is None or not situation.surge:
        return
    room = known(situation.vcpus)
    # CloudWatch tells late: what this group alone runs is in use at least.
    used = max(room.used or 0, len(situation.group.instances) * kind.vcpus)
    needed = situation.surge * kind.vcpus
    if used + needed > room.quota:
        yield (
            f"{counted(situation.surge, 'machine')} more take {counted(needed, 'vCPU')}, "
            f"{used} of {room.quota} are in use (quota {room.quota_code})"
        )


def _addresses_suffice(situation: Situation) -> Iterator[str]:
    if not situation.surge:
        return
    free = sum(subnet.free_addresses for subnet in known(situation.subnets).values())
    if free < situation.surge:
        yield (
            f"{counted(situation.surge, 'machine')} more need an address each, "
            f"the group's subnets have {free} free"
        )


def _zones_have_addresses(situation: Situation) -> Iterator[str]:
    subnets = known(situation.subnets).values() if situation.surge else ()
    free: Counter[str] = Counter()
    for subnet in subnets:
        free[subnet.zone] += subnet.free_addresses
    if free.total() < situation.surge:
        return  # there is no room at all, whichever the zone
    share = math.ceil(situation.surge / max(1, len(free)))
    for zone, addresses in sorted(free.items()):
        if addresses < share:
            yield f"{zone} has {addresses} free, its share of the machines beside the old ones is {share}"


def _target_groups_suffice(situation: Situation) -> Iterator[str]:
    health = known(situation.target_health) if situation.surge else {}
    for arn, targets in sorted(health.items()):
        limit, needed = known(situation.target_limits).per_group, len(targets) + situation.surge
        if needed > limit:
            yield f"{_name(arn)} would have {needed} targets, {limit} is the most"


def _balancers_suffice(situation: Situation) -> Iterator[str]:
    loads = known(situation.balancer_targets) if situation.surge else {}
    for name, targets in sorted(loads.items()):
        limit = known(situation.target_limits).per_balancer(name)
        needed = targets + situation.surge
        if needed > limit:
            yield f"load balancer {name} would have {needed} targets in all, {limit} is the most"


def _maximum_suffices(situation: Situation) -> Iterator[str]:
    group, most = situation.group, situation.intent.course.most_running
    if most > group.max_size and situation.surge:
        full = ", which is the desired capacity already" if group.desired_capacity == group.max_size else ""
        yield f"{most} machines are to run at once, the group's maximum is {group.max_size}{full}"


def _ends_in_time(situation: Situation) -> Iterator[str]:
    likely_s = situation.intent.course.duration_s.likely
    if likely_s > _LONGEST_S:
        yield f"it would take {likely_s / 86_400:.1f} days, and AWS gives up after 14"


def _never_empty(situation: Situation) -> Iterator[str]:
    if situation.group.in_service and situation.intent.course.least_in_service == 0:
        yield f"at some time none of {counted(len(situation.group.in_service), 'machine')} is in service"


def _name(target_group_arn: str) -> str:
    """Return a target group as its ARN names it."""
    return "target group " + target_group_arn.rpartition("targetgroup/")[2].partition("/")[0]


_SMALLER = "lower the fleet's rollout.max_healthy_percentage"

CHECKS = (
    Check(
        "vcpu-quota",
        Level.ERROR,
        "The account's quota of on-demand vCPUs, less what is in use, suffices for the machines that run "
        "beside the old ones. CloudWatch knows the use some minutes late.",
        "raise the quota with `aws service-quotas request-service-quota-increase`, or " + _SMALLER,
        _vcpus_suffice,
    ),
    Check(
        "addresses",
        Level.ERROR,
        "The group's subnets have addresses for the machines that run beside the old ones.",
        _SMALLER,
        _addresses_suffice,
    ),
    Check(
        "zone-addresses",
        Level.WARNING,
        "Each zone's subnets have addresses for the zone's share of those machines; else launches fail "
        "there and are made up for in other zones.",
        _SMALLER,
        _zones_have_addresses,
    ),
    Check(
        "target-group-quota",
        Level.ERROR,
        "The fleet's target groups take the machines that run beside the old ones.",
        "raise the quota of targets per target group, or " + _SMALLER,
        _target_groups_suffice,
    ),
    Check(
        "balancer-quota",
        Level.ERROR,
        "The load balancers take those machines, with the targets of all their target groups.",
        "raise the quota of targets per load balancer, or " + _SMALLER,
        _balancers_suffice,
    ),
    Check(
        "maximum-size",
        Level.WARNING,
        "The group's maximum allows the machines that run at once: AWS does not say whether a refresh may "
        "exceed it, and one that may not goes more slowly than the plan says.",
        "raise the fleet's max_size, or " + _SMALLER,
        _maximum_suffices,
    ),
    Check(
        "fourteen-days",
        Level.ERROR,
        "The rollout ends before AWS gives it up, 14 days after it began.",
        "raise the fleet's rollout.max_healthy_percentage, or lower its min_healthy_percentage",
        _ends_in_time,
    ),
    Check(
        "never-empty",
        Level.WARNING,
        "At no time are all machines out of service.",
        "set the fleet's rollout.min_healthy_percentage to 100",
        _never_empty,
    ),
)
