# SPDX-License-Identifier: Apache-2.0
"""The alarms that target tracking makes for itself. Pure.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-target-tracking.html
"""

from __future__ import annotations

from typing import Any

from sandbox.autoscaling.policies import Policy, metric_of

HIGH_PERIODS, LOW_PERIODS = 3, 15
# Target tracking scales in only when the metric is clearly below the target.
LOW_SHARE = 0.9


def of_target(policy: Policy) -> list[dict[str, Any]]:
    """Return the alarms of a target tracking policy as PutMetricAlarm takes them: high, and low if wanted."""
    target = policy.target or {}
    value = float(target["TargetValue"])
    metrics = metric_of(target, policy.group)
    wanted = [(policy.alarms[0], "GreaterThanThreshold", value, HIGH_PERIODS)]
    if len(policy.alarms) > 1:
        wanted.append((policy.alarms[1], "LessThanThreshold", round(value * LOW_SHARE, 10), LOW_PERIODS))
    return [
        {
            "AlarmName": name,
            "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}.",
            "ActionsEnabled": True,
            "AlarmActions": [policy.arn],
            "ComparisonOperator": comparison,
            "Threshold": threshold,
            "EvaluationPeriods": periods,
            **_measured(metrics),
        }
        for name, comparison, threshold, periods in wanted
    ]


def _measured(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    if len(metrics) > 1:
        return {"Metrics": metrics}
    stat = metrics[0]["MetricStat"]
    return {
        "Namespace": stat["Metric"]["Namespace"],
        "MetricName": stat["Metric"]["MetricName"],
        "Dimensions": stat["Metric"].get("Dimensions", []),
        "Statistic": stat["Stat"],
        "Period": stat["Period"],
    }
