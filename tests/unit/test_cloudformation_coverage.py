# SPDX-License-Identifier: Apache-2.0
"""The local region can make every type, and applies every property, that the project's stacks have."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from sandbox.cloudformation.conditions import check_functions
from sandbox.cloudformation.graph import check_references, dependencies
from sandbox.cloudformation.registry import handlers
from sandbox.cloudformation.template import check_size, parse
from sandbox.cloudformation.validation import check_types, problems
from stacks.architecture import environment_stacks, network_stacks
from stacks.project import environment_inputs, environment_names, network_inputs, network_names

PROJECT = Path(__file__).resolve().parents[2]
FUNCTION_KEYS = {"image_variants": "functions/image_variants.zip"}


@cache
def bodies() -> dict[str, str]:
    """Return the text of every stack by name."""
    networks = (network_stacks(network_inputs(PROJECT, name)) for name in network_names(PROJECT))
    environments = (
        environment_stacks(environment_inputs(PROJECT, name, FUNCTION_KEYS))
        for name in environment_names(PROJECT)
    )
    return {stack.name: stack.body() for stacks in (*networks, *environments) for stack in stacks}


@pytest.mark.parametrize("name", sorted(bodies()))
def test_a_stack_can_be_made_as_it_is_in_the_local_region(name: str) -> None:
    body = bodies()[name]
    check_size(body)
    template = parse(body)
    check_functions(template)
    check_references(template)
    check_types(template, handlers())
    dependencies(template, {})
    assert problems(template, handlers()) == []
