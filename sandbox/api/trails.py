# SPDX-License-Identifier: Apache-2.0
"""CloudTrail as state: trails are kept and read back; no event is ever delivered.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.cloudtrail.models import cloudtrail_backends
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from sandbox.api import own_operations
from sandbox.api.errors import AwsError
from sandbox.api.own_operations import Operation, Parameters, Records
from sandbox.api.patches import Patches
from sandbox.api.service_access import allows

PRINCIPAL = "cloudtrail.amazonaws.com"
_NEEDED = ("s3:GetBucketAcl", "s3:PutObject")
_DEFAULTS = {"IncludeGlobalServiceEvents": True, "IsMultiRegionTrail": False, "IsOrganizationTrail": False}
_SELECTORS = [{"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}]


def install(patches: Patches) -> None:
    """Answer CloudTrail's operations here."""
    own_operations.install(
        patches,
        CloudTrailResponse,
        backend=lambda response: cloudtrail_backends[response.current_account][response.region],
        operations=OPERATIONS,
    )


def _create(records: Records, parameters: Parameters) -> dict[str, Any]:
    name = parameters["Name"]
    arn = f"arn:aws:cloudtrail:{records['region']['name']}:{DEFAULT_ACCOUNT_ID}:trail/{name}"
    if name in _trails(records):
        raise AwsError("TrailAlreadyExistsException", f"Trail {name} already exists for {DEFAULT_ACCOUNT_ID}")
    trail: dict[str, Any] = {
        "arn": arn,
        "region": records["region"]["name"],
        "logging": False,
        "selectors": {"EventSelectors": _SELECTORS},
        "tags": {tag["Key"]: tag.get("Value", "") for tag in parameters.get("TagsList") or []},
    }
    _put(trail, {**_DEFAULTS, **parameters})
    _trails(records)[name] = trail
    return _shown(trail)


def _update(records: Records, parameters: Parameters) -> dict[str, Any]:
    trail = _find(records, parameters["Name"])
    _put(trail, {**trail["given"], **parameters, "Name": trail["given"]["Name"]})
    return _shown(trail)


def _put(trail: dict[str, Any], given: Mapping[str, Any]) -> None:
    # An empty text takes a value away.
    kept = {name: value for name, value in given.items() if name != "TagsList" and value not in ("", None)}
    _check_bucket(kept["S3BucketName"], trail["arn"])
    trail["given"] = kept


def _check_bucket(name: str, arn: str) -> None:
    """Refuse a bucket that CloudTrail couldn't write to.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
    """
    bucket = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.get(name)
    if bucket is None:
        raise AwsError("S3BucketDoesNotExistException", f"S3 bucket {name} does not exist!")
    keys = {
        "aws:sourcearn": arn,
        "aws:sourceaccount": DEFAULT_ACCOUNT_ID,
        "s3:x-amz-acl": "bucket-owner-full-control",
    }
    policy = (bucket.policy or b"{}").decode()
    if not all(
        allows(policy, PRINCIPAL, action, keys=keys) for action in ("s3:GetBucketAcl", "s3:PutObject")
    ):
        message = f"Incorrect S3 bucket policy is detected for bucket: {name}"
        raise AwsError("InsufficientS3BucketPolicyException", message)


def _shown(trail: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(trail["given"])
    shown = {
        **given,
        "TrailARN": trail["arn"],
        "HomeRegion": trail["region"],
        "LogFileValidationEnabled": bool(given.pop("EnableLogFileValidation", False)),
        "HasCustomEventSelectors": trail["selectors"] != {"EventSelectors": _SELECTORS},
        "HasInsightSelectors": False,
    }
    if topic := given.get("SnsTopicName"):
        is_arn = topic.startswith("arn:")
        own = f"arn:aws:sns:{trail['region']}:{DEFAULT_ACCOUNT_ID}:{topic}"
        shown["SnsTopicARN"] = topic if is_arn else own
    return shown


def _get(records: Records, parameters: Parameters) -> dict[str, Any]:
    return {"Trail": _shown(_find(records, parameters["Name"]))}


def _describe(records: Records, parameters: Parameters) -> dict[str, Any]:
    wanted = parameters.get("trailNameList") or []
    listed = [
        _shown(trail)
        for name, trail in _trails(records).items()
        if not wanted or name in wanted or trail["arn"] in wanted
    ]
    return {"trailList": listed}


def _list(records: Records, _: Parameters) -> dict[str, Any]:
    return {
        "Trails": [
            {"Name": name, "TrailARN": trail["arn"], "HomeRegion": trail["region"]}
            for name, trail in _trails(records).items()
        ]
    }


def _delete(records: Records, parameters: Parameters) -> None:
    trail = _find(records, parameters["Name"])
    del _trails(records)[trail["given"]["Name"]]


def _start(records: Records, parameters: Parameters) -> None:
    _find(records, parameters["Name"]).update(logging=True, started=datetime.now(UTC))


def _stop(records: Records, parameters: Parameters) -> None:
    _find(records, parameters["Name"]).update(logging=False, stopped=datetime.now(UTC))


def _status(records: Records, parameters: Parameters) -> dict[str, Any]:
    trail = _find(records, parameters["Name"])
    status = {"IsLogging": trail["logging"]}
    times = {"StartLoggingTime": "started", "StopLoggingTime": "stopped"}
    return status | {name: trail[kept] for name, kept in times.items() if kept in trail}


def _put_selectors(records: Records, parameters: Parameters) -> dict[str, Any]:
    trail = _find(records, parameters["TrailName"])
    names = ("EventSelectors", "AdvancedEventSelectors")
    trail["selectors"] = {name: parameters[name] for name in names if parameters.get(name)}
    return {"TrailARN": trail["arn"], **trail["selectors"]}


def _get_selectors(records: Records, parameters: Parameters) -> dict[str, Any]:
    trail = _find(records, parameters["TrailName"])
    return {"TrailARN": trail["arn"], **trail["selectors"]}


def _add_tags(records: Records, parameters: Parameters) -> None:
    tags = _find(records, parameters["ResourceId"])["tags"]
    tags.update({tag["Key"]: tag.get("Value", "") for tag in parameters["TagsList"]})


def _remove_tags(records: Records, parameters: Parameters) -> None:
    tags = _find(records, parameters["ResourceId"])["tags"]
    for tag in parameters["TagsList"]:
        tags.pop(tag["Key"], None)


def _list_tags(records: Records, parameters: Parameters) -> dict[str, Any]:
    listed = []
    for arn in parameters["ResourceIdList"]:
        tags = _find(records, arn)["tags"]
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        listed.append({"ResourceId": arn, "TagsList": pairs})
    return {"ResourceTagList": listed}


def _trails(records: Records) -> dict[str, Any]:
    return records.setdefault("trails", {})


def _find(records: Records, name_or_arn: str) -> dict[str, Any]:
    name = name_or_arn.rpartition("/")[2]
    if name not in _trails(records):
        raise AwsError("TrailNotFoundException", f"Unknown trail: {name_or_arn}")
    trail: dict[str, Any] = _trails(records)[name]
    return trail


OPERATIONS: dict[str, Operation] = {
    "AddTags": _add_tags,
    "CreateTrail": _create,
    "DeleteTrail": _delete,
    "DescribeTrails": _describe,
    "GetEventSelectors": _get_selectors,
    "GetTrail": _get,
    "GetTrailStatus": _status,
    "ListTags": _list_tags,
    "ListTrails": _list,
    "PutEventSelectors": _put_selectors,
    "RemoveTags": _remove_tags,
    "StartLogging": _start,
    "StopLogging": _stop,
    "UpdateTrail": _update,
}
