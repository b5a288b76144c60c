# SPDX-License-Identifier: Apache-2.0
"""Operations on instance refreshes.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_StartInstanceRefresh.html
https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-rollback.html
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sandbox.api.errors import AwsError, unsupported
from sandbox.autoscaling.api import shapes
from sandbox.autoscaling.api.context import Answer, Context, Parameters, invalid, page
from sandbox.autoscaling.group import Group, TemplateReference
from sandbox.autoscaling.refresh import choices, words
from sandbox.autoscaling.refresh.drive import ALARM, NO_DATA
from sandbox.autoscaling.refresh.preferences import Preferences, parse
from sandbox.autoscaling.refresh.record import Refresh, RefreshStatus
from sandbox.autoscaling.state import new_id

ROLLING = "Rolling"
_SSM = "resolve:ssm:"
_CHOICES = choices.DEFAULT
_LEAVES_SOME = frozenset({RefreshStatus.CANCELLED, RefreshStatus.FAILED, RefreshStatus.SUCCESSFUL})
# A refresh that is being cancelled or taken back can't be taken back.
_REVERSIBLE = {RefreshStatus.PENDING, RefreshStatus.IN_PROGRESS} | (
    {RefreshStatus.BAKING} if _CHOICES.may_roll_back_while_baking else set()
)


class Refreshes:
    """Operations on instance refreshes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def start_instance_refresh(self, parameters: Parameters) -> Answer:
        """Begin to replace a group's instances."""
        group = self._context.group(parameters)
        _check_strategy(parameters)
        if group.is_being_deleted:
            raise invalid(f"AutoScalingGroup {group.name} is pending delete and can not be refreshed.")
        if group.refresh is not None:
            raise AwsError(
                "InstanceRefreshInProgress",
                "The request failed because an active instance refresh already exists for the specified Auto "
                "Scaling group.",
            )
        desired = self._desired(parameters.get("DesiredConfiguration"))
        preferences = parse(parameters.get("Preferences") or {}, has_desired=desired is not None)
        self._check_reversible(group, preferences, desired)
        self._check_alarms(preferences)
        now = self._context.now()
        self._forget(group)
        refresh = Refresh(new_id(), group.name, preferences, desired, now)
        if group.refreshes and group.refreshes[-1].status in _LEAVES_SOME:
            refresh.earlier = group.refreshes[-1].mark
        group.refreshes.append(refresh)
        self._context.wake(group.name)
        return {"InstanceRefreshId": refresh.refresh_id}

    def describe_instance_refreshes(self, parameters: Parameters) -> Answer:
        """Show refreshes of the last weeks, the latest first."""
        group = self._context.group(parameters)
        self._forget(group)
        ids = parameters.get("InstanceRefreshIds")
        found = [each for each in reversed(group.refreshes) if not ids or each.refresh_id in ids]
        shown, following = page(found, parameters, usual=50, most=100)
        return {"InstanceRefreshes": [shapes.refresh(group, each) for each in shown], **following}

    def cancel_instance_refresh(self, parameters: Parameters) -> Answer:
        """Replace no more instances; what is replaced stays."""
        group = self._context.group(parameters)
        refresh = self._active(group)
        waits = parameters.get("WaitForTransitioningInstances", True)
        refreshing = self._context.engine.refreshing
        refreshing.cancel(group, refresh, self._context.now(), waits=waits)
        self._context.wake(group.name)
        return {"InstanceRefreshId": refresh.refresh_id}

    def rollback_instance_refresh(self, parameters: Parameters) -> Answer:
        """Take back what a refresh has replaced."""
        group = self._context.group(parameters)
        refresh = self._active(group)
        if refresh.status not in _REVERSIBLE:
            raise _not_found()
        if reason := self._irreversible(group, refresh.desired):
            raise AwsError("IrreversibleInstanceRefresh", reason)
        refreshing = self._context.engine.refreshing
        refreshing.roll_back(group, refresh, words.ROLLED_BACK_BY_USER, self._context.now())
        self._context.wake(group.name)
        return {"InstanceRefreshId": refresh.refresh_id}

    def _active(self, group: Group) -> Refresh:
        if group.refresh is None:
            raise _not_found()
        return group.refresh

    def _desired(self, given: dict[str, Any] | None) -> TemplateReference | None:
        if not given:
            return None
        if given.get("MixedInstancesPolicy"):
            raise unsupported("autoscaling.StartInstanceRefresh with MixedInstancesPolicy")
        return self._context.facts.template(given["LaunchTemplate"]) if given.get("LaunchTemplate") else None

    def _check_reversible(
        self, group: Group, preferences: Preferences, desired: TemplateReference | None
    ) -> None:
        needs_image = desired is not None or preferences.skips_matching
        if needs_image and self._names_parameter(group):
            raise invalid(
                "An instance refresh with a desired configuration or skip matching can't be started because "
                "the launch template of the Auto Scaling group specifies a Systems Manager parameter."
            )
        is_asked = preferences.auto_rollback and _CHOICES.refuses_impossible_auto_rollback
        if is_asked and (reason := self._irreversible(group, desired)):
            raise invalid(reason)

    def _irreversible(self, group: Group, desired: TemplateReference | None) -> str:
        """Return why a refresh of a group can't be taken back; empty if it can."""
        if desired is None:
            return "The instance refresh can't be rolled back: it has no desired configuration."
        if not (group.settings.template.version or "").isdigit():
            return (
                "The instance refresh can't be rolled back: the Auto Scaling group uses the $Latest or "
                "$Default version of its launch template."
            )
        if self._names_parameter(group):
            return (
                "The instance refresh can't be rolled back: the launch template of the Auto Scaling group "
                "specifies a Systems Manager parameter instead of an AMI ID."
            )
        return ""

    def _names_parameter(self, group: Group) -> bool:
        return self._context.facts.image_of(group.settings.template).startswith(_SSM)

    def _check_alarms(self, preferences: Preferences) -> None:
        for name in preferences.alarms:
            state = self._context.facts.alarm_state(name)
            if not state and _CHOICES.refuses_unknown_alarms:
                raise invalid(f"The CloudWatch alarm {name} does not exist.")
            if state in (ALARM, NO_DATA):
                raise invalid(
                    f"The instance refresh can't be started because the CloudWatch alarm {name} is in state "
                    f"{state}."
                )

    def _forget(self, group: Group) -> None:
        """Drop what is not shown any more."""
        oldest = self._context.now() - timedelta(days=_CHOICES.kept_days)
        group.refreshes = [each for each in group.refreshes if each.is_active or each.started_at >= oldest]


def _check_strategy(parameters: Parameters) -> None:
    strategy = parameters.get("Strategy") or ROLLING
    if strategy != ROLLING:
        raise unsupported(f"autoscaling.StartInstanceRefresh with the strategy {strategy}")


def _not_found() -> AwsError:
    return AwsError(
        "ActiveInstanceRefreshNotFound",
        "The request failed because an active instance refresh or rollback for the specified Auto Scaling "
        "group was not found.",
    )
