# SPDX-License-Identifier: Apache-2.0
"""What a refresh says of itself: the reasons of its status.

AWS documents two of them; the others are in the same manner.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/check-status-instance-refresh.html
"""

from __future__ import annotations

CANCELLING = "Replacing instances before cancelling."
CANCELLED = "Cancelled due to user request."
ROLLED_BACK_BY_USER = "The rollback was started by a user request."
OUT_OF_DAYS = "The instance refresh did not end within 14 days."
DELETED = "The Auto Scaling group was deleted."
BAKING = "Waiting for the bake time to pass."
NO_DATA = "Waiting for data of the CloudWatch alarm {}."
ALARM = "The CloudWatch alarm {} is in state ALARM."
SUSPENDED = "Waiting for the {} process to be resumed."
CHECKPOINT = "Waiting at the checkpoint of {} percent."
_AVAILABLE = "Waiting for remaining instances to be available. For example: {} "


def warming(instance_id: str) -> str:
    """Return why the next instances are not replaced yet: new ones warm up."""
    return f"Waiting for instances to warm up before continuing. For example: {instance_id} is warming up."


def unavailable(instance_id: str) -> str:
    """Return why: a new instance is not healthy yet."""
    return f"{_AVAILABLE.format(instance_id)}has insufficient data to evaluate its health with Amazon EC2."


def protected(instance_id: str) -> str:
    """Return why: only instances are left that are protected from scale-in."""
    return f"{_AVAILABLE.format(instance_id)}is protected from scale-in."


def in_standby(instance_id: str) -> str:
    """Return why: only instances are left that are in standby."""
    return f"{_AVAILABLE.format(instance_id)}is in Standby."


def leaving(instance_id: str) -> str:
    """Return why: an instance that was replaced is still there."""
    return f"Waiting for instances to be terminated. For example: {instance_id} is terminating."


def timed_out(reason: str) -> str:
    """Return why a refresh has failed after the hour."""
    return f"The instance refresh made no progress for one hour. {reason}".rstrip()
