# SPDX-License-Identifier: Apache-2.0
"""Stacks on CloudFormation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from orchestrator.aws.session import AwsSession, translated, translated_with_missing
from orchestrator.aws.tags import as_list, as_mapping
from orchestrator.domain.change_set import Change, ChangeSet, ChangeSetStatus, Effect
from orchestrator.domain.drift import Difference, DriftDetection, DriftKind, ResourceDrift
from orchestrator.domain.stack import PREFIX, Body, StackState
from orchestrator.domain.stack_event import StackEvent
from orchestrator.errors import AwsError, NotFound
from orchestrator.ports import ChangeSetRequest

_DELETED = "DELETE_COMPLETE"
_KEPT = frozenset({"Retain", "ReplaceAndRetain"})
_REPLACEMENT = {"True": Effect.REPLACED, "Conditional": Effect.MAY_BE_REPLACED}
_ACTIONS = {
    "Add": Effect.ADDED,
    "Import": Effect.ADDED,
    "Remove": Effect.REMOVED,
    # CloudFormation can't tell yet what it will do, so the worst is assumed.
    "Dynamic": Effect.MAY_BE_REPLACED,
}


def is_no_change(reason: str) -> bool:
    """Tell whether a change set failed because there is nothing to change: only its text says so."""
    return "didn't contain changes" in reason or "No updates are to be performed" in reason


def is_missing(error: AwsError) -> bool:
    """Tell whether a stack does not exist: CloudFormation's code for it is that of any wrong parameter."""
    return error.code == "ValidationError" and "does not exist" in error.cause


_found = translated_with_missing(is_missing)


class AwsStacks:
    """CloudFormation of one region."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    @property
    def _api(self) -> Any:
        return self._session.client("cloudformation")

    @translated
    def all(self) -> tuple[StackState, ...]:
        """Return all of our stacks that exist, by their names."""
        found = (
            _state(raw)
            for page in self._api.get_paginator("describe_stacks").paginate()
            for raw in page["Stacks"]
            if raw["StackName"].startswith(PREFIX) and raw["StackStatus"] != _DELETED
        )
        return tuple(sorted(found, key=lambda state: state.name))

    @_found
    def get(self, stack: str) -> StackState:
        """Return a stack as it stands, or raise NotFound; by its id it is found when it is deleted, too."""
        return _state(self._api.describe_stacks(StackName=stack)["Stacks"][0])

    @_found
    def template(self, stack: str) -> Body:
        """Return the template of a stack as it was given."""
        body = self._api.get_template(StackName=stack, TemplateStage="Original")["TemplateBody"]
        document: Body = json.loads(body) if isinstance(body, str) else body
        return document

    @_found
    def policy(self, stack: str) -> Mapping[str, Any] | None:
        """Return the stack policy, None when there is none."""
        text = self._api.get_stack_policy(StackName=stack).get("StackPolicyBody")
        policy: Mapping[str, Any] | None = json.loads(text) if text else None
        return policy

    @_found
    def set_policy(self, stack: str, policy: Mapping[str, Any]) -> None:
        """Replace the stack policy."""
        self._api.set_stack_policy(StackName=stack, StackPolicyBody=json.dumps(policy))

    @_found
    def protect(self, stack: str) -> None:
        """Switch termination protection on."""
        self._api.update_termination_protection(StackName=stack, EnableTerminationProtection=True)

    @_found
    def create_change_set(self, request: ChangeSetRequest) -> str:
        """Begin to make a change set; return its id."""
        answer = self._api.create_change_set(
            StackName=request.template.name,
            ChangeSetName=request.name,
            ChangeSetType="CREATE" if request.is_new else "UPDATE",
            TemplateBody=request.template.text,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
            Tags=as_list(request.template.tags),
        )
        return str(answer["Id"])

    @_found
    def change_set(self, change_set_id: str) -> ChangeSet:
        """Return a change set with all its changes."""
        pages = list(self._api.get_paginator("describe_change_set").paginate(ChangeSetName=change_set_id))
        return ChangeSet(
            change_set_id=pages[0]["ChangeSetId"],
            stack_id=pages[0]["StackId"],
            status=_change_set_status(pages[0]),
            reason=pages[0].get("StatusReason", ""),
            changes=tuple(
                _change(raw["ResourceChange"])
                for page in pages
                for raw in page.get("Changes", ())
                if "ResourceChange" in raw
            ),
        )

    def delete_change_set(self, change_set_id: str) -> None:
        """Delete a change set; an unknown one is no error."""
        with suppress(NotFound):
            self._delete_change_set(change_set_id)

    @_found
    def _delete_change_set(self, change_set_id: str) -> None:
        self._api.delete_change_set(ChangeSetName=change_set_id)

    @_found
    def execute_change_set(self, change_set_id: str) -> None:
        """Begin to do what a change set says."""
        self._api.execute_change_set(ChangeSetName=change_set_id)

    @_found
    def delete(self, stack_id: str) -> None:
        """Begin to delete a stack."""
        self._api.delete_stack(StackName=stack_id)

    @_found
    def events(self, stack_id: str, *, after: str = "") -> tuple[StackEvent, ...]:
        """Return the latest operation's events, oldest first; only those that follow event `after`."""
        return tuple(reversed(list(self._latest(stack_id, after))))

    def _latest(self, stack_id: str, after: str) -> Iterator[StackEvent]:
        """Give events, newest first; no page is asked for beyond what is wanted."""
        for page in self._api.get_paginator("describe_stack_events").paginate(StackName=stack_id):
            for raw in page["StackEvents"]:
                event = _event(raw)
                if event.event_id == after:
                    return
                yield event
                if event.begins_operation:
                    return

    @_found
    def detect_drift(self, stack: str) -> str:
        """Begin to look for drift; return the detection's id."""
        return str(self._api.detect_stack_drift(StackName=stack)["StackDriftDetectionId"])

    @_found
    def drift_detection(self, detection_id: str) -> DriftDetection:
        """Return how far a detection is."""
        raw = self._api.describe_stack_drift_detection_status(StackDriftDetectionId=detection_id)
        status = raw["DetectionStatus"]
        return DriftDetection(
            is_done=status != "DETECTION_IN_PROGRESS",
            has_failed=status == "DETECTION_FAILED",
            reason=raw.get("DetectionStatusReason", ""),
        )

    @_found
    def drifts(self, stack: str) -> tuple[ResourceDrift, ...]:
        """Return the resources that the latest detection found modified or deleted."""
        wanted = [kind.value for kind in DriftKind]
        # No paginator: botocore has none for this call.
        found: list[ResourceDrift] = []
        token: dict[str, str] = {}
        while True:
            page = self._api.describe_stack_resource_drifts(
                StackName=stack, StackResourceDriftStatusFilters=wanted, **token
            )
            found += [_drift(stack, raw) for raw in page["StackResourceDrifts"]]
            if not page.get("NextToken"):
                return tuple(found)
            token = {"NextToken": page["NextToken"]}


