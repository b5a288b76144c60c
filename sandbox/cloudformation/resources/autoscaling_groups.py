# SPDX-License-Identifier: Apache-2.0
"""Auto Scaling groups.

An update passes on only what the template changed: what a rollout did to the group in the meantime, its
launch template's version and its size above all, stays as it is.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-autoscaling-autoscalinggroup.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.ec2_kinds import Description, picked
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by, wait_until, wait_while_wanted

# What Auto Scaling says of a group that is not there, and of one that is being deleted.
NO_GROUP = "ValidationError"
_HOOKS, _METRICS, _TARGETS = "LifecycleHookSpecificationList", "MetricsCollection", "TargetGroupARNs"
# The template's name of a setting: the API's, what it is when it is not given, and its type there.
_SETTINGS: dict[str, tuple[str, Any, Callable[[Any], Any]]] = {
    "MinSize": ("MinSize", None, int),
    "MaxSize": ("MaxSize", None, int),
    "DesiredCapacity": ("DesiredCapacity", None, int),
    "Cooldown": ("DefaultCooldown", 300, int),
    "DefaultInstanceWarmup": ("DefaultInstanceWarmup", -1, int),
    "HealthCheckGracePeriod": ("HealthCheckGracePeriod", 0, int),
    "HealthCheckType": ("HealthCheckType", "EC2", str),
    "LaunchTemplate": ("LaunchTemplate", None, dict),
    "NewInstancesProtectedFromScaleIn": ("NewInstancesProtectedFromScaleIn", False, bool),
    "TerminationPolicies": ("TerminationPolicies", ["Default"], list),
    "VPCZoneIdentifier": ("VPCZoneIdentifier", None, ",".join),
}
# The schema has these as text.
_TEXTS = frozenset({"MinSize", "MaxSize", "DesiredCapacity", "Cooldown"})
# A hook may hold an instance for something that comes after the group, so the group must not wait for it.
_LAUNCHED = frozenset({"Pending:Wait", "Pending:Proceed", "InService"})
_HOPELESS = 3
_TAGGED_AS = "auto-scaling-group"


class AutoScalingGroup:
    """AWS::AutoScaling::AutoScalingGroup: ready when as many instances were launched as it shall have."""

    type_name = "AWS::AutoScaling::AutoScalingGroup"
    properties = frozenset({"AutoScalingGroupName", *_SETTINGS, _HOOKS, _METRICS, _TARGETS, "Tags"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the group and wait for its instances."""
        name = properties.get("AutoScalingGroupName", call.name)
        call.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=name,
            **{_SETTINGS[key][0]: _sent(key, properties) for key in _SETTINGS if key in properties},
            **picked(dict(properties), _HOOKS, _TARGETS),
            Tags=_tags(call, name, properties),
        )
        with undone_by(lambda: self.delete(call, name, properties)):
            _change_metrics(call, name, before=[], after=properties.get(_METRICS, []))
            wait_while_wanted(call, lambda: _is_complete(call, name))
            return _physical(call, name)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the group."""
        group = _group(call, physical_id)
        if group is None:
            return None
        hooks = _described_hooks(call, physical_id)
        metrics = [each["Metric"] for each in group.get("EnabledMetrics", ())]
        return {
            "AutoScalingGroupName": physical_id,
            **_shown(group),
            **picked(group, _TARGETS),
            **({_HOOKS: hooks} if hooks else {}),
            **({_METRICS: [{"Granularity": "1Minute", "Metrics": metrics}]} if metrics else {}),
            **_shown_tags(group),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change what differs between the templates; the group and its instances stay."""
        changes = {
            api_name: _sent(name, after)
            for name, (api_name, default, _) in _SETTINGS.items()
            if before.get(name) != after.get(name) and (name in after or default is not None)
        }
        if changes:
            call.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=physical_id, **changes)
        _change_targets(call, physical_id, before=before, after=after)
        _change_hooks(call, physical_id, before=before, after=after)
        old, new = before.get(_METRICS, []), after.get(_METRICS, [])
        if old != new:
            _change_metrics(call, physical_id, before=old, after=new)
        _change_tags(call, physical_id, before=before, after=after)
        return _physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the group with its instances, and wait until the last of them is gone."""
        del properties
        if _group(call, physical_id) is not None:
            with absent_is_fine(NO_GROUP):
                call.client("autoscaling").delete_auto_scaling_group(
                    AutoScalingGroupName=physical_id, ForceDelete=True
                )
        wait_until(call, lambda: _group(call, physical_id) is None)


def _group(call: Call, name: str) -> Description | None:
    answer = call.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    groups: list[Description] = answer["AutoScalingGroups"]
    return groups[0] if groups else None


def _physical(call: Call, name: str) -> Physical:
    return Physical(name, picked(_group(call, name) or {}, "AutoScalingGroupARN"))


def _sent(name: str, properties: Properties) -> Any:
    """Return a setting as the API takes it, or its default."""
    _, default, convert = _SETTINGS[name]
    return convert(properties[name]) if name in properties else default


def _shown(group: Description) -> dict[str, Any]:
    """Return the settings as the template has them."""
    shown = {name: group[api_name] for name, (api_name, _, _) in _SETTINGS.items() if api_name in group}
    shown["VPCZoneIdentifier"] = [each for each in shown["VPCZoneIdentifier"].split(",") if each]
    return {name: str(value) if name in _TEXTS else value for name, value in shown.items()}


def _is_complete(call: Call, name: str) -> bool:
    """Whether the group has what it shall have.

    Raises:
        HandlerError: Its latest launches failed, one like the other.
    """
    group = _group(call, name)
    if group is None:
        raise HandlerError(f"Group {name} was deleted while it was made")
    launched = [each for each in group["Instances"] if each["LifecycleState"] in _LAUNCHED]
    if len(launched) >= group["DesiredCapacity"]:
        return True
    answer = call.client("autoscaling").describe_scaling_activities(AutoScalingGroupName=name)
    ended = [
        each for each in answer["Activities"] if each["StatusCode"] not in ("InProgress", "PreInService")
    ]
    latest = ended[:_HOPELESS]
    if len(latest) == _HOPELESS and all(each["StatusCode"] in ("Failed", "Cancelled") for each in latest):
        reason = latest[0].get("StatusMessage") or latest[0]["Description"]
        raise HandlerError(f"Group did not stabilize. {reason}")
    return False


def _described_hooks(call: Call, name: str) -> list[Description]:
    answer = call.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=name)
    names = (
        "LifecycleHookName",
        "LifecycleTransition",
        "HeartbeatTimeout",
        "DefaultResult",
        "NotificationTargetARN",
        "RoleARN",
        "NotificationMetadata",
    )
    return [picked(hook, *names) for hook in answer["LifecycleHooks"]]


def _change_hooks(call: Call, name: str, *, before: Properties, after: Properties) -> None:
    client = call.client("autoscaling")
    old = {hook["LifecycleHookName"]: hook for hook in before.get(_HOOKS, ())}
    new = {hook["LifecycleHookName"]: hook for hook in after.get(_HOOKS, ())}
    for hook_name in set(old) - set(new):
        with absent_is_fine(NO_GROUP):
            client.delete_lifecycle_hook(AutoScalingGroupName=name, LifecycleHookName=hook_name)
    for hook_name, hook in new.items():
        if old.get(hook_name) != hook:
            client.put_lifecycle_hook(AutoScalingGroupName=name, **hook)


def _change_targets(call: Call, name: str, *, before: Properties, after: Properties) -> None:
    client = call.client("autoscaling")
    old, new = set(before.get(_TARGETS, ())), set(after.get(_TARGETS, ()))
    if added := sorted(new - old):
        client.attach_load_balancer_target_groups(AutoScalingGroupName=name, TargetGroupARNs=added)
    if removed := sorted(old - new):
        client.detach_load_balancer_target_groups(AutoScalingGroupName=name, TargetGroupARNs=removed)


def _change_metrics(call: Call, name: str, *, before: list[Description], after: list[Description]) -> None:
    client = call.client("autoscaling")
    if before:
        client.disable_metrics_collection(AutoScalingGroupName=name)
    for each in after:
        client.enable_metrics_collection(AutoScalingGroupName=name, **each)


def _tags(call: Call, name: str, properties: Properties) -> list[Description]:
    """Return all tags; the stack's go on to the instances. The system's can't be given by a caller."""
    stack = tagging.wanted_of_user(call, {})
    tags = {key: {"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in stack.items()}
    tags |= {tag["Key"]: dict(tag) for tag in properties.get("Tags", ())}
    return [{**tag, "ResourceId": name, "ResourceType": _TAGGED_AS} for tag in tags.values()]


def _change_tags(call: Call, name: str, *, before: Properties, after: Properties) -> None:
    client = call.client("autoscaling")
    put = _tags(call, name, after)
    if gone := tagging.change(call, before, after).removed:
        place = {"ResourceId": name, "ResourceType": _TAGGED_AS}
        client.delete_tags(Tags=[{"Key": key, **place} for key in gone])
    if put:
        client.create_or_update_tags(Tags=put)


def _shown_tags(group: Description) -> dict[str, Any]:
    names = ("Key", "Value", "PropagateAtLaunch")
    tags = [
        {name: tag[name] for name in names}
        for tag in group["Tags"]
        if not tag["Key"].startswith(tagging.SYSTEM_PREFIX)
    ]
    return {"Tags": tags} if tags else {}


HANDLERS = (AutoScalingGroup(),)
