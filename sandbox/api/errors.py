# SPDX-License-Identifier: Apache-2.0
"""Errors in the words and the wire format of the service that is called."""

from __future__ import annotations

import json
from dataclasses import dataclass

from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel
from moto.core.serialize import get_serializer_class

from sandbox.api.calls import ApiCall


class AwsError(ServiceException):
    """An error of the AWS API, raised by code of ours that moto calls: `AwsError(code, message)`."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


# Services' models do not give the status of errors that every service may answer.
_STATUS = {
    "AccessDenied": 403,
    "InternalError": 500,
    "InternalFailure": 500,
    "InsufficientInstanceCapacity": 500,
    "RequestLimitExceeded": 503,
    "ServiceUnavailable": 503,
    "SlowDown": 503,
    "Unavailable": 503,
}


def unsupported(what: str) -> AwsError:
    """Return the error for something the region refuses; `what` names it as service.operation."""
    return AwsError("UnsupportedOperation", f"{what} is not supported by the local AWS region.")


def render(call: ApiCall, error: ServiceException) -> HttpAnswer:
    """Render `error` in the protocol of the call."""
    status = _STATUS.get(error.code)
    if call.model is None:
        body = json.dumps({"__type": error.code, "message": error.message}).encode()
        return HttpAnswer(status or 400, {"Content-Type": "application/x-amz-json-1.1"}, body)
    serializer = get_serializer_class(call.model.service_name, call.protocol)
    operation = OperationModel({}, call.model)
    answer = serializer(operation_model=operation).serialize(error)
    rendered: str | bytes = answer["body"]
    return HttpAnswer(
        status or answer["status_code"],
        {name: str(value) for name, value in answer["headers"].items()},
        rendered.encode() if isinstance(rendered, str) else rendered,
    )
