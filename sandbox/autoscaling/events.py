# SPDX-License-Identifier: Apache-2.0
"""What Auto Scaling tells EventBridge. Pure.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html
https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-autoscaling.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sandbox.autoscaling.activities import Activity, moment
from sandbox.autoscaling.group import Group
from sandbox.autoscaling.member import ON_LAUNCH, HookAction
from sandbox.autoscaling.refresh.record import Refresh, RefreshStatus
from sandbox.event_bus import Event

SOURCE = "aws.autoscaling"
EC2, GROUP = "EC2", "AutoScalingGroup"
ENDS = {
    RefreshStatus.SUCCESSFUL: "Succeeded",
    RefreshStatus.FAILED: "Failed",
    RefreshStatus.CANCELLED: "Cancelled",
    RefreshStatus.ROLLBACK_SUCCESSFUL: "Rollback Succeeded",
    RefreshStatus.ROLLBACK_FAILED: "Rollback Failed",
}


def refresh(group: Group, found: Refresh, what: str, now: datetime) -> Event:
    """Return the event of a refresh's new status."""
    detail = {"InstanceRefreshId": found.refresh_id, "AutoScalingGroupName": group.name}
    return Event(SOURCE, f"EC2 Auto Scaling Instance Refresh {what}", detail, (group.arn,), now)


def checkpoint(group: Group, found: Refresh, percentage: int, now: datetime) -> Event:
    """Return the event of a checkpoint that is reached; its numbers are strings."""
    detail = {
        "InstanceRefreshId": found.refresh_id,
        "AutoScalingGroupName": group.name,
        "CheckpointPercentage": str(percentage),
        "CheckpointDelay": str(found.preferences.checkpoint_delay_s),
    }
    title = "EC2 Auto Scaling Instance Refresh Checkpoint Reached"
    return Event(SOURCE, title, detail, (group.arn,), now)


def instance(group: Group, activity: Activity, instance_id: str, now: datetime, *, is_launch: bool) -> Event:
    """Return the event of a launch or a termination that has ended; one that failed has a message."""
    ended_at = activity.ended_at or now
    detail = {
        "StatusCode": "Failed" if activity.message else "InProgress",
        "AutoScalingGroupName": group.name,
        "ActivityId": activity.activity_id,
        "Details": json.loads(activity.details),
        "RequestId": activity.activity_id,
        "StatusMessage": activity.message or "",
        "StartTime": moment(activity.started_at),
        "EndTime": moment(ended_at),
        "EC2InstanceId": instance_id,
        "Cause": activity.cause,
        "Description": activity.description,
        **_way(is_launch=is_launch),
    }
    kind, end = ("Launch" if is_launch else "Terminate"), "Unsuccessful" if activity.message else "Successful"
    return Event(SOURCE, f"EC2 Instance {kind} {end}", detail, _resources(group, instance_id), now)


def hook(group: Group, action: HookAction, instance_id: str, now: datetime) -> Event:
    """Return the event of an instance that waits for a lifecycle hook."""
    is_launch = action.hook.transition == ON_LAUNCH
    detail: dict[str, Any] = {
        "LifecycleActionToken": action.token,
        "AutoScalingGroupName": group.name,
        "LifecycleHookName": action.hook.name,
        "EC2InstanceId": instance_id,
        "LifecycleTransition": action.hook.transition,
        **_way(is_launch=is_launch),
    }
    if action.hook.metadata:
        detail["NotificationMetadata"] = action.hook.metadata
    title = f"EC2 Instance-{'launch' if is_launch else 'terminate'} Lifecycle Action"
    return Event(SOURCE, title, detail, (group.arn,), now)


def _way(*, is_launch: bool) -> Mapping[str, str]:
    return {"Origin": EC2 if is_launch else GROUP, "Destination": GROUP if is_launch else EC2}


def _resources(group: Group, instance_id: str) -> tuple[str, ...]:
    if not instance_id:
        return (group.arn,)
    place = ":".join(group.arn.split(":")[3:5])
    return group.arn, f"arn:aws:ec2:{place}:instance/{instance_id}"
