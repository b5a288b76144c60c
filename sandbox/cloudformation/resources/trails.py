# SPDX-License-Identifier: Apache-2.0
"""CloudTrail's trails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by, unless_absent

GONE = ("TrailNotFoundException",)
_SELECTORS = ("AdvancedEventSelectors", "EventSelectors")
# What AWS has when nothing is said.
_DEFAULTS: Mapping[str, Any] = {
    "CloudWatchLogsLogGroupArn": "",
    "CloudWatchLogsRoleArn": "",
    "EnableLogFileValidation": False,
    "IncludeGlobalServiceEvents": True,
    "IsMultiRegionTrail": False,
    "KMSKeyId": "",
    "S3BucketName": None,
    "S3KeyPrefix": "",
    "SnsTopicName": "",
}
_GIVEN = {"KMSKeyId": "KmsKeyId"}
_SHOWN = {"KMSKeyId": "KmsKeyId", "EnableLogFileValidation": "LogFileValidationEnabled"}
_EVERYTHING = [{"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}]


class Trails:
    """AWS::CloudTrail::Trail."""

    type_name = "AWS::CloudTrail::Trail"
    properties = frozenset({*_DEFAULTS, *_SELECTORS, "IsLogging", "Tags", "TrailName"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the trail, and let it log if it shall."""
        name = properties.get("TrailName", call.name)
        made = call.client("cloudtrail").create_trail(
            Name=name, TagsList=tagging.as_list(tagging.wanted(call, properties)), **_given(properties)
        )
        with undone_by(lambda: self.delete(call, name, properties)):
            _select(call, name, before={}, after=properties)
            _log(call, name, properties)
        return _physical(made)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return how it is configured, and whether it logs."""
        client = call.client("cloudtrail")
        answer = unless_absent(lambda: client.get_trail(Name=physical_id), *GONE)
        if answer is None:
            return None
        trail = answer["Trail"]
        tags = client.list_tags(ResourceIdList=[trail["TrailARN"]])["ResourceTagList"][0]["TagsList"]
        selectors = (
            client.get_event_selectors(TrailName=physical_id) if trail["HasCustomEventSelectors"] else {}
        )
        return {
            "TrailName": trail["Name"],
            "IsLogging": client.get_trail_status(Name=physical_id)["IsLogging"],
            **{name: trail[_SHOWN.get(name, name)] for name in _DEFAULTS if _SHOWN.get(name, name) in trail},
            **{name: selectors[name] for name in _SELECTORS if name in selectors},
            **tagging.shown(tags),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change the trail; what the template has no more gets AWS's default."""
        client = call.client("cloudtrail")
        removed = {name: _DEFAULTS[name] for name in set(_DEFAULTS) & set(before) - set(after)}
        changed = client.update_trail(Name=physical_id, **_given({**removed, **after}))
        _select(call, physical_id, before=before, after=after)
        _log(call, physical_id, after)
        change = tagging.change(call, before, after)
        if change.put:
            client.add_tags(ResourceId=changed["TrailARN"], TagsList=tagging.as_list(change.put))
        if change.removed:
            client.remove_tags(
                ResourceId=changed["TrailARN"], TagsList=[{"Key": key} for key in change.removed]
            )
        return _physical(changed)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the trail; what it wrote stays."""
        del properties
        with absent_is_fine(*GONE):
            call.client("cloudtrail").delete_trail(Name=physical_id)


def _physical(trail: Mapping[str, Any]) -> Physical:
    attributes = {"Arn": trail["TrailARN"], "SnsTopicArn": trail.get("SnsTopicARN", "")}
    return Physical(trail["Name"], attributes)


def _given(properties: Properties) -> dict[str, Any]:
    return {_GIVEN.get(name, name): properties[name] for name in _DEFAULTS if name in properties}


def _select(call: Call, name: str, *, before: Properties, after: Properties) -> None:
    given = {key: after[key] for key in _SELECTORS if key in after}
    if not given and any(key in before for key in _SELECTORS):
        given = {"EventSelectors": _EVERYTHING}
    if given:
        call.client("cloudtrail").put_event_selectors(TrailName=name, **given)


def _log(call: Call, name: str, properties: Properties) -> None:
    client = call.client("cloudtrail")
    (client.start_logging if properties["IsLogging"] else client.stop_logging)(Name=name)


HANDLERS = (Trails(),)
