# SPDX-License-Identifier: Apache-2.0
"""Choose which instances a group loses. Pure.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-instance-termination.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from sandbox.autoscaling.group import TemplateReference
from sandbox.autoscaling.member import Member

DEFAULT = "Default"
POLICIES = (
    "ClosestToNextInstanceHour",
    DEFAULT,
    "NewestInstance",
    "OldestInstance",
    "OldestLaunchTemplate",
)
_HOUR_S = 3600

Key = tuple[float, ...]


def choose(
    candidates: Iterable[Member],
    count: int,
    *,
    counts: Mapping[str, int],
    policies: Sequence[str],
    template: TemplateReference,
    now: datetime,
    zones: Sequence[str],
) -> list[Member]:
    """Return the `count` instances to lose, in order.

    Zones stay balanced before all else: each comes from a zone that has the most instances of those with a
    candidate; one in a zone that the group has left goes first. Then the policies decide, one by one.
    """
    key = key_of(policies, template, now)
    waiting: dict[str, list[Member]] = {}
    for member in sorted(candidates, key=key, reverse=True):
        waiting.setdefault(member.zone, []).append(member)
    present = Counter(dict(counts))
    chosen: list[Member] = []
    while len(chosen) < count and waiting:
        most = max((zone not in zones, present[zone]) for zone in waiting)
        heads = [queue[-1] for zone, queue in waiting.items() if (zone not in zones, present[zone]) == most]
        member = min(heads, key=key)
        chosen.append(member)
        waiting[member.zone].pop()
        if not waiting[member.zone]:
            del waiting[member.zone]
        present[member.zone] -= 1
    return chosen


def key_of(policies: Sequence[str], template: TemplateReference, now: datetime) -> Callable[[Member], Key]:
    """Return what orders the instances of a zone as the policies do: the least is lost first."""

    def template_age(member: Member) -> Key:
        """Those of another template first, then those of its oldest version."""
        if member.template is None:
            return (0.0, 0.0)
        return (float(member.template.template_id == template.template_id), float(member.template.number))

    def billing(member: Member) -> Key:
        return (_HOUR_S - (now - member.launched_at).total_seconds() % _HOUR_S,)

    by_policy: dict[str, Callable[[Member], Key]] = {
        "OldestInstance": lambda member: (member.launched_at.timestamp(), member.number),
        "NewestInstance": lambda member: (-member.launched_at.timestamp(), -member.number),
        "OldestLaunchTemplate": template_age,
        "ClosestToNextInstanceHour": billing,
        DEFAULT: lambda member: template_age(member) + billing(member),
    }
    keys = [by_policy[policy] for policy in policies if policy in by_policy]

    def key(member: Member) -> Key:
        parts = [part for each in keys for part in each(member)]
        return (*parts, *by_policy[DEFAULT](member), member.number)

    return key
