# SPDX-License-Identifier: Apache-2.0
"""The project's stacks as `invoke provision` takes them: text, with the tags that all their resources get."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.domain.stack import ENVIRONMENT_TAG, NETWORK_TAG, StackTemplate
from stacks.architecture import environment_stacks, network_stacks
from stacks.project import environment_inputs, network_inputs
from stacks.stack import Stack


class ProjectTemplates:
    """The templates of a network and of its environments."""

    def __init__(self, project: Path, network: str) -> None:
        self._project = project
        self._network = network

    def network(self) -> tuple[StackTemplate, ...]:
        """Return the stacks of the network."""
        stacks = network_stacks(network_inputs(self._project, self._network))
        return _templates(stacks, {NETWORK_TAG: self._network})

    def environment(self, name: str, function_keys: Mapping[str, str]) -> tuple[StackTemplate, ...]:
        """Return the stacks of an environment, with the keys of its functions' code."""
        stacks = environment_stacks(environment_inputs(self._project, name, function_keys))
        return _templates(stacks, {NETWORK_TAG: self._network, ENVIRONMENT_TAG: name})


def _templates(stacks: Iterable[Stack], tags: Mapping[str, str]) -> tuple[StackTemplate, ...]:
    return tuple(
        StackTemplate(each.kind, each.owner, each.body(), depends_on=each.depends_on, tags=tags)
        for each in stacks
    )
