# SPDX-License-Identifier: Apache-2.0
"""CloudFront functions as state, in their two stages; none is run.

https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_PublishFunction.html
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID

from sandbox.api.errors import AwsError
from sandbox.api.own_operations import Operation, Parameters, Records


def arn_of(name: str) -> str:
    """Return the function's ARN."""
    return f"arn:aws:cloudfront::{DEFAULT_ACCOUNT_ID}:function/{name}"


def arns(records: Records) -> set[str]:
    """Return the ARNs of all functions."""
    return {arn_of(name) for name in records.get("Function", {})}


def check_associations(records: Records, behavior: Mapping[str, Any]) -> None:
    """Refuse a behaviour that names a function which isn't published."""
    for association in behavior.get("FunctionAssociations", {}).get("Items") or []:
        name = association["FunctionARN"].rpartition("/")[2]
        if "LIVE" not in records.get("Function", {}).get(name, {}).get("stages", {}):
            message = f"The function {association['FunctionARN']} is not published or does not exist."
            raise AwsError("InvalidFunctionAssociation", message)


def _create(records: Records, parameters: Parameters) -> dict[str, Any]:
    name = parameters["Name"]
    if name in records.get("Function", {}):
        raise AwsError("FunctionAlreadyExists", f"A function with the name {name} already exists.")
    record = {"created": datetime.now(UTC), "stages": {}}
    records.setdefault("Function", {})[name] = record
    _put(record, parameters)
    tags = (parameters.get("Tags") or {}).get("Items") or []
    records.setdefault("Tags", {})[arn_of(name)] = {tag["Key"]: tag.get("Value", "") for tag in tags}
    location = f"https://cloudfront.amazonaws.com/2020-05-31/function/{name}"
    return _summary(name, record, "DEVELOPMENT") | {"Location": location}


def _update(records: Records, parameters: Parameters) -> dict[str, Any]:
    name, record = _find(records, parameters)
    _check_version(record, parameters)
    _put(record, parameters)
    return _summary(name, record, "DEVELOPMENT")


def _publish(records: Records, parameters: Parameters) -> dict[str, Any]:
    name, record = _find(records, parameters)
    _check_version(record, parameters)
    record["stages"]["LIVE"] = dict(record["stages"]["DEVELOPMENT"])
    shown = _summary(name, record, "LIVE")
    del shown["ETag"]
    return shown


def _describe(records: Records, parameters: Parameters) -> dict[str, Any]:
    name, record = _find(records, parameters)
    return _summary(name, record, parameters.get("Stage") or "DEVELOPMENT")


def _get(records: Records, parameters: Parameters) -> dict[str, Any]:
    name, record = _find(records, parameters)
    stage = _stage(name, record, parameters.get("Stage") or "DEVELOPMENT")
    return {
        "FunctionCode": stage["code"],
        "ETag": stage["etag"],
        "ContentType": "application/octet-stream",
    }


def _delete(records: Records, parameters: Parameters) -> None:
    name, record = _find(records, parameters)
    _check_version(record, parameters)
    if _is_used(records, arn_of(name)):
        raise AwsError("FunctionInUse", f"The function {name} is attached to a distribution.")
    del records["Function"][name]
    records.get("Tags", {}).pop(arn_of(name), None)


def _is_used(records: Records, arn: str) -> bool:
    for record in records.get("Distribution", {}).values():
        configuration = record["configuration"]
        behaviors = (
            configuration["DefaultCacheBehavior"],
            *(configuration.get("CacheBehaviors", {}).get("Items") or []),
        )
        for behavior in behaviors:
            associations = behavior.get("FunctionAssociations", {}).get("Items") or []
            if any(each["FunctionARN"] == arn for each in associations):
                return True
    return False


def _find(records: Records, parameters: Parameters) -> tuple[str, dict[str, Any]]:
    name = str(parameters["Name"])
    record = records.get("Function", {}).get(name)
    if record is None:
        raise AwsError("NoSuchFunctionExists", f"The specified function {name} does not exist.")
    return name, record


def _stage(name: str, record: Mapping[str, Any], stage: str) -> dict[str, Any]:
    if stage not in record["stages"]:
        raise AwsError("NoSuchFunctionExists", f"The function {name} has no {stage} stage.")
    found: dict[str, Any] = record["stages"][stage]
    return found


def _check_version(record: Mapping[str, Any], parameters: Parameters) -> None:
    if parameters.get("IfMatch") != record["stages"]["DEVELOPMENT"]["etag"]:
        message = "The request failed because it didn't meet the preconditions in one or more fields."
        raise AwsError("PreconditionFailed", message)


def _put(record: dict[str, Any], parameters: Parameters) -> None:
    record["stages"]["DEVELOPMENT"] = {
        "configuration": parameters["FunctionConfig"],
        "code": parameters["FunctionCode"],
        "etag": "E" + secrets.token_hex(7).upper(),
        "modified": datetime.now(UTC),
    }


def _summary(name: str, record: Mapping[str, Any], stage: str) -> dict[str, Any]:
    put = _stage(name, record, stage)
    is_live = "LIVE" in record["stages"]
    is_same = is_live and record["stages"]["LIVE"]["etag"] == record["stages"]["DEVELOPMENT"]["etag"]
    summary = {
        "Name": name,
        "Status": "DEPLOYED" if is_same else "UNPUBLISHED" if not is_live else "UNASSOCIATED",
        "FunctionConfig": put["configuration"],
        "FunctionMetadata": {
            "FunctionARN": arn_of(name),
            "Stage": stage,
            "CreatedTime": record["created"],
            "LastModifiedTime": put["modified"],
        },
    }
    return {"FunctionSummary": summary, "ETag": put["etag"]}


OPERATIONS: dict[str, Operation] = {
    "CreateFunction": _create,
    "UpdateFunction": _update,
    "PublishFunction": _publish,
    "DescribeFunction": _describe,
    "GetFunction": _get,
    "DeleteFunction": _delete,
}
