# SPDX-License-Identifier: Apache-2.0
"""Groups, instances and activities as the API shows them."""

from __future__ import annotations

from sandbox.autoscaling.activities import Activity
from sandbox.autoscaling.api.context import Answer
from sandbox.autoscaling.group import Group, TemplateReference
from sandbox.autoscaling.member import Hook, Member, TemplateVersion
from sandbox.autoscaling.refresh import preferences
from sandbox.autoscaling.refresh.record import Refresh
from sandbox.autoscaling.refresh.tally import warmup_s


def group(found: Group, *, with_instances: bool = True) -> Answer:
    """Show a group."""
    settings = found.settings
    shown = {
        "AutoScalingGroupName": found.name,
        "AutoScalingGroupARN": found.arn,
        "LaunchTemplate": _reference(settings.template),
        "MinSize": settings.min_size,
        "MaxSize": settings.max_size,
        "DesiredCapacity": settings.desired,
        "DefaultCooldown": settings.cooldown_s,
        "AvailabilityZones": list(settings.zones),
        "LoadBalancerNames": [],
        "TargetGroupARNs": list(settings.target_groups),
        "HealthCheckType": settings.health_check_type,
        "HealthCheckGracePeriod": settings.grace_s,
        "Instances": [instance(each) for each in found.members.values()] if with_instances else [],
        "CreatedTime": found.created_at,
        "SuspendedProcesses": [
            {"ProcessName": name, "SuspensionReason": found.suspended[name]}
            for name in sorted(found.suspended)
        ],
        "VPCZoneIdentifier": _subnets(found),
        "EnabledMetrics": [{"Metric": name, "Granularity": "1Minute"} for name in found.metrics],
        "Status": found.status,
        "Tags": tags(found),
        "TerminationPolicies": list(settings.termination_policies),
        "NewInstancesProtectedFromScaleIn": settings.protects_new,
        "ServiceLinkedRoleARN": settings.service_role_arn,
        "DefaultInstanceWarmup": settings.warmup_s,
        "TrafficSources": [{"Identifier": arn, "Type": "elbv2"} for arn in settings.target_groups],
    }
    return {name: value for name, value in shown.items() if value is not None}


def instance(member: Member) -> Answer:
    """Show an instance within its group."""
    return {
        "InstanceId": member.instance_id,
        "InstanceType": member.instance_type,
        "AvailabilityZone": member.zone,
        "LifecycleState": str(member.state),
        "HealthStatus": "Unhealthy" if member.unhealthy else "Healthy",
        "ProtectedFromScaleIn": member.is_protected,
        **_launched_from(member.template),
    }


def instance_details(found: Group, member: Member) -> Answer:
    """Show an instance on its own, where AWS writes its health in capitals."""
    shown = instance(member)
    return {
        **shown,
        "AutoScalingGroupName": found.name,
        "HealthStatus": shown["HealthStatus"].upper(),
        "ImageId": member.image_id,
    }


def activity(found: Activity, *, is_deleted: bool = False) -> Answer:
    """Show an activity."""
    shown = {
        "ActivityId": found.activity_id,
        "AutoScalingGroupName": found.group,
        "Description": found.description,
        "Cause": found.cause,
        "StartTime": found.started_at,
        "EndTime": found.ended_at,
        "StatusCode": str(found.status),
        "StatusMessage": found.message,
        "Progress": found.progress,
        "Details": found.details,
        "AutoScalingGroupState": "Deleted" if is_deleted else None,
        "AutoScalingGroupARN": found.group_arn,
    }
    return {name: value for name, value in shown.items() if value is not None}


def tags(found: Group) -> list[Answer]:
    """Show a group's tags."""
    return [
        {
            "ResourceId": found.name,
            "ResourceType": "auto-scaling-group",
            "Key": tag.key,
            "Value": tag.value,
            "PropagateAtLaunch": tag.propagates,
        }
        for _, tag in sorted(found.tags.items())
    ]


def hook(found: Group, each: Hook) -> Answer:
    """Show a lifecycle hook."""
    shown = {
        "LifecycleHookName": each.name,
        "AutoScalingGroupName": found.name,
        "LifecycleTransition": each.transition,
        "NotificationTargetARN": each.target_arn,
        "RoleARN": each.role_arn,
        "NotificationMetadata": each.metadata,
        "HeartbeatTimeout": each.heartbeat_s,
        "GlobalTimeout": each.global_timeout_s,
        "DefaultResult": each.default_result,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _reference(template: TemplateReference) -> Answer:
    return {
        "LaunchTemplateId": template.template_id,
        "LaunchTemplateName": template.name,
        "Version": template.version or "$Default",
    }


def _launched_from(template: TemplateVersion | None) -> Answer:
    if template is None:
        return {}
    return {
        "LaunchTemplate": {
            "LaunchTemplateId": template.template_id,
            "LaunchTemplateName": template.name,
            "Version": str(template.number),
        }
    }


def _subnets(found: Group) -> str:
    return (
        ",".join(subnet.subnet_id for subnet in found.settings.subnets)
        if found.settings.names_subnets
        else ""
    )


def refresh(found: Group, each: Refresh) -> Answer:
    """Show an instance refresh; there are no details of warm pools."""
    shown = {
        "InstanceRefreshId": each.refresh_id,
        "AutoScalingGroupName": found.name,
        "Status": str(each.status),
        "StatusReason": each.reason or None,
        "StartTime": each.started_at,
        "EndTime": each.ended_at,
        "PercentageComplete": each.percentage,
        "InstancesToUpdate": each.to_update,
        "Preferences": preferences.shown(each.preferences, warmup_s=warmup_s(each, found.settings)),
        "DesiredConfiguration": {"LaunchTemplate": _reference(each.desired)} if each.desired else None,
        "Strategy": "Rolling",
    }
    if each.rollback is not None:
        shown["RollbackDetails"] = {
            "RollbackReason": each.rollback.reason,
            "RollbackStartTime": each.rollback.started_at,
            "PercentageCompleteOnRollback": each.rollback.percentage,
            "InstancesToUpdateOnRollback": each.rollback.to_update,
        }
    return {name: value for name, value in shown.items() if value is not None}
