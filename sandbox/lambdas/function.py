# SPDX-License-Identifier: Apache-2.0
"""A function as it is run, read from moto's state."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.api.errors import AwsError, unsupported

# The one runtime there is: this host's own Python.
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
MOST_ATTEMPTS = 3
LONGEST_AGE_S = 21600
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
RETRY_PAUSES_S = (60.0, 120.0)


@dataclass(frozen=True, slots=True)
class Function:
    """Everything a run needs, and what becomes of asynchronous events that can't be handled."""

    name: str
    arn: str
    version: str
    handler: str
    role: str
    timeout_s: int
    memory_mb: int
    environment: Mapping[str, str]
    code: bytes
    code_sha256: str
    dead_letter_arn: str
    on_failure_arn: str
    on_success_arn: str
    attempts: int
    longest_age_s: int


def read(function: Any) -> Function:
    """Return moto's function as a value; the caller holds Lambda's lock."""
    config = _invoke_config(function)
    destinations = config.get("DestinationConfig") or {}
    return Function(
        name=function.function_name,
        arn=function.function_arn,
        version=str(function.version),
        handler=function.handler,
        role=function.role,
        timeout_s=int(function.timeout),
        memory_mb=int(function.memory_size),
        environment=dict(function.environment_vars),
        code=function.code_bytes,
        code_sha256=function.code_sha_256,
        dead_letter_arn=getattr(function, "dead_letter_arn", ""),
        on_failure_arn=_destination(destinations, "OnFailure"),
        on_success_arn=_destination(destinations, "OnSuccess"),
        attempts=1 + int(config.get("MaximumRetryAttempts", MOST_ATTEMPTS - 1)),
        longest_age_s=int(config.get("MaximumEventAgeInSeconds", LONGEST_AGE_S)),
    )


def _destination(destinations: Mapping[str, Any], outcome: str) -> str:
    return str((destinations.get(outcome) or {}).get("Destination", ""))


def _invoke_config(function: Any) -> Mapping[str, Any]:
    found: Any = function.event_invoke_config
    if isinstance(found, list):
        found = found[0] if found else None
    return found.config if found else {}


def refuse_unknown_kinds(spec: Mapping[str, Any]) -> None:
    """Refuse a function that can't be run here.

    Raises:
        AwsError: UnsupportedOperation, naming what it is.
    """
    runtime = spec.get("Runtime")
    if spec.get("PackageType", "Zip") != "Zip":
        raise unsupported("lambda.CreateFunction with PackageType Image")
    if runtime != RUNTIME:
        raise unsupported(f"lambda.CreateFunction with Runtime {runtime}: this region runs {RUNTIME}; it")
    for name in ("Layers", "FileSystemConfigs"):
        if spec.get(name):
            raise unsupported(f"lambda.CreateFunction with {name}")
    if (spec.get("VpcConfig") or {}).get("SubnetIds"):
        raise unsupported("lambda.CreateFunction with VpcConfig")


def too_large(size: int) -> AwsError:
    """Return the error for an event of more bytes than Lambda takes."""
    message = f"{size} byte payload is too large for the invocation. Limit is 6291456 bytes"
    return AwsError("RequestTooLargeException", message)
