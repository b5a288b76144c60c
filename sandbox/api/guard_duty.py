# SPDX-License-Identifier: Apache-2.0
"""GuardDuty as state: a detector is kept and read back, and finds nothing.

https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.guardduty import urls
from moto.guardduty.models import guardduty_backends
from moto.guardduty.responses import GuardDutyResponse

from sandbox.api import own_operations
from sandbox.api.errors import AwsError
from sandbox.api.own_operations import Operation, Parameters, Records
from sandbox.api.patches import Patches

_ROLE = (
    f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/aws-service-role/guardduty.amazonaws.com"
    "/AWSServiceRoleForAmazonGuardDuty"
)


def install(patches: Patches) -> None:
    """Answer GuardDuty's operations here."""
    own_operations.open_paths(patches, urls, GuardDutyResponse.dispatch)
    own_operations.install(
        patches,
        GuardDutyResponse,
        backend=lambda response: guardduty_backends[response.current_account][response.region],
        operations=OPERATIONS,
    )


def _create(records: Records, parameters: Parameters) -> dict[str, Any]:
    if _detectors(records):
        message = "The request is rejected because a detector already exists for the current account."
        raise AwsError("BadRequestException", message)
    identifier = uuid.uuid4().hex
    detector: dict[str, Any] = {
        "created": _now(),
        "frequency": "SIX_HOURS",
        "features": {},
        "tags": dict(parameters.get("Tags") or {}),
    }
    _put(detector, parameters)
    _detectors(records)[identifier] = detector
    return {"DetectorId": identifier}


def _update(records: Records, parameters: Parameters) -> None:
    _put(_find(records, parameters["DetectorId"]), parameters)


def _put(detector: dict[str, Any], parameters: Parameters) -> None:
    if parameters.get("Enable") is not None:
        detector["enable"] = parameters["Enable"]
    if parameters.get("FindingPublishingFrequency"):
        detector["frequency"] = parameters["FindingPublishingFrequency"]
    for feature in parameters.get("Features") or []:
        detector["features"][feature["Name"]] = feature
    detector["updated"] = _now()


def _get(records: Records, parameters: Parameters) -> dict[str, Any]:
    detector = _find(records, parameters["DetectorId"])
    return {
        "CreatedAt": detector["created"],
        "UpdatedAt": detector["updated"],
        "ServiceRole": _ROLE,
        "Status": "ENABLED" if detector["enable"] else "DISABLED",
        "FindingPublishingFrequency": detector["frequency"],
        "Features": list(detector["features"].values()),
        "Tags": detector["tags"],
    }


def _list(records: Records, _: Parameters) -> dict[str, Any]:
    return {"DetectorIds": list(_detectors(records))}


def _delete(records: Records, parameters: Parameters) -> None:
    _find(records, parameters["DetectorId"])
    del _detectors(records)[parameters["DetectorId"]]


def _list_tags(records: Records, parameters: Parameters) -> dict[str, Any]:
    return {"Tags": _tagged(records, parameters)["tags"]}


def _tag(records: Records, parameters: Parameters) -> None:
    _tagged(records, parameters)["tags"].update(parameters["Tags"])


def _untag(records: Records, parameters: Parameters) -> None:
    for key in parameters["TagKeys"]:
        _tagged(records, parameters)["tags"].pop(key, None)


def _tagged(records: Records, parameters: Parameters) -> dict[str, Any]:
    return _find(records, parameters["ResourceArn"].rpartition("/")[2])


def _detectors(records: Records) -> dict[str, Any]:
    return records.setdefault("detectors", {})


def _find(records: Records, identifier: str) -> dict[str, Any]:
    if identifier not in _detectors(records):
        message = "The request is rejected because the input detectorId is not owned by the current account."
        raise AwsError("BadRequestException", message)
    detector: dict[str, Any] = _detectors(records)[identifier]
    return detector


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


OPERATIONS: dict[str, Operation] = {
    "CreateDetector": _create,
    "DeleteDetector": _delete,
    "GetDetector": _get,
    "ListDetectors": _list,
    "ListTagsForResource": _list_tags,
    "TagResource": _tag,
    "UntagResource": _untag,
    "UpdateDetector": _update,
}
