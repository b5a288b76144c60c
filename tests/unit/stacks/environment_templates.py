# SPDX-License-Identifier: Apache-2.0
"""The environments' stacks as the project's own files make them, and as CloudFormation would see them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.config.loader import load_environment
from orchestrator.config.scope import load_scope
from stacks import access, cdn, fleets, functions, operations, queues, state, storage
from stacks.inputs import EnvironmentInputs, NetworkInputs
from stacks.stack import Stack

PROJECT = Path(__file__).resolve().parents[3]
ENVIRONMENTS = tuple(
    sorted(path.stem for path in (PROJECT / "environments").glob("*.yaml") if path.stem != "example")
)
MODULES = {
    "state": state,
    "queues": queues,
    "functions": functions,
    "storage": storage,
    "cdn": cdn,
    "access": access,
    "fleets": fleets,
    "operations": operations,
}
FUNCTION_KEYS = {"image_variants": "functions/image_variants/0123.zip"}


@cache
def inputs(environment: str) -> EnvironmentInputs:
    """Return what an environment of the project is made of."""
    found = load_environment(PROJECT, environment)
    scope = load_scope(PROJECT, found.network)
    network = NetworkInputs(scope.name, scope.network, found.region, found.account_id, scope.environments)
    return EnvironmentInputs(found, network, FUNCTION_KEYS)


@cache
def stack(environment: str, kind: str) -> Stack:
    """Return a stack of an environment."""
    return MODULES[kind].synthesise(inputs(environment))


@cache
def template(environment: str, kind: str) -> dict[str, Any]:
    """Return a template as CloudFormation reads it."""
    parsed: dict[str, Any] = json.loads(stack(environment, kind).body())
    return parsed


def resources(environment: str, kind: str, type_name: str = "") -> dict[str, dict[str, Any]]:
    """Return the resources of a template by logical id, or those of one type."""
    found = template(environment, kind)["Resources"]
    return {title: each for title, each in found.items() if type_name in ("", each["Type"])}


def properties(environment: str, kind: str, title: str) -> dict[str, Any]:
    """Return the properties of one resource."""
    found: dict[str, Any] = resources(environment, kind)[title]["Properties"]
    return found


def every_resource(type_name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Give all resources of all environments, each with a name to show."""
    for environment in ENVIRONMENTS:
        for kind in MODULES:
            for title, resource in resources(environment, kind, type_name).items():
                yield f"{environment}/{kind}/{title}", resource


def references(value: Any) -> Iterator[tuple[str, str]]:
    """Give stack and output of all weak references in a value."""
    if isinstance(value, dict):
        if "Fn::GetStackOutput" in value:
            reference = value["Fn::GetStackOutput"]
            yield reference["StackName"], reference["OutputName"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def resolved(value: Any) -> Any:
    """Put texts that can be told apart in the place of what only CloudFormation knows."""
    if isinstance(value, list):
        return [resolved(each) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (name, argument), *_ = value.items()
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](argument)
    return {key: resolved(each) for key, each in value.items()}


def _substituted(argument: Any) -> str:
    text, values = argument if isinstance(argument, list) else (argument, {})
    known = {name: resolved(value) for name, value in values.items()}
    return re.sub(r"\$\{([^}]+)\}", lambda match: str(known.get(match[1], f"<{match[1]}>")), text)


_FUNCTIONS = {
    "Ref": lambda title: f"<{title}>",
    "Fn::GetAtt": lambda argument: f"<{'.'.join(argument)}>",
    "Fn::GetStackOutput": lambda argument: f"<{argument['StackName']}.{argument['OutputName']}>",
    "Fn::Sub": _substituted,
    "Fn::Join": lambda argument: argument[0].join(resolved(argument[1])),
}
