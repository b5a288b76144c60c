# SPDX-License-Identifier: Apache-2.0
"""Fleets on EC2 Auto Scaling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.aws.instance_refreshes import as_preferences, instance_refresh
from orchestrator.aws.session import AwsSession, translated_with_missing
from orchestrator.domain.fleet import FleetGroup, FleetInstance, LifecycleHook, ScalingActivity
from orchestrator.domain.refresh import InstanceRefresh, RefreshRequest
from orchestrator.errors import AwsError, NotFound

_DEFAULT_VERSION = "$Default"
# https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeScalingActivities.html
_ACTIVITIES_A_PAGE = 100


def is_missing(error: AwsError) -> bool:
    """Tell whether a group does not exist: Auto Scaling's code for it is that of any wrong parameter."""
    return error.code == "ValidationError" and "name not found" in error.cause


_found = translated_with_missing(is_missing)


class AwsFleets:
    """The Auto Scaling groups of one region."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    @property
    def _api(self) -> Any:
        return self._session.client("autoscaling")

    @_found
    def group(self, name: str) -> FleetGroup:
        """Return a group with all its instances, or raise NotFound.

        One answer carries all instances of a group, however many there are:
        https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html
        """
        found = self._api.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        if not found:
            raise _missing("DescribeAutoScalingGroups", f"there is no group {name}")
        return _group(found[0])

    @_found
    def hooks(self, name: str) -> tuple[LifecycleHook, ...]:
        """Return a group's lifecycle hooks."""
        found = self._api.describe_lifecycle_hooks(AutoScalingGroupName=name)["LifecycleHooks"]
        return tuple(_hook(raw) for raw in found)

    @_found
    def activities(self, name: str, *, limit: int = 100) -> tuple[ScalingActivity, ...]:
        """Return a group's latest activities, newest first; a call for each 100."""
        found: list[ScalingActivity] = []
        following: dict[str, str] = {}
        while len(found) < limit:
            page = self._api.describe_scaling_activities(
                AutoScalingGroupName=name, MaxRecords=min(limit - len(found), _ACTIVITIES_A_PAGE), **following
            )
            found += map(_activity, page["Activities"])
            if not page.get("NextToken"):
                break
            following = {"NextToken": page["NextToken"]}
        return tuple(found)

    @_found
    def refreshes(self, name: str, *, limit: int = 10) -> tuple[InstanceRefresh, ...]:
        """Return a group's latest refreshes, newest first, at most 100."""
        page = self._api.describe_instance_refreshes(AutoScalingGroupName=name, MaxRecords=limit)
        return tuple(instance_refresh(raw) for raw in page["InstanceRefreshes"])

    @_found
    def refresh(self, name: str, refresh_id: str) -> InstanceRefresh:
        """Return one refresh of a group, or raise NotFound."""
        page = self._api.describe_instance_refreshes(
            AutoScalingGroupName=name, InstanceRefreshIds=[refresh_id]
        )
        if not page["InstanceRefreshes"]:
            raise _missing("DescribeInstanceRefreshes", f"group {name} has no refresh {refresh_id}")
        return instance_refresh(page["InstanceRefreshes"][0])

    @_found
    def start_refresh(self, name: str, request: RefreshRequest) -> str:
        """Begin a refresh and return its id."""
        template = {"LaunchTemplateId": request.template_id, "Version": str(request.version)}
        answer = self._api.start_instance_refresh(
            AutoScalingGroupName=name,
            Strategy="Rolling",
            DesiredConfiguration={"LaunchTemplate": template},
            Preferences=as_preferences(request.preferences),
        )
        return str(answer["InstanceRefreshId"])

    @_found
    def cancel_refresh(self, name: str) -> str:
        """Begin to cancel the active refresh or rollback and return its id."""
        return str(self._api.cancel_instance_refresh(AutoScalingGroupName=name)["InstanceRefreshId"])

    @_found
    def rollback_refresh(self, name: str) -> str:
        """Begin to take the active refresh back and return its id."""
        return str(self._api.rollback_instance_refresh(AutoScalingGroupName=name)["InstanceRefreshId"])

    @_found
    def suspend(self, name: str, process: str) -> None:
        """Suspend a process of a group; one that is suspended stays so."""
        self._api.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=[process])

    @_found
    def resume(self, name: str, process: str) -> None:
        """Resume a process of a group; one that is not suspended stays so."""
        self._api.resume_processes(AutoScalingGroupName=name, ScalingProcesses=[process])


def _group(raw: Mapping[str, Any]) -> FleetGroup:
    template = _template(raw)
    return FleetGroup(
        name=raw["AutoScalingGroupName"],
        arn=raw["AutoScalingGroupARN"],
        min_size=raw["MinSize"],
        max_size=raw["MaxSize"],
        desired_capacity=raw["DesiredCapacity"],
        template_id=template.get("LaunchTemplateId", ""),
        template_name=template.get("LaunchTemplateName", ""),
        template_version=template.get("Version", _DEFAULT_VERSION) if template else "",
        instances=tuple(_instance(each) for each in raw.get("Instances", ())),
        zones=tuple(raw["AvailabilityZones"]),
        subnet_ids=tuple(each.strip() for each in raw.get("VPCZoneIdentifier", "").split(",") if each),
        target_group_arns=tuple(raw.get("TargetGroupARNs", ())),
        suspended={
            each["ProcessName"]: each.get("SuspensionReason", "")
            for each in raw.get("SuspendedProcesses", ())
        },
        health_check_type=raw["HealthCheckType"],
        grace_period_s=raw.get("HealthCheckGracePeriod", 0),
        instance_warmup_s=raw.get("DefaultInstanceWarmup"),
        termination_policies=tuple(raw.get("TerminationPolicies", ())),
    )


def _template(raw: Mapping[str, Any]) -> Mapping[str, str]:
    """Return a group's launch template; empty for one of a launch configuration."""
    mixed = raw.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    found: Mapping[str, str] = raw.get("LaunchTemplate") or mixed.get("LaunchTemplateSpecification") or {}
    return found


def _instance(raw: Mapping[str, Any]) -> FleetInstance:
    template = raw.get("LaunchTemplate", {})
    version = template.get("Version", "")
    return FleetInstance(
        instance_id=raw["InstanceId"],
        zone=raw["AvailabilityZone"],
        lifecycle_state=raw["LifecycleState"],
        is_healthy=raw["HealthStatus"].lower() == "healthy",
        is_protected=raw["ProtectedFromScaleIn"],
        instance_type=raw.get("InstanceType", ""),
        template_id=template.get("LaunchTemplateId", ""),
        version=int(version) if version.isdigit() else None,
    )


def _hook(raw: Mapping[str, Any]) -> LifecycleHook:
    return LifecycleHook(
        name=raw["LifecycleHookName"],
        transition=raw["LifecycleTransition"],
        heartbeat_s=raw["HeartbeatTimeout"],
        global_timeout_s=raw["GlobalTimeout"],
        default_result=raw["DefaultResult"],
    )


def _activity(raw: Mapping[str, Any]) -> ScalingActivity:
    return ScalingActivity(
        activity_id=raw["ActivityId"],
        description=raw["Description"],
        cause=raw["Cause"],
        status=raw["StatusCode"],
        started_at=raw["StartTime"],
        ended_at=raw.get("EndTime"),
        message=raw.get("StatusMessage", ""),
    )


def _missing(operation: str, cause: str) -> NotFound:
    return NotFound("autoscaling", operation, "NotFound", cause)
