# SPDX-License-Identifier: Apache-2.0
"""Correct moto's Lambda where it drops what a function is configured with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.awslambda.models import LambdaBackend, LambdaFunction
from moto.awslambda.policy import Policy

from sandbox.api.errors import AwsError
from sandbox.api.patches import Patches

_LOGGING = "slipway_logging"


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(LambdaFunction, "__init__", _made(LambdaFunction.__init__))
    patches.replace(LambdaFunction, "update_configuration", _updated(LambdaFunction.update_configuration))
    patches.replace(LambdaFunction, "update_function_code", _recoded(LambdaFunction.update_function_code))
    patches.replace(LambdaFunction, "get_configuration", _shown(LambdaFunction.get_configuration))
    patches.replace(LambdaBackend, "create_function", _create(LambdaBackend.create_function))
    original = LambdaBackend.put_function_event_invoke_config
    patches.replace(LambdaBackend, "put_function_event_invoke_config", _put_invoke_config(original))
    patches.replace(Policy, "add_statement", _add_statement(Policy.add_statement))


def _made(original: Callable[..., None]) -> Callable[..., None]:
    def made(function: Any, account_id: str, spec: dict[str, Any], *rest: Any, **named: Any) -> None:
        """Keep how the function logs, which moto forgets."""
        original(function, account_id, spec, *rest, **named)
        setattr(function, _LOGGING, _logging(function, spec.get("LoggingConfig") or {}))

    return made


def _logging(function: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    return {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function.function_name}", **given}


def _updated(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def update_configuration(function: Any, updates: dict[str, Any]) -> dict[str, Any]:
        """Apply what moto passes over."""
        given = dict(updates)
        if "Environment" in given:
            given["Environment"] = {"Variables": (given["Environment"] or {}).get("Variables", {})}
        original(function, given)
        if "EphemeralStorage" in given:
            function.ephemeral_storage = given["EphemeralStorage"]["Size"]
        if "TracingConfig" in given:
            function.tracing_config = given["TracingConfig"]
        if "KMSKeyArn" in given:
            function.kms_key_arn = given["KMSKeyArn"] or None
        if "LoggingConfig" in given:
            setattr(function, _LOGGING, _logging(function, given["LoggingConfig"]))
        shown: dict[str, Any] = function.get_configuration()
        return shown

    return update_configuration


def _recoded(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def update_function_code(function: Any, spec: dict[str, Any]) -> dict[str, Any]:
        """Apply the architecture that comes with the code."""
        if spec.get("Architectures"):
            function.architectures = spec["Architectures"]
        return original(function, spec)

    return update_function_code


def _shown(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def get_configuration(function: Any, *arguments: Any, **named: Any) -> dict[str, Any]:
        """Show the dead-letter queue and how the function logs."""
        shown = original(function, *arguments, **named)
        if target := getattr(function, "dead_letter_arn", ""):
            shown["DeadLetterConfig"] = {"TargetArn": target}
        return shown | {"LoggingConfig": getattr(function, _LOGGING)}

    return get_configuration


def _create(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_function(backend: Any, spec: dict[str, Any]) -> Any:
        """Refuse a name that is taken; moto would put the new function in the old one's place."""
        name = spec.get("FunctionName")
        if any(function.function_name == name for function in backend.list_functions()):
            raise AwsError("ResourceConflictException", f"Function already exist: {name}")
        return original(backend, spec)

    return create_function


def _put_invoke_config(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def put_function_event_invoke_config(
        backend: Any, function_name: str, config: dict[str, Any]
    ) -> dict[str, Any]:
        """Put it in the place of the one before; moto would go on with the first."""
        answer = original(backend, function_name, config)
        function = backend.get_function(function_name)
        function.event_invoke_config = function.event_invoke_config[-1:]
        return answer

    return put_function_event_invoke_config


def _add_statement(original: Callable[..., Any]) -> Callable[..., Any]:
    def add_statement(policy: Any, raw: str, qualifier: str | None = None) -> Any:
        """Refuse a second statement of the same name."""
        statement, revision = original(policy, raw, qualifier)
        if sum(each["Sid"] == statement["Sid"] for each in policy.statements) > 1:
            policy.statements.pop()
            message = f"The statement id ({statement['Sid']}) provided already exists."
            raise AwsError("ResourceConflictException", message)
        return statement, revision

    return add_statement
