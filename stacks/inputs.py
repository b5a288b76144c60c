# SPDX-License-Identifier: Apache-2.0
"""What stacks are made of: the files of a network and of its environments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.config.fleets import Fleet
from orchestrator.config.models import Environment
from orchestrator.config.network import Network


@dataclass(frozen=True, slots=True)
class NetworkInputs:
    """A network with all environments in it, by name."""

    name: str
    network: Network
    region: str
    account_id: str
    environments: Mapping[str, Environment]

    def fleets(self) -> dict[str, Fleet]:
        """Return one fleet of each name; environments of a network share security groups by fleet name.

        What any of the environments lets a fleet do, the merged one may do.
        """
        merged: dict[str, Fleet] = {}
        for environment in self.environments.values():
            for name, fleet in environment.fleets.items():
                merged[name] = _merge(merged.get(name, fleet), fleet)
        return dict(sorted(merged.items()))


@dataclass(frozen=True, slots=True)
class EnvironmentInputs:
    """An environment, its network, and what only the project's files know.

    Attributes:
        function_keys: The key in the bundles bucket of each function's code, by the function's name.
        user_data: The text of each fleet's user data file, by the fleet's name.
    """

    environment: Environment
    network: NetworkInputs
    function_keys: Mapping[str, str] = field(default_factory=dict)
    user_data: Mapping[str, str] = field(default_factory=dict)


def _merge(one: Fleet, other: Fleet) -> Fleet:
    names = ("is_public", "is_balanced", "uses_database", "uses_queue")
    return one.model_copy(update={name: getattr(one, name) or getattr(other, name) for name in names})
