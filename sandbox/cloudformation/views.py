# SPDX-License-Identifier: Apache-2.0
"""Stacks as the API shows them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.cloudformation.stacks import ChangeSet, Event, Stack, StackResource
from sandbox.cloudformation.template import as_text, invalid

PAGE = 100

Shown = dict[str, Any]


def present(**members: Any) -> Shown:
    """Leave out what is not there."""
    return {name: value for name, value in members.items() if value is not None}


def page(items: Sequence[Any], token: str | None, size: int = PAGE) -> tuple[list[Any], str | None]:
    """Return a page of items, and the token of the next."""
    start = 0
    if token:
        try:
            start = int(base64.urlsafe_b64decode(token))
        except (ValueError, binascii.Error) as error:
            raise invalid("Invalid NextToken") from error
    end = start + size
    following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(items) else None
    return list(items[start:end]), following


def listed(name: str, items: Sequence[Any], parameters: Mapping[str, Any]) -> Shown:
    """Return one page of items under a name."""
    found, token = page(items, parameters.get("NextToken"))
    return present(**{name: found, "NextToken": token})


def pairs(values: Mapping[str, str], key: str, value: str) -> list[dict[str, str]]:
    """Return a mapping as the API writes them."""
    return [{key: name, value: each} for name, each in values.items()]


def allowed_values(described: Mapping[str, Any]) -> Shown:
    """Show the constraints of a parameter."""
    return {"AllowedValues": [as_text(each) for each in described.get("AllowedValues", ())]}


def stack(it: Stack) -> Shown:
    """Show a stack."""
    return present(
        StackId=it.stack_id,
        StackName=it.name,
        ChangeSetId=it.executed_change_set,
        Description=it.description,
        Parameters=pairs(it.source.parameters, "ParameterKey", "ParameterValue"),
        CreationTime=it.created_at,
        DeletionTime=it.deleted_at,
        LastUpdatedTime=it.updated_at,
        RollbackConfiguration={},
        StackStatus=it.status,
        StackStatusReason=it.reason,
        DisableRollback=it.disable_rollback,
        NotificationARNs=[],
        Capabilities=list(it.capabilities),
        Outputs=[
            present(OutputKey=o.name, OutputValue=o.value, Description=o.description, ExportName=o.export)
            for o in it.outputs
        ],
        Tags=pairs(it.source.tags, "Key", "Value"),
        EnableTerminationProtection=it.termination_protection,
        DriftInformation=_drift("StackDriftStatus", it),
    )


def stack_summary(it: Stack) -> Shown:
    """Show a stack in a list."""
    return present(
        StackId=it.stack_id,
        StackName=it.name,
        TemplateDescription=it.description,
        CreationTime=it.created_at,
        LastUpdatedTime=it.updated_at,
        DeletionTime=it.deleted_at,
        StackStatus=it.status,
        StackStatusReason=it.reason,
        DriftInformation=_drift("StackDriftStatus", it),
    )


def resource_summary(it: StackResource) -> Shown:
    """Show a resource in a list."""
    return present(
        LogicalResourceId=it.logical_id,
        PhysicalResourceId=it.physical_id,
        ResourceType=it.type_name,
        LastUpdatedTimestamp=it.changed_at,
        ResourceStatus=it.status,
        ResourceStatusReason=it.reason,
        DriftInformation=_drift("StackResourceDriftStatus", it),
    )


def resource(of: Stack, it: StackResource) -> Shown:
    """Show a resource of DescribeStackResources."""
    shown = resource_summary(it)
    shown["Timestamp"] = shown.pop("LastUpdatedTimestamp")
    return shown | {"StackName": of.name, "StackId": of.stack_id}


def _drift(name: str, it: Stack | StackResource) -> Shown:
    return present(**{name: it.drift_status, "LastCheckTimestamp": it.drift_checked_at})


def event(of: Stack, it: Event) -> Shown:
    """Show an event."""
    return present(
        StackId=of.stack_id,
        EventId=it.event_id,
        StackName=of.name,
        LogicalResourceId=it.logical_id,
        PhysicalResourceId=it.physical_id,
        ResourceType=it.type_name,
        Timestamp=it.at,
        ResourceStatus=it.status,
        ResourceStatusReason=it.reason,
        ResourceProperties=it.properties,
        ClientRequestToken=it.token,
    )


def change_set_summary(of: Stack, it: ChangeSet) -> Shown:
    """Show a change set in a list."""
    return present(
        StackId=of.stack_id,
        StackName=of.name,
        ChangeSetId=it.change_set_id,
        ChangeSetName=it.name,
        ExecutionStatus=it.execution_status,
        Status=it.status,
        StatusReason=it.reason,
        CreationTime=it.created_at,
        Description=it.description,
    )


def change_set(of: Stack, it: ChangeSet) -> Shown:
    """Show a change set, its changes left out."""
    return change_set_summary(of, it) | present(
        Parameters=pairs(it.source.parameters, "ParameterKey", "ParameterValue"),
        NotificationARNs=[],
        RollbackConfiguration={},
        Capabilities=list(it.capabilities),
        Tags=pairs(it.source.tags, "Key", "Value"),
        OnStackFailure=it.on_failure,
    )


_VALUES = ("Path", "BeforeValue", "AfterValue", "AttributeChangeType")


def without_values(change: Mapping[str, Any]) -> Shown:
    """Show a change as DescribeChangeSet does without IncludePropertyValues."""
    shown = {
        name: value
        for name, value in change["ResourceChange"].items()
        if name not in ("BeforeContext", "AfterContext")
    }
    details: list[Shown] = []
    for each in shown["Details"]:
        target = {name: value for name, value in each["Target"].items() if name not in _VALUES}
        if (detail := {**each, "Target": target}) not in details:
            details.append(detail)
    return {"Type": change["Type"], "ResourceChange": {**shown, "Details": details}}
