# SPDX-License-Identifier: Apache-2.0
"""Spread launches over zones. Pure.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/auto-scaling-benefits.html#AutoScalingBehavior.InstanceUsage
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence

from sandbox.autoscaling.group import Subnet


def spread(counts: Mapping[str, int], zones: Sequence[str], launches: int) -> dict[str, int]:
    """Return how many instances to launch in each zone: always where the fewest are, then by zone's name."""
    heap = [(counts.get(zone, 0), zone) for zone in sorted(zones)]
    heapq.heapify(heap)
    chosen: Counter[str] = Counter()
    for _ in range(launches if heap else 0):
        count, zone = heap[0]
        chosen[zone] += 1
        heapq.heapreplace(heap, (count + 1, zone))
    return dict(sorted(chosen.items()))


def subnet_in(zone: str, subnets: Sequence[Subnet], used: Mapping[str, int]) -> Subnet:
    """Return the subnet of the zone with the fewest instances, the first of them in the group's order."""
    return min((each for each in subnets if each.zone == zone), key=lambda each: used.get(each.subnet_id, 0))


def imbalance(counts: Mapping[str, int], zones: Sequence[str]) -> tuple[str, str] | None:
    """Return the zone with the most and the one with the fewest instances if they differ by two or more.

    A zone that the group has left counts as one that shall have none.
    """
    if not zones:
        return None
    least = min(sorted(zones), key=lambda zone: counts.get(zone, 0))
    left = sorted(zone for zone, count in counts.items() if count and zone not in zones)
    most = left[0] if left else max(sorted(zones), key=lambda zone: counts.get(zone, 0))
    if left or counts.get(most, 0) - counts.get(least, 0) > 1:
        return most, least
    return None
