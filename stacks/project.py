# SPDX-License-Identifier: Apache-2.0
"""Read what stacks are made of from the project's files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.config.loader import load_environment
from orchestrator.config.models import Environment
from orchestrator.config.scope import load_scope
from orchestrator.errors import ConfigError
from stacks.inputs import EnvironmentInputs, NetworkInputs

EXAMPLE = "example"


def environment_names(project: Path) -> tuple[str, ...]:
    """Return the names of all environments; the example only explains keys."""
    return _names(project / "environments")


def network_names(project: Path) -> tuple[str, ...]:
    """Return the names of all networks."""
    return _names(project / "networks")


def network_inputs(project: Path, name: str) -> NetworkInputs:
    """Return a network with its environments, or raise ConfigError."""
    scope = load_scope(project, name)
    place = scope.first
    return NetworkInputs(name, scope.network, place.region, place.account_id, scope.environments)


def environment_inputs(project: Path, name: str, function_keys: Mapping[str, str]) -> EnvironmentInputs:
    """Return an environment with its network and with the keys of its functions' code.

    Raises:
        ConfigError: A file is wrong, or is not there.
    """
    environment = load_environment(project, name)
    network = network_inputs(project, environment.network)
    return EnvironmentInputs(environment, network, function_keys, _user_data(project, environment))


def _user_data(project: Path, environment: Environment) -> dict[str, str]:
    texts = {}
    for name, fleet in environment.fleets.items():
        if fleet.user_data:
            path = f"environments/{environment.name}.yaml"
            try:
                texts[name] = (project / fleet.user_data).read_text("utf-8")
            except (OSError, UnicodeDecodeError) as exc:
                raise ConfigError(path, (f"{path}: fleets.{name}.user_data: {exc}",)) from exc
    return texts


def _names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in folder.glob("*.yaml") if path.stem != EXAMPLE))
