# SPDX-License-Identifier: Apache-2.0
"""The metrics of a group, published each minute once they are enabled. Pure.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sandbox.autoscaling.group import Group
from sandbox.autoscaling.member import LAUNCHING, LEAVING, Lifecycle

NAMESPACE = "AWS/AutoScaling"
CPU_NAMESPACE = "AWS/EC2"
_KINDS = ("InService", "Pending", "Standby", "Terminating", "Total")
METRICS = (
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    *(f"Group{kind}Instances" for kind in _KINDS),
    *(f"Group{kind}Capacity" for kind in _KINDS),
)


def data(group: Group, now: datetime) -> list[dict[str, Any]]:
    """Return the group's enabled metrics as PutMetricData takes them."""
    values = _values(group)
    return [
        {
            "MetricName": name,
            "Dimensions": [{"Name": "AutoScalingGroupName", "Value": group.name}],
            "Timestamp": now,
            "Value": values[name],
            "Unit": "None",
        }
        for name in group.metrics
    ]


class CpuMeter:
    """Turns the CPU time that machines have used into the share of their CPUs that they use."""

    def __init__(self, cpus: Callable[[str], int]) -> None:
        self._cpus = cpus
        self._before: Mapping[str, float] = {}
        self._read_at: datetime | None = None

    def data(self, groups: Iterable[Group], used: Mapping[str, float], now: datetime) -> list[dict[str, Any]]:
        """Return the average of each group since the last call, over instances that were there all the time.

        https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_metrics_with_cloudwatch.html
        """
        before, read_at = self._before, self._read_at
        self._before, self._read_at = used, now
        passed_s = (now - read_at).total_seconds() if read_at else 0.0
        if not passed_s:
            return []
        found = []
        for group in groups:
            shares = [
                100 * (used[member.instance_id] - before[member.instance_id]) / passed_s / cpus
                for member in group.in_state(Lifecycle.IN_SERVICE)
                if member.instance_id in used and member.instance_id in before
                if (cpus := self._cpus(member.instance_type))
            ]
            if shares:
                found.append(_cpu_datum(group, [min(share, 100.0) for share in shares], now))
        return found


def _cpu_datum(group: Group, shares: list[float], now: datetime) -> dict[str, Any]:
    return {
        "MetricName": "CPUUtilization",
        "Dimensions": [{"Name": "AutoScalingGroupName", "Value": group.name}],
        "Timestamp": now,
        "StatisticValues": {
            "SampleCount": len(shares),
            "Sum": sum(shares),
            "Minimum": min(shares),
            "Maximum": max(shares),
        },
        "Unit": "Percent",
    }


def _values(group: Group) -> dict[str, float]:
    kinds = Counter(_kind(member.state) for member in group.members.values())
    kinds["Total"] = len(group.members)
    counts = {f"Group{kind}{what}": kinds[kind] for kind in _KINDS for what in ("Instances", "Capacity")}
    return {
        "GroupMinSize": group.settings.min_size,
        "GroupMaxSize": group.settings.max_size,
        "GroupDesiredCapacity": group.settings.desired,
        **counts,
    }


def _kind(state: Lifecycle) -> str:
    if state in LAUNCHING:
        return "Pending"
    if state in LEAVING:
        return "Terminating"
    return "Standby" if state in (Lifecycle.STANDBY, Lifecycle.ENTERING_STANDBY) else "InService"
