# SPDX-License-Identifier: Apache-2.0
"""Log groups of CloudWatch Logs, and filters that make metrics of what is logged."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.ec2_kinds import Description
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by, unless_absent

NOT_THERE = "ResourceNotFoundException"
# The template's names beside those of the API.
_TRANSFORMATION = {
    "MetricName": "metricName",
    "MetricNamespace": "metricNamespace",
    "MetricValue": "metricValue",
    "DefaultValue": "defaultValue",
    "Unit": "unit",
}


class LogGroup:
    """AWS::Logs::LogGroup."""

    type_name = "AWS::Logs::LogGroup"
    properties = frozenset({"LogGroupName", "RetentionInDays", "KmsKeyId", "Tags"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the group."""
        name = properties.get("LogGroupName", call.name)
        encryption = {"kmsKeyId": properties["KmsKeyId"]} if "KmsKeyId" in properties else {}
        tags = tagging.wanted(call, properties)
        call.client("logs").create_log_group(
            logGroupName=name, **encryption, **({"tags": tags} if tags else {})
        )
        with undone_by(lambda: self.delete(call, name, properties)):
            _set_retention(call, name, properties)
            return self._physical(call, name)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the group."""
        group = _log_group(call, physical_id)
        if group is None:
            return None
        names = {"RetentionInDays": "retentionInDays", "KmsKeyId": "kmsKeyId"}
        tags = call.client("logs").list_tags_for_resource(resourceArn=_arn(group))["tags"]
        return {
            "LogGroupName": physical_id,
            **{name: group[field] for name, field in names.items() if group.get(field)},
            **tagging.shown({"Key": key, "Value": value} for key, value in tags.items()),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change retention, encryption and tags."""
        logs = call.client("logs")
        _set_retention(call, physical_id, after)
        if after.get("KmsKeyId") != before.get("KmsKeyId"):
            if "KmsKeyId" in after:
                logs.associate_kms_key(logGroupName=physical_id, kmsKeyId=after["KmsKeyId"])
            else:
                logs.disassociate_kms_key(logGroupName=physical_id)
        change = tagging.change(call, before, after)
        arn = _arn(_log_group(call, physical_id) or {})
        if change.removed:
            logs.untag_resource(resourceArn=arn, tagKeys=change.removed)
        if change.put:
            logs.tag_resource(resourceArn=arn, tags=change.put)
        return self._physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the group and what is in it."""
        del properties
        with absent_is_fine(NOT_THERE):
            call.client("logs").delete_log_group(logGroupName=physical_id)

    def _physical(self, call: Call, name: str) -> Physical:
        group = _log_group(call, name) or {}
        return Physical(name, {"Arn": f"{_arn(group)}:*"})


class MetricFilter:
    """AWS::Logs::MetricFilter: `<log group>|<filter>`."""

    type_name = "AWS::Logs::MetricFilter"
    properties = frozenset(
        {
            "FilterName",
            "FilterPattern",
            "LogGroupName",
            *(f"MetricTransformations.{name}" for name in _TRANSFORMATION),
        }
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the filter."""
        name = properties.get("FilterName", call.name)
        _put_filter(call, name, properties)
        return Physical(f"{properties['LogGroupName']}|{name}")

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the filter."""
        group, _, name = physical_id.partition("|")
        logs = call.client("logs")
        answer = unless_absent(
            lambda: logs.describe_metric_filters(logGroupName=group, filterNamePrefix=name), NOT_THERE
        )
        for each in answer["metricFilters"] if answer else ():
            if each["filterName"] == name:
                return {
                    "LogGroupName": group,
                    "FilterName": name,
                    "FilterPattern": each["filterPattern"],
                    "MetricTransformations": [_shown(one) for one in each["metricTransformations"]],
                }
        return None

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Put another filter in its place."""
        del before
        _put_filter(call, physical_id.partition("|")[2], after)
        return Physical(physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the filter."""
        del properties
        group, _, name = physical_id.partition("|")
        with absent_is_fine(NOT_THERE):
            call.client("logs").delete_metric_filter(logGroupName=group, filterName=name)


def _log_group(call: Call, name: str) -> Description | None:
    pages = call.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    groups = (group for page in pages for group in page["logGroups"])
    return next((group for group in groups if group["logGroupName"] == name), None)


def _arn(group: Description) -> str:
    if not group:
        raise HandlerError("The log group does not exist")
    arn: str = group["arn"]
    return arn.removesuffix(":*")


def _set_retention(call: Call, name: str, properties: Properties) -> None:
    logs = call.client("logs")
    if days := properties.get("RetentionInDays"):
        logs.put_retention_policy(logGroupName=name, retentionInDays=days)
    else:
        logs.delete_retention_policy(logGroupName=name)


def _put_filter(call: Call, name: str, properties: Properties) -> None:
    call.client("logs").put_metric_filter(
        logGroupName=properties["LogGroupName"],
        filterName=name,
        filterPattern=properties["FilterPattern"],
        metricTransformations=[
            {_TRANSFORMATION[key]: value for key, value in each.items()}
            for each in properties["MetricTransformations"]
        ],
    )


def _shown(transformation: Description) -> dict[str, Any]:
    return {
        name: transformation[field]
        for name, field in _TRANSFORMATION.items()
        if transformation.get(field) is not None
    }


HANDLERS = (LogGroup(), MetricFilter())
