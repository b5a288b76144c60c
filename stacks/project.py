# SPDX-License-Identifier: Apache-2.0
"""Read what stacks are made of from the project's files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.config.loader import load_environment, load_network
from orchestrator.config.models import Environment
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
    """Return a network with its environments.

    Raises:
        ConfigError: A file is wrong, or the network's environments are none or differ in account or region.
    """
    network = load_network(project, name)
    everything = (load_environment(project, each) for each in environment_names(project))
    environments = {each.name: each for each in everything if each.network == name}
    path = f"networks/{name}.yaml"
    if not environments:
        raise ConfigError(path, (f"{path}: no environment is in this network",))
    places = {(each.region, each.account_id) for each in environments.values()}
    if len(places) > 1:
        names = ", ".join(sorted(environments))
        raise ConfigError(path, (f"{path}: {names} must have one region and one account_id",))
    region, account_id = places.pop()
    return NetworkInputs(name, network, region, account_id, environments)


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
