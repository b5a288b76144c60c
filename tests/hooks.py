# SPDX-License-Identifier: Apache-2.0
"""Stand in for machines whose image does not complete the launch hook itself."""

from __future__ import annotations

from typing import Any


def complete_launches(autoscaling: Any) -> None:
    """Say that every machine which waits for its launch hook is ready."""
    for group in autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
        for instance in group["Instances"]:
            if instance["LifecycleState"] == "Pending:Wait":
                autoscaling.complete_lifecycle_action(
                    AutoScalingGroupName=group["AutoScalingGroupName"],
                    LifecycleHookName="launch",
                    LifecycleActionResult="CONTINUE",
                    InstanceId=instance["InstanceId"],
                )
