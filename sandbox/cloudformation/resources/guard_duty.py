# SPDX-License-Identifier: Apache-2.0
"""GuardDuty's detectors."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent

# GuardDuty has no error of its own for a detector that is not there.
GONE = ("BadRequestException",)
_FREQUENCY = "SIX_HOURS"


class Detectors:
    """AWS::GuardDuty::Detector."""

    type_name = "AWS::GuardDuty::Detector"
    properties = frozenset(
        {
            "Enable",
            "Features.AdditionalConfiguration",
            "Features.Name",
            "Features.Status",
            "FindingPublishingFrequency",
            "Tags",
        }
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the detector; an account has one in a region."""
        given = {key: value for key, value in properties.items() if key != "Tags"}
        made = call.client("guardduty").create_detector(**given, Tags=tagging.wanted(call, properties))
        return Physical(made["DetectorId"], {"Id": made["DetectorId"]})

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return what it looks at."""
        client = call.client("guardduty")
        detector = unless_absent(lambda: client.get_detector(DetectorId=physical_id), *GONE)
        if detector is None:
            return None
        shown: dict[str, Any] = {
            "Enable": detector["Status"] == "ENABLED",
            "FindingPublishingFrequency": detector["FindingPublishingFrequency"],
        }
        if detector["Features"]:
            shown["Features"] = detector["Features"]
        return shown | tagging.shown(tagging.as_list(detector.get("Tags", {})))

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change what it looks at; a feature that the template has no more is turned off."""
        client = call.client("guardduty")
        wanted = after.get("Features", [])
        names = {feature["Name"] for feature in wanted}
        dropped = [
            {"Name": feature["Name"], "Status": "DISABLED"}
            for feature in before.get("Features", ())
            if feature["Name"] not in names
        ]
        client.update_detector(
            DetectorId=physical_id,
            Enable=after["Enable"],
            FindingPublishingFrequency=after.get("FindingPublishingFrequency", _FREQUENCY),
            Features=[*wanted, *dropped],
        )
        arn = f"arn:aws:guardduty:{call.region}:{call.account_id}:detector/{physical_id}"
        change = tagging.change(call, before, after)
        if change.put:
            client.tag_resource(ResourceArn=arn, Tags=change.put)
        if change.removed:
            client.untag_resource(ResourceArn=arn, TagKeys=change.removed)
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the detector."""
        del properties
        with absent_is_fine(*GONE):
            call.client("guardduty").delete_detector(DetectorId=physical_id)


HANDLERS = (Detectors(),)
