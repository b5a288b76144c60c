# SPDX-License-Identifier: Apache-2.0
"""The networks' stacks as the project's own files make them, and as changed ones would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from stacks.architecture import network_stacks
from stacks.inputs import NetworkInputs
from stacks.project import network_inputs, network_names
from stacks.stack import Stack

PROJECT = Path(__file__).resolve().parents[3]
NETWORKS = network_names(PROJECT)
Resources = dict[str, dict[str, Any]]


@cache
def inputs(network: str) -> NetworkInputs:
    """Return what a network of the project is made of."""
    return network_inputs(PROJECT, network)


@cache
def stacks(network: str) -> tuple[Stack, ...]:
    """Return the stacks of a network of the project."""
    return network_stacks(inputs(network))


def parsed(stack: Stack) -> dict[str, Any]:
    """Return a template as CloudFormation reads it."""
    document: dict[str, Any] = json.loads(stack.body())
    return document


@cache
def template(network: str, kind: str) -> dict[str, Any]:
    """Return one template of a network."""
    (found,) = [stack for stack in stacks(network) if stack.kind == kind]
    return parsed(found)


def resources(network: str, kind: str, type_name: str = "") -> Resources:
    """Return the resources of a template, or those of one type, by logical id."""
    return of_type(template(network, kind), type_name)


def of_type(document: dict[str, Any], type_name: str) -> Resources:
    """Return the resources of one type, or all for no type."""
    found = document["Resources"]
    return {title: each for title, each in found.items() if type_name in ("", each["Type"])}


def every_resource() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give all resources of all networks, each with a name to show."""
    for network in NETWORKS:
        for stack in stacks(network):
            for title, resource in parsed(stack)["Resources"].items():
                yield f"{stack.name}/{title}", resource


def changed(network: str, **changes: Any) -> NetworkInputs:
    """Return a network of the project with other values in its file."""
    whole = inputs(network)
    return replace(whole, network=whole.network.model_copy(update=changes))
