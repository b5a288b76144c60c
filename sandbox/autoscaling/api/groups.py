# SPDX-License-Identifier: Apache-2.0
"""Operations on groups.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html
https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sandbox.api.errors import AwsError, unsupported
from sandbox.autoscaling import activities
from sandbox.autoscaling.api import shapes
from sandbox.autoscaling.api.context import Answer, Context, Parameters, invalid, page
from sandbox.autoscaling.api.hooks import new_hook
from sandbox.autoscaling.api.tags import put_tag
from sandbox.autoscaling.group import Group, Settings, Subnet
from sandbox.autoscaling.member import LEAVING
from sandbox.autoscaling.refresh import words
from sandbox.autoscaling.refresh.record import RefreshStatus
from sandbox.autoscaling.scaling import is_cooling
from sandbox.autoscaling.selection import POLICIES
from sandbox.autoscaling.state import new_id

# Settings that need no thought, by parameter.
_PLAIN = {
    "MinSize": "min_size",
    "MaxSize": "max_size",
    "DefaultCooldown": "cooldown_s",
    "HealthCheckGracePeriod": "grace_s",
    "NewInstancesProtectedFromScaleIn": "protects_new",
    "ServiceLinkedRoleARN": "service_role_arn",
}
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html
_DERIVED = (
    "An active instance refresh with a desired configuration exists. All configuration options derived from "
    "the desired configuration are not available for update while the instance refresh is active."
)
_HEALTH_CHECKS = frozenset({"EC2", "ELB"})
# The value with which a default warm-up is taken back.
_NO_WARMUP = -1


class Groups:
    """Operations on groups."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create_auto_scaling_group(self, parameters: Parameters) -> None:
        """Make a group; it launches its instances soon."""
        name = parameters["AutoScalingGroupName"]
        state = self._context.state()
        if name in state.groups:
            raise AwsError(
                "AlreadyExists",
                f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
            )
        if not parameters.get("LaunchTemplate"):
            raise invalid(
                "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
                "MixedInstancesPolicy parameter."
            )
        desired = parameters.get("DesiredCapacity", parameters["MinSize"])
        role = f"arn:aws:iam::{self._context.account_id}:role/aws-service-role/autoscaling.amazonaws.com/"
        settings = Settings(
            min_size=parameters["MinSize"],
            max_size=parameters["MaxSize"],
            desired=desired,
            template=self._context.facts.template(parameters["LaunchTemplate"]),
            subnets=(),
            service_role_arn=f"{role}AWSServiceRoleForAutoScaling",
        )
        if parameters.get("CapacityRebalance"):
            raise unsupported("autoscaling.CreateAutoScalingGroup with CapacityRebalance")
        settings = self._changed(settings, parameters)
        if not settings.subnets:
            raise invalid("At least one Availability Zone or VPC Subnet is required.")
        _check_bounds(settings)
        settings.target_groups = tuple(parameters.get("TargetGroupARNs", ()))
        self._context.facts.check_target_groups(list(settings.target_groups))
        now = self._context.now()
        group = Group(
            name=name,
            arn=self._context.arn(f"autoScalingGroup:{new_id()}:autoScalingGroupName/{name}"),
            created_at=now,
            settings=settings,
            reason=activities.created(now, desired),
        )
        for tag in parameters.get("Tags", ()):
            put_tag(group, tag)
        for each in parameters.get("LifecycleHookSpecificationList", ()):
            group.hooks[each["LifecycleHookName"]] = new_hook(each)
        state.groups[name] = group
        self._context.wake(name)

    def update_auto_scaling_group(self, parameters: Parameters) -> None:
        """Change a group; instances that it has stay as they are."""
        group = self._context.group(parameters)
        if group.is_being_deleted:
            raise invalid(f"AutoScalingGroup {group.name} is pending delete and can not be updated.")
        if parameters.get("CapacityRebalance"):
            raise unsupported("autoscaling.UpdateAutoScalingGroup with CapacityRebalance")
        if parameters.get("LaunchTemplate") and group.refresh and group.refresh.desired:
            raise invalid(_DERIVED)
        settings = self._changed(group.settings, parameters)
        given = parameters.get("DesiredCapacity")
        if given is None:
            settings.desired = min(max(settings.desired, settings.min_size), settings.max_size)
        else:
            settings.desired = given
        _check_bounds(settings)
        before = group.settings.desired
        if settings.desired != before:
            bounds = (settings.min_size, settings.max_size, settings.desired)
            group.reason = activities.updated(self._context.now(), bounds, before)
        group.settings = settings
        group.look_at_moving()
        self._context.wake(group.name)

    def delete_auto_scaling_group(self, parameters: Parameters) -> None:
        """Remove a group, with its instances only if it is forced."""
        group = self._context.group(parameters)
        if (group.members or group.orders) and not parameters.get("ForceDelete"):
            raise AwsError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance "
                "request(s) still in the group.",
            )
        if not group.members and not group.orders:
            made = self._context.state().forget(group)
            self._context.later(lambda: remove_alarms(self._context, made))
            return
        now = self._context.now()
        before = group.settings.desired
        group.status = "Delete in progress"
        group.settings = replace(group.settings, min_size=0, max_size=0, desired=0, protects_new=False)
        group.reason = activities.updated(now, (0, 0, 0), before)
        # Nothing is waited for when a group is deleted with its instances.
        group.hooks = {}
        group.suspended = {}
        if refresh := group.refresh:
            ended = self._context.engine.refreshing
            ended.finish(group, refresh, RefreshStatus.CANCELLED, now, reason=words.DELETED)
        for member in list(group.members.values()):
            member.actions = []
            if member.state not in LEAVING:
                cause = activities.joined(group.reason, activities.selected(now, member.instance_id))
                self._context.engine.transitions.leave(group, member, cause, now=now)
        self._context.wake(group.name)

    def set_desired_capacity(self, parameters: Parameters) -> None:
        """Set how many instances the group shall have."""
        group = self._context.group(parameters)
        wanted, settings = parameters["DesiredCapacity"], group.settings
        for is_out, word, bound in (
            (wanted > settings.max_size, "above max", settings.max_size),
            (wanted < settings.min_size, "below min", settings.min_size),
        ):
            if is_out:
                raise invalid(
                    f"New SetDesiredCapacity value {wanted} is {word} value {bound} for the AutoScalingGroup."
                )
        if parameters.get("HonorCooldown"):
            check_cooldown(self._context, group, settings.cooldown_s)
        if wanted != settings.desired:
            group.reason = activities.set_explicitly(self._context.now(), settings.desired, wanted)
            settings.desired = wanted
        self._context.wake(group.name)

    def describe_auto_scaling_groups(self, parameters: Parameters) -> Answer:
        """Show groups."""
        groups = self._context.state().groups
        names = parameters.get("AutoScalingGroupNames")
        found = [groups[name] for name in names if name in groups] if names else list(groups.values())
        found = [
            group for group in found if all(_matches(group, each) for each in parameters.get("Filters", ()))
        ]
        shown, following = page(found, parameters, usual=50, most=100)
        whole = parameters.get("IncludeInstances", True)
        return {
            "AutoScalingGroups": [shapes.group(each, with_instances=whole) for each in shown],
            **following,
        }

    def _changed(self, settings: Settings, parameters: Parameters) -> Settings:
        changes: dict[str, Any] = {
            attribute: parameters[name] for name, attribute in _PLAIN.items() if name in parameters
        }
        if template := parameters.get("LaunchTemplate"):
            changes["template"] = self._context.facts.template(template)
        if subnets := self._subnets(parameters):
            changes["subnets"] = subnets
            changes["names_subnets"] = bool(parameters.get("VPCZoneIdentifier"))
        if kind := parameters.get("HealthCheckType"):
            if not set(kind.split(",")) <= _HEALTH_CHECKS:
                raise invalid(f"Invalid HealthCheckType {kind}.")
            changes["health_check_type"] = kind
        if policies := parameters.get("TerminationPolicies"):
            if unknown := [each for each in policies if each not in POLICIES]:
                raise invalid(f"The termination policy {unknown[0]} is not supported.")
            changes["termination_policies"] = tuple(policies)
        if "DefaultInstanceWarmup" in parameters:
            warmup_s = parameters["DefaultInstanceWarmup"]
            changes["warmup_s"] = None if warmup_s == _NO_WARMUP else warmup_s
        return replace(settings, **changes)

    def _subnets(self, parameters: Parameters) -> tuple[Subnet, ...]:
        zones = parameters.get("AvailabilityZones", [])
        if not parameters.get("VPCZoneIdentifier"):
            return self._context.facts.default_subnets(zones) if zones else ()
        ids = [each.strip() for each in parameters["VPCZoneIdentifier"].split(",") if each.strip()]
        subnets = self._context.facts.subnets(ids)
        if zones and {subnet.zone for subnet in subnets} != set(zones):
            raise invalid(
                "The availability zones of the specified subnets and the Auto Scaling group do not match"
            )
        return subnets


