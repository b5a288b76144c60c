# SPDX-License-Identifier: Apache-2.0
"""Instance refreshes as Auto Scaling writes them.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRefresh.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.domain.refresh import (
    InstanceRefresh,
    ProtectedInstances,
    RefreshPreferences,
    RefreshStatus,
    RollbackDetails,
    StandbyInstances,
)

# What an older refresh, which somebody else started, was begun with if it does not say.
_LEAST_BY_DEFAULT = 90


def as_preferences(preferences: RefreshPreferences) -> dict[str, Any]:
    """Return preferences as StartInstanceRefresh takes them, without those that are left to the group."""
    wanted = {
        "MinHealthyPercentage": preferences.min_healthy_percentage,
        "MaxHealthyPercentage": preferences.max_healthy_percentage,
        "InstanceWarmup": preferences.instance_warmup_s,
        "CheckpointPercentages": list(preferences.checkpoint_percentages) or None,
        # A delay without percentages is refused.
        "CheckpointDelay": preferences.checkpoint_delay_s if preferences.checkpoint_percentages else None,
        "SkipMatching": preferences.skip_matching,
        "AutoRollback": preferences.auto_rollback,
        "ScaleInProtectedInstances": preferences.scale_in_protected_instances.value,
        "StandbyInstances": preferences.standby_instances.value,
        "AlarmSpecification": {"Alarms": list(preferences.alarms)} if preferences.alarms else None,
        "BakeTime": preferences.refresh_bake_time_s or None,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def instance_refresh(raw: Mapping[str, Any]) -> InstanceRefresh:
    """Return a refresh as DescribeInstanceRefreshes shows it."""
    template = raw.get("DesiredConfiguration", {}).get("LaunchTemplate", {})
    version = template.get("Version", "")
    return InstanceRefresh(
        refresh_id=raw["InstanceRefreshId"],
        group=raw["AutoScalingGroupName"],
        status=RefreshStatus(raw["Status"]),
        reason=raw.get("StatusReason", ""),
        percentage=raw.get("PercentageComplete", 0),
        instances_to_update=raw.get("InstancesToUpdate", 0),
        started_at=raw.get("StartTime"),
        ended_at=raw.get("EndTime"),
        template_id=template.get("LaunchTemplateId", ""),
        version=int(version) if version.isdigit() else None,
        preferences=_preferences(raw.get("Preferences", {})),
        rollback=_rollback(raw.get("RollbackDetails")),
    )


def _preferences(raw: Mapping[str, Any]) -> RefreshPreferences:
    return RefreshPreferences(
        min_healthy_percentage=raw.get("MinHealthyPercentage", _LEAST_BY_DEFAULT),
        max_healthy_percentage=raw.get("MaxHealthyPercentage"),
        instance_warmup_s=raw.get("InstanceWarmup"),
        checkpoint_percentages=tuple(raw.get("CheckpointPercentages", ())),
        checkpoint_delay_s=raw.get("CheckpointDelay"),
        skip_matching=raw.get("SkipMatching", False),
        auto_rollback=raw.get("AutoRollback", False),
        scale_in_protected_instances=ProtectedInstances(raw.get("ScaleInProtectedInstances", "Wait")),
        standby_instances=StandbyInstances(raw.get("StandbyInstances", "Wait")),
        alarms=tuple(raw.get("AlarmSpecification", {}).get("Alarms", ())),
        refresh_bake_time_s=raw.get("BakeTime", 0),
    )


def _rollback(raw: Mapping[str, Any] | None) -> RollbackDetails | None:
    if raw is None:
        return None
    return RollbackDetails(
        reason=raw.get("RollbackReason", ""),
        started_at=raw.get("RollbackStartTime"),
        percentage_at_rollback=raw.get("PercentageCompleteOnRollback", 0),
        instances_to_update_at_rollback=raw.get("InstancesToUpdateOnRollback", 0),
    )
