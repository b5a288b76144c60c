# SPDX-License-Identifier: Apache-2.0
"""CloudWatch's alarms on metrics."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging

_LISTS = ("AlarmActions", "Dimensions", "InsufficientDataActions", "Metrics", "OKActions")
_PROPERTIES = (
    *_LISTS,
    "ActionsEnabled",
    "AlarmDescription",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "MetricName",
    "Namespace",
    "Period",
    "Statistic",
    "Threshold",
    "TreatMissingData",
    "Unit",
)
_METRIC = ("Expression", "Id", "Label", "MetricStat", "Period", "ReturnData")


class Alarms:
    """AWS::CloudWatch::Alarm."""

    type_name = "AWS::CloudWatch::Alarm"
    properties = frozenset(
        {
            "AlarmName",
            "Tags",
            *(name for name in _PROPERTIES if name != "Metrics"),
            *(f"Metrics.{name}" for name in _METRIC),
        }
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the alarm."""
        name = properties.get("AlarmName", call.name)
        if _find(call, name) is not None:
            raise HandlerError(
                f"Resource of type '{self.type_name}' with identifier '{name}' already exists."
            )
        tags = tagging.as_list(tagging.wanted(call, properties))
        call.client("cloudwatch").put_metric_alarm(AlarmName=name, Tags=tags, **_given(properties))
        return _physical(call, name)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return what it watches."""
        alarm = _find(call, physical_id)
        if alarm is None:
            return None
        shown = {
            name: alarm[name] for name in _PROPERTIES if name in alarm and alarm[name] not in (None, "", [])
        }
        tags = call.client("cloudwatch").list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
        return {"AlarmName": physical_id, **shown, **tagging.shown(tags)}

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Replace what it watches; its state stays."""
        client = call.client("cloudwatch")
        client.put_metric_alarm(AlarmName=physical_id, **_given(after))
        physical = _physical(call, physical_id)
        change = tagging.change(call, before, after)
        arn = physical.attributes["Arn"]
        if change.put:
            client.tag_resource(ResourceARN=arn, Tags=tagging.as_list(change.put))
        if change.removed:
            client.untag_resource(ResourceARN=arn, TagKeys=change.removed)
        return physical

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the alarm."""
        del properties
        call.client("cloudwatch").delete_alarms(AlarmNames=[physical_id])


def _given(properties: Properties) -> dict[str, Any]:
    return {name: properties[name] for name in _PROPERTIES if name in properties}


def _find(call: Call, name: str) -> dict[str, Any] | None:
    answer = call.client("cloudwatch").describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm"])
    return next((dict(alarm) for alarm in answer["MetricAlarms"]), None)


def _physical(call: Call, name: str) -> Physical:
    arn = f"arn:aws:cloudwatch:{call.region}:{call.account_id}:alarm:{name}"
    return Physical(name, {"Arn": arn})


HANDLERS = (Alarms(),)
