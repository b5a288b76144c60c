# SPDX-License-Identifier: Apache-2.0
"""The metrics of a group, published each minute once they are enabled. Pure.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from sandbox.autoscaling.group import LAUNCHING, LEAVING, Group, Lifecycle

NAMESPACE = "AWS/AutoScaling"
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