def _state(raw: Mapping[str, Any]) -> StackState:
    return StackState(
        name=raw["StackName"],
        stack_id=raw["StackId"],
        status=raw["StackStatus"],
        changed_at=raw.get("LastUpdatedTime") or raw["CreationTime"],
        reason=raw.get("StackStatusReason", ""),
        outputs={each["OutputKey"]: each["OutputValue"] for each in raw.get("Outputs", ())},
        tags=as_mapping(raw.get("Tags")),
        parameters={
            each["ParameterKey"]: each.get("ParameterValue", "") for each in raw.get("Parameters", ())
        },
        has_termination_protection=raw.get("EnableTerminationProtection", False),
    )


def _change_set_status(raw: Mapping[str, Any]) -> ChangeSetStatus:
    status, reason = raw["Status"], raw.get("StatusReason", "")
    if status == "CREATE_COMPLETE":
        return ChangeSetStatus.READY
    if status == "FAILED":
        return ChangeSetStatus.EMPTY if is_no_change(reason) else ChangeSetStatus.FAILED
    return ChangeSetStatus.PENDING


def _change(raw: Mapping[str, Any]) -> Change:
    action = raw["Action"]
    effect = _ACTIONS.get(action) or _REPLACEMENT.get(raw.get("Replacement", ""), Effect.CHANGED)
    targets = (detail.get("Target", {}) for detail in raw.get("Details", ()))
    names = (target.get("Name") or target.get("Attribute", "") for target in targets)
    return Change(
        effect=effect,
        logical_id=raw["LogicalResourceId"],
        type_name=raw["ResourceType"],
        physical_id=raw.get("PhysicalResourceId", ""),
        properties=tuple(sorted({name for name in names if name})) if action == "Modify" else (),
        is_kept=raw.get("PolicyAction") in _KEPT,
    )


def _event(raw: Mapping[str, Any]) -> StackEvent:
    return StackEvent(
        event_id=raw["EventId"],
        logical_id=raw["LogicalResourceId"],
        type_name=raw.get("ResourceType", ""),
        status=raw["ResourceStatus"],
        at=raw["Timestamp"],
        physical_id=raw.get("PhysicalResourceId", ""),
        reason=raw.get("ResourceStatusReason", ""),
    )


def _drift(stack: str, raw: Mapping[str, Any]) -> ResourceDrift:
    return ResourceDrift(
        stack=stack,
        logical_id=raw["LogicalResourceId"],
        type_name=raw["ResourceType"],
        physical_id=raw.get("PhysicalResourceId", ""),
        kind=DriftKind(raw["StackResourceDriftStatus"]),
        differences=tuple(
            Difference(each["PropertyPath"], each["ExpectedValue"], each["ActualValue"])
            for each in raw.get("PropertyDifferences", ())
        ),
    )
