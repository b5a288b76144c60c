# SPDX-License-Identifier: Apache-2.0
"""Scaling policies: what is asked of them, and what they make of a capacity. Pure.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html
https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-target-tracking.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SIMPLE, STEP, TARGET_TRACKING = "SimpleScaling", "StepScaling", "TargetTrackingScaling"
EXACT, CHANGE, PERCENT = "ExactCapacity", "ChangeInCapacity", "PercentChangeInCapacity"


@dataclass(slots=True)
class Policy:
    """A policy; `target` is its TargetTrackingConfiguration as it was given."""

    name: str
    arn: str
    group: str
    kind: str
    adjustment_type: str | None = None
    adjustment: int | None = None
    least_adjustment: int | None = None
    cooldown_s: int | None = None
    steps: tuple[Mapping[str, Any], ...] = ()
    aggregation: str | None = None
    warmup_s: int | None = None
    target: Mapping[str, Any] | None = None
    is_enabled: bool = True
    alarms: list[str] = field(default_factory=list)


def adjusted(capacity: int, kind: str, adjustment: int, least: int = 0) -> int:
    """Return the capacity after an adjustment, rounded as AWS rounds."""
    if kind == EXACT:
        return adjustment
    if kind == CHANGE:
        return capacity + adjustment
    change = capacity * adjustment / 100
    whole = math.trunc(change) if abs(change) >= 1 else round(math.copysign(math.ceil(abs(change)), change))
    if abs(whole) < least:
        whole = least if adjustment > 0 else -least
    return capacity + whole


def step_adjustment(steps: Sequence[Mapping[str, Any]], breach: float) -> int | None:
    """Return the adjustment of the step that a breach (metric less threshold) falls into.

    Lower bounds are inclusive and upper bounds exclusive above the threshold, the other way round below it.
    """
    for step in steps:
        lower = float(step.get("MetricIntervalLowerBound", -math.inf))
        upper = float(step.get("MetricIntervalUpperBound", math.inf))
        above = lower <= breach < upper
        below = lower < breach <= upper
        if above if breach >= 0 and lower >= 0 else below:
            return int(step["ScalingAdjustment"])
    return None


def tracked(capacity: int, metric: float, target: float) -> int:
    """Return the capacity at which the metric would be at its target; more rather than less."""
    return math.ceil(round(capacity * metric / target, 6))


def scaled(policy: Policy, *, desired: int, warming: int, breach: float | None) -> int | None:
    """Return the capacity that a simple or step policy asks for; None for no change.

    Instances that still warm up count as if they were not there while a step scales out, so that an alarm
    that goes on does not add the same capacity again.
    """
    kind, least = policy.adjustment_type or CHANGE, policy.least_adjustment or 0
    if policy.kind == SIMPLE:
        return adjusted(desired, kind, policy.adjustment or 0, least)
    adjustment = step_adjustment(policy.steps, breach or 0.0)
    if adjustment is None:
        return None
    if kind != EXACT and adjustment > 0:
        return max(desired, adjusted(desired - warming, kind, adjustment, least))
    return None if warming else adjusted(desired, kind, adjustment, least)


def metric_of(target: Mapping[str, Any], group: str) -> list[dict[str, Any]]:
    """Return the metric that a target tracking policy follows, as an alarm's Metrics."""
    if predefined := target.get("PredefinedMetricSpecification"):
        return [_query(*_predefined(predefined, group))]
    custom = target["CustomizedMetricSpecification"]
    if queries := custom.get("Metrics"):
        return [_period_of(query) for query in queries]
    return [
        _query(custom["Namespace"], custom["MetricName"], custom.get("Dimensions", []), custom["Statistic"])
    ]


def _predefined(predefined: Mapping[str, Any], group: str) -> tuple[str, str, list[dict[str, str]], str]:
    of_group = [{"Name": "AutoScalingGroupName", "Value": group}]
    match predefined["PredefinedMetricType"]:
        case "ASGAverageCPUUtilization":
            return "AWS/EC2", "CPUUtilization", of_group, "Average"
        case "ASGAverageNetworkIn":
            return "AWS/EC2", "NetworkIn", of_group, "Average"
        case "ASGAverageNetworkOut":
            return "AWS/EC2", "NetworkOut", of_group, "Average"
    balancer, _, rest = predefined["ResourceLabel"].partition("/targetgroup/")
    dimensions = [
        {"Name": "LoadBalancer", "Value": balancer},
        {"Name": "TargetGroup", "Value": f"targetgroup/{rest}"},
    ]
    return "AWS/ApplicationELB", "RequestCountPerTarget", dimensions, "Sum"


def _query(
    namespace: str, name: str, dimensions: Sequence[Mapping[str, str]], statistic: str
) -> dict[str, Any]:
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": [dict(each) for each in dimensions]}
    stat = {"Metric": metric, "Period": 60, "Stat": statistic}
    return {"Id": "m1", "MetricStat": stat, "ReturnData": True}


def _period_of(query: Mapping[str, Any]) -> dict[str, Any]:
    """Give each metric a period of a minute, as target tracking has it."""
    whole = dict(query)
    if stat := whole.get("MetricStat"):
        whole["MetricStat"] = {"Period": 60, **stat}
    whole.setdefault("ReturnData", True)
    return whole
