# SPDX-License-Identifier: Apache-2.0
"""What moves Auto Scaling groups and holds their instances: scaling policies and lifecycle hooks."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources.autoscaling_groups import NO_GROUP
from sandbox.cloudformation.resources.ec2_kinds import Description, picked
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent

_POLICY = (
    "PolicyType",
    "AdjustmentType",
    "Cooldown",
    "EstimatedInstanceWarmup",
    "MetricAggregationType",
    "MinAdjustmentMagnitude",
    "ScalingAdjustment",
    "StepAdjustments",
    "TargetTrackingConfiguration",
)
_HOOK = (
    "LifecycleTransition",
    "HeartbeatTimeout",
    "DefaultResult",
    "NotificationTargetARN",
    "RoleARN",
    "NotificationMetadata",
)


class ScalingPolicy:
    """AWS::AutoScaling::ScalingPolicy: its id is its ARN, and its name is always a generated one."""

    type_name = "AWS::AutoScaling::ScalingPolicy"
    properties = frozenset({"AutoScalingGroupName", *_POLICY})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the policy."""
        arn = self._put(call, call.name, properties)
        return Physical(arn, {"Arn": arn, "PolicyName": call.name})

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the policy."""
        policy = _described(call, physical_id)
        if policy is None:
            return None
        shown = picked(policy, "AutoScalingGroupName", *_POLICY)
        return shown | ({"Cooldown": str(shown["Cooldown"])} if "Cooldown" in shown else {})

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Put another policy in its place."""
        del before
        policy = _described(call, physical_id)
        if policy is None:
            raise HandlerError(f"The policy {physical_id} does not exist")
        arn = self._put(call, policy["PolicyName"], after)
        return Physical(arn, {"Arn": arn, "PolicyName": policy["PolicyName"]})

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the policy."""
        del properties
        if _described(call, physical_id) is not None:
            with absent_is_fine(NO_GROUP):
                call.client("autoscaling").delete_policy(
                    AutoScalingGroupName=_group_of(physical_id), PolicyName=physical_id
                )

    def _put(self, call: Call, name: str, properties: Properties) -> str:
        given: dict[str, Any] = picked(dict(properties), "AutoScalingGroupName", *_POLICY)
        if "Cooldown" in given:
            given["Cooldown"] = int(given["Cooldown"])
        answer = call.client("autoscaling").put_scaling_policy(PolicyName=name, **given)
        return str(answer["PolicyARN"])


class LifecycleHook:
    """AWS::AutoScaling::LifecycleHook: `<group>|<hook>`."""

    type_name = "AWS::AutoScaling::LifecycleHook"
    properties = frozenset({"AutoScalingGroupName", "LifecycleHookName", *_HOOK})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the hook."""
        name = properties.get("LifecycleHookName", call.name)
        self._put(call, name, properties)
        return Physical(f"{properties['AutoScalingGroupName']}|{name}")

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the hook."""
        hook = _hook(call, physical_id)
        return picked(hook, "AutoScalingGroupName", "LifecycleHookName", *_HOOK) if hook else None

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Put another hook in its place."""
        del before
        self._put(call, physical_id.partition("|")[2], after)
        return Physical(physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the hook; instances that it holds go on."""
        del properties
        group, _, name = physical_id.partition("|")
        if _hook(call, physical_id) is not None:
            with absent_is_fine(NO_GROUP):
                call.client("autoscaling").delete_lifecycle_hook(
                    AutoScalingGroupName=group, LifecycleHookName=name
                )

    def _put(self, call: Call, name: str, properties: Properties) -> None:
        call.client("autoscaling").put_lifecycle_hook(
            LifecycleHookName=name, **picked(dict(properties), "AutoScalingGroupName", *_HOOK)
        )


def _group_of(policy_arn: str) -> str:
    return policy_arn.partition(":autoScalingGroupName/")[2].partition(":policyName/")[0]


def _described(call: Call, arn: str) -> Description | None:
    client, group = call.client("autoscaling"), _group_of(arn)
    pages = client.get_paginator("describe_policies").paginate(AutoScalingGroupName=group)
    found = unless_absent(lambda: [each for page in pages for each in page["ScalingPolicies"]], NO_GROUP)
    return next((each for each in found or () if each["PolicyARN"] == arn), None)


def _hook(call: Call, physical_id: str) -> Description | None:
    group, _, name = physical_id.partition("|")
    client = call.client("autoscaling")
    answer = unless_absent(
        lambda: client.describe_lifecycle_hooks(AutoScalingGroupName=group, LifecycleHookNames=[name]),
        NO_GROUP,
    )
    hooks: list[Description] = answer["LifecycleHooks"] if answer else []
    return hooks[0] if hooks else None


HANDLERS = (ScalingPolicy(), LifecycleHook())
