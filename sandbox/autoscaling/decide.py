# SPDX-License-Identifier: Apache-2.0
"""Decide what a group launches and terminates to have its capacity. Pure: nothing is changed here.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/auto-scaling-benefits.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sandbox.autoscaling import activities, selection, zones
from sandbox.autoscaling.group import Group, Process, Subnet
from sandbox.autoscaling.member import COUNTED, Lifecycle, Member

# How far above its desired capacity a group may go to balance its zones: a tenth, or one instance.
_BALANCING_SHARE = 10

PROTECTED = "Could not scale to desired capacity because all remaining instances are protected from scale-in."


@dataclass(frozen=True, slots=True)
class Launch:
    """Launch `count` instances in a subnet."""

    subnet: Subnet
    count: int
    cause: str
    is_replacement: bool = False
    is_surplus: bool = False
    is_refresh: bool = False


@dataclass(frozen=True, slots=True)
class Terminate:
    """Take an instance out of service."""

    instance_id: str
    cause: str


@dataclass(frozen=True, slots=True)
class Stuck:
    """There is nothing that may be terminated."""

    message: str


@dataclass(frozen=True, slots=True)
class Balanced:
    """The launches that balance the zones are done: what is too much may go."""

    reason: str


Decision = Launch | Terminate | Stuck | Balanced


def decide(group: Group, now: datetime) -> list[Decision]:
    """Return what brings the group to its desired capacity, or balances its zones.

    A refresh may want more instances for a while; zones are not balanced while it takes instances away.
    """
    missing = group.target - group.capacity
    if missing > 0:
        return [*_launches(group, missing, now)] if group.is_active(Process.LAUNCH) else []
    if missing < 0:
        return _terminations(group, -missing, now) if group.is_active(Process.TERMINATE) else []
    if group.surplus:
        return [] if group.is_launching else [Balanced(_balanced_reason(group, now))]
    return [*_balancing(group, now)]


def launch_zones(group: Group, now: datetime) -> list[str]:
    """Return the zones in which a launch may be tried now."""
    if group.retry_at is not None and group.retry_at > now:
        return []
    return [zone for zone in group.settings.zones if group.zone_retry_at.get(zone, now) <= now]


def _launches(group: Group, missing: int, now: datetime) -> list[Launch]:
    usable = launch_zones(group, now)
    if not usable:
        return []
    target = group.target
    replaced = min(group.owed_replacements, missing)
    refreshed = min(group.refresh.owed if group.refresh else 0, missing - replaced)
    grows = activities.joined(group.reason, activities.grows(now, group.capacity, target))
    launches: list[Launch] = []
    counts, used = _counts(group), _subnet_counts(group)
    for count, cause, is_replacement, is_refresh in (
        (replaced, activities.replaces(now), True, False),
        (refreshed, activities.refreshes(now), False, True),
        (missing - replaced - refreshed, grows, False, False),
    ):
        staying = counts - _leaving(group, counts) if is_refresh and count else counts
        for zone, share in zones.spread(staying, usable, count).items():
            launches += [
                Launch(subnet, number, cause, is_replacement, is_refresh=is_refresh)
                for subnet, number in _over_subnets(group, zone, share, used)
            ]
            counts[zone] += share
    return launches


def _over_subnets(group: Group, zone: str, share: int, used: Counter[str]) -> list[tuple[Subnet, int]]:
    chosen: Counter[Subnet] = Counter()
    for _ in range(share):
        subnet = zones.subnet_in(zone, group.settings.subnets, used)
        chosen[subnet] += 1
        used[subnet.subnet_id] += 1
    return list(chosen.items())


def _terminations(group: Group, excess: int, now: datetime) -> list[Decision]:
    candidates = [member for member in group.in_state(*COUNTED) if not member.is_protected]
    chosen = selection.choose(
        candidates,
        excess,
        counts=group.counted,
        policies=group.settings.termination_policies,
        template=group.template,
        now=now,
        zones=group.settings.zones,
    )
    decisions: list[Decision] = [
        Terminate(
            member.instance_id,
            activities.joined(
                group.reason,
                activities.shrinks(now, group.capacity, group.capacity - len(chosen)),
                activities.selected(now, member.instance_id),
            ),
        )
        for member in chosen
    ]
    if len(chosen) < excess and group.stuck_at != group.settings.desired:
        decisions.append(Stuck(PROTECTED))
    return decisions


def _balancing(group: Group, now: datetime) -> list[Launch]:
    needed = (Process.AZ_REBALANCE, Process.LAUNCH, Process.TERMINATE)
    if group.is_launching or group.is_being_deleted or not all(map(group.is_active, needed)):
        return []
    if group.refresh is not None:
        return []
    found = zones.imbalance(group.counted, group.settings.zones)
    if found is None:
        return []
    most, least = found
    if least not in launch_zones(group, now) or not _has_movable(group, most):
        return []
    counts = _counts(group)
    gap = counts[most] - (0 if most not in group.settings.zones else counts[least])
    margin = max(1, group.settings.desired // _BALANCING_SHARE)
    number = min(margin, gap if most not in group.settings.zones else gap // 2)
    subnet = zones.subnet_in(least, group.settings.subnets, _subnet_counts(group))
    cause = activities.balances(now, {least: counts[least], most: counts[most]})
    return [Launch(subnet, number, cause, is_surplus=True)]


def _balanced_reason(group: Group, now: datetime) -> str:
    least = [zone for zone in group.settings.zones if group.counted[zone] == min(_in_zones(group).values())]
    return activities.balanced(now, least)


def _in_zones(group: Group) -> Mapping[str, int]:
    return {zone: group.counted[zone] for zone in group.settings.zones}


def _has_movable(group: Group, zone: str) -> bool:
    return any(
        member.zone == zone and not member.is_protected for member in group.in_state(Lifecycle.IN_SERVICE)
    )


def _counts(group: Group) -> Counter[str]:
    counts = Counter(group.counted)
    for order in group.orders:
        counts[order.subnet.zone] += order.count
    return counts


def _leaving(group: Group, counts: Counter[str]) -> Counter[str]:
    """Return from which zones instances will go that a refresh's launches come before: where the most are."""
    refresh, leaving = group.refresh, Counter[str]()
    stale = Counter(refresh.stale_zones) if refresh else Counter[str]()
    for _ in range(min(refresh.surge if refresh else 0, stale.total())):
        chosen = max(sorted(+stale), key=lambda zone: counts[zone] - leaving[zone])
        leaving[chosen] += 1
        stale[chosen] -= 1
    return leaving


def _subnet_counts(group: Group) -> Counter[str]:
    if len(group.settings.subnets) == len(group.settings.zones):
        return Counter()
    members: list[Member] = [member for member in group.members.values() if member.is_counted]
    return Counter(member.subnet_id for member in members)
