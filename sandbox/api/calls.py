# SPDX-License-Identifier: Apache-2.0
"""Read from an HTTP request which operation of which service it calls."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from moto.core.model import ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

Environ = dict[str, Any]

# Where the name a request is signed with differs from botocore's name of the service.
SERVICE_BY_SIGNING_NAME = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "email": "ses",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
    "execute-api": "apigatewaymanagementapi",
}
_CREDENTIAL = re.compile(r"Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")


@dataclass(frozen=True, slots=True)
class Target:
    """The service a request is meant for. `signing_name` is what moto routes by."""

    signing_name: str
    service: str
    region: str


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call of the AWS API, recognised as far as it can be."""

    target: Target
    operation: str | None
    protocol: str
    model: ServiceModel | None
    environ: Environ
    uri_parameters: dict[str, Any]

    @property
    def method(self) -> str:
        """The HTTP method."""
        return str(self.environ["REQUEST_METHOD"])

    @property
    def is_mutating(self) -> bool:
        """Whether the call may change state; a wrong yes costs a comparison, a wrong no loses a change."""
        name = self.operation or ""
        return not name.startswith(("Describe", "List", "Get", "Head", "Search", "Lookup", "BatchGet"))

    def parameters(self) -> dict[str, Any]:
        """Parse the request's parameters by the operation's model."""
        if self.model is None or self.operation is None:
            return {}
        request = Request(self.environ.copy())
        parser = PROTOCOL_PARSERS[self.protocol](self.model.operation_model(self.operation))
        parsed = parser.parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.get_data(),
                "url_path": request.path,
                "url_params": self.uri_parameters,
            }
        )
        self.environ["wsgi.input"].seek(0)
        return dict(parsed)


def buffer_body(environ: Environ) -> None:
    """Read the body into memory, so that it can be looked at before moto reads it again."""
    length = environ.get("CONTENT_LENGTH")
    if length:
        body = environ["wsgi.input"].read(int(length))
    elif environ.get("wsgi.input_terminated"):
        body = environ["wsgi.input"].read()
        environ.pop("HTTP_TRANSFER_ENCODING", None)
    else:
        body = b""
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = io.BytesIO(body)


def find_target(environ: Environ, *, default_region: str) -> Target:
    """Return the service and region a request was signed for; unsigned ones go to S3, as on AWS."""
    scope = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    if scope is None:
        presigned = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential", [""])[0]
        scope = _CREDENTIAL.search(f"Credential={presigned}")
    if scope is None:
        return Target("s3", "s3", default_region)
    name = scope["service"].lower()
    return Target(name, SERVICE_BY_SIGNING_NAME.get(name, name), scope["region"])


def recognise(environ: Environ, *, default_region: str) -> ApiCall:
    """Recognise the call in a request whose body is buffered."""
    target = find_target(environ, default_region=default_region)
    try:
        model = get_service_model(target.service)
    except Exception:  # noqa: BLE001 - botocore raises one of several for a service it does not know
        return ApiCall(target, None, "query", None, environ, {})
    request = Request(environ.copy())
    try:
        protocol = determine_request_protocol(model, request.content_type)
        operation, uri_parameters = get_service_router(target.service).match(request)
    except (HTTPException, NotImplementedError):
        environ["wsgi.input"].seek(0)
        return ApiCall(target, _stated_operation(environ), str(model.protocol), model, environ, {})
    environ["wsgi.input"].seek(0)
    return ApiCall(target, operation.name, protocol, model, environ, uri_parameters)


def _stated_operation(environ: Environ) -> str | None:
    """Return the operation the caller names, when the model does not know it."""
    if stated := environ.get("HTTP_X_AMZ_TARGET"):
        return str(stated).rpartition(".")[2]
    body = environ["wsgi.input"].getvalue().decode("utf-8", "replace")
    actions = parse_qs(body).get("Action")
    return actions[0] if actions else None
