# SPDX-License-Identifier: Apache-2.0
"""What surrounds a fleet: its machines' profile, its alarms, and changes of its stack that wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.aws.cloudformation import is_missing
from orchestrator.aws.session import AwsSession, translated
from orchestrator.domain.preflight.facts import AlarmState
from orchestrator.errors import AwsError, NotFound

_EXECUTABLE = "AVAILABLE"


class AwsStackFacts:
    """IAM, CloudWatch and CloudFormation of one account and region."""

    _session: AwsSession

    def has_instance_profile(self, profile: str) -> bool:
        """Tell whether there is an instance profile of that name or ARN, and a role in it."""
        try:
            return self._has_role(profile.rpartition("/")[2])
        except NotFound:
            return False

    @translated
    def _has_role(self, name: str) -> bool:
        found = self._session.client("iam").get_instance_profile(InstanceProfileName=name)
        return bool(found["InstanceProfile"]["Roles"])

    @translated
    def alarms(self, names: Sequence[str]) -> Mapping[str, AlarmState]:
        """Return the states of alarms by their names: of metric alarms and composite ones."""
        found = self._session.client("cloudwatch").describe_alarms(
            AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        every = (*found.get("MetricAlarms", ()), *found.get("CompositeAlarms", ()))
        return {raw["AlarmName"]: AlarmState(raw["StateValue"]) for raw in every}

    def open_change_sets(self, stack: str) -> tuple[str, ...]:
        """Return the names of a stack's change sets that could be executed; none of a stack that is not."""
        try:
            return self._open_change_sets(stack)
        except AwsError as exc:
            if not is_missing(exc):
                raise
            return ()

    @translated
    def _open_change_sets(self, stack: str) -> tuple[str, ...]:
        api = self._session.client("cloudformation")
        pages = api.get_paginator("list_change_sets").paginate(StackName=stack)
        return tuple(
            sorted(
                raw["ChangeSetName"]
                for page in pages
                for raw in page["Summaries"]
                if raw["ExecutionStatus"] == _EXECUTABLE
            )
        )
