# SPDX-License-Identifier: Apache-2.0
"""Botocore's errors in Slipway's words, told apart by code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.errors import AwsError, CredentialsExpired, NotFound

UNREACHABLE = "Unreachable"
NO_CREDENTIALS = "NoCredentials"

_NOT_FOUND_ENDINGS = (".NotFound", "NotFoundException", "NotFoundFault", "ParameterNotFound")
_NOT_FOUND = frozenset(
    {
        "InvalidLaunchTemplateId.VersionNotFound",
        "NotFound",  # what SNS says of a topic
        "TargetGroupNotFound",
        "InvalidAMIID.Unavailable",  # what EC2 calls an image that was deregistered
        "ChangeSetNotFound",
        "NoSuchKey",
        "NoSuchBucket",
        "NoSuchEntity",
        "DBInstanceNotFound",
        "404",  # S3 answers HEAD without a body, so without a code
    }
)
# What services call it when credentials that were valid for a while no longer are: STS and most, S3, EC2.
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"})
_LOG_IN = "log in to AWS again (`aws sso login`), or name a profile in AWS_PROFILE; then repeat the command"
_START_REGION = "./inv sandbox.up"
_CHECK_NETWORK = "check the network and the proxy, then repeat the command"
# Names of botocore's classes, looked for among an error's bases: their classes would have to be imported.
_NO_CONNECTION = frozenset({"HTTPClientError", "ConnectionError"})
_EXPIRED_LOGIN = frozenset({"LoginRefreshRequired", "TokenRetrievalError", "UnauthorizedSSOTokenError"})
_NO_LOGIN = frozenset(
    {
        "CredentialRetrievalError",
        "LoginError",
        "NoAuthTokenError",
        "NoCredentialsError",
        "PartialCredentialsError",
        "ProfileNotFound",
        "SSOError",
        "TokenRetrievalError",
    }
)


@dataclass(frozen=True, slots=True)
class Call:
    """The call that was under way."""

    service: str
    operation: str
    is_loopback: bool


def is_not_found(code: str) -> bool:
    """Tell whether a code means that the object asked for does not exist."""
    return code in _NOT_FOUND or code.endswith(_NOT_FOUND_ENDINGS)


def translate(exc: Exception, call: Call | None) -> AwsError:
    """Return the AwsError that says what botocore's error says."""
    call = call or Call("aws", "unknown", is_loopback=False)
    response = getattr(exc, "response", None)
    if isinstance(response, dict):
        return _refusal(response, call, getattr(exc, "operation_name", call.operation))
    names = {base.__name__ for base in type(exc).__mro__}
    if names & _NO_CONNECTION:
        hint = _START_REGION if call.is_loopback else _CHECK_NETWORK
        return AwsError(call.service, call.operation, UNREACHABLE, str(exc), next_command=hint)
    if names & _NO_LOGIN:
        kind = CredentialsExpired if names & _EXPIRED_LOGIN else AwsError
        return kind(call.service, call.operation, NO_CREDENTIALS, str(exc), next_command=_LOG_IN)
    return AwsError(call.service, call.operation, type(exc).__name__, str(exc))


def _refusal(response: dict[str, Any], call: Call, operation: str) -> AwsError:
    error, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
    code = str(error.get("Code", "Unknown"))
    kind = NotFound if is_not_found(code) else CredentialsExpired if code in _EXPIRED else AwsError
    return kind(
        call.service,
        operation,
        code,
        str(error.get("Message") or "no message"),
        request_id=str(metadata.get("RequestId", "")),
        next_command=_LOG_IN if code in _EXPIRED else "",
    )