def remove_alarms(context: Context, names: list[str]) -> None:
    """Remove alarms that were made for policies; not with the lock held."""
    if names:
        context.client("cloudwatch").delete_alarms(AlarmNames=names)


def check_cooldown(context: Context, group: Group, cooldown_s: int) -> None:
    """Refuse what has to wait until the group has settled."""
    if is_cooling(group, cooldown_s, context.now()):
        raise AwsError(
            "ScalingActivityInProgress",
            f"A scaling activity of {group.name} is in progress, or its cooldown period is not over.",
        )


def _check_bounds(settings: Settings) -> None:
    if settings.min_size > settings.max_size:
        raise invalid(
            f"Max bound, {settings.max_size}, must be greater than or equal to min bound, {settings.min_size}"
        )
    if not settings.min_size <= settings.desired <= settings.max_size:
        raise invalid(
            f"Desired capacity:{settings.desired} must be between the specified min size:{settings.min_size} "
            f"and max size:{settings.max_size}"
        )


def _matches(group: Group, wanted: dict[str, Any]) -> bool:
    name, values = wanted["Name"], wanted.get("Values", [])
    if name == "tag-key":
        return any(key in values for key in group.tags)
    if name == "tag-value":
        return any(tag.value in values for tag in group.tags.values())
    if name.startswith("tag:"):
        tag = group.tags.get(name.removeprefix("tag:"))
        return tag is not None and tag.value in values
    raise invalid(f"Filter type {name} is not correct.")
