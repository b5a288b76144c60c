# SPDX-License-Identifier: Apache-2.0
"""A network with all environments in it: what provision, drift and destroy work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config.loader import load_environment, load_network, read_document
from orchestrator.config.models import Environment
from orchestrator.config.network import Network
from orchestrator.errors import ConfigError

_EXAMPLE = "example"
_PLACE = ("region", "account_id", "endpoint_url", "credentials")


@dataclass(frozen=True, slots=True)
class NetworkScope:
    """A network and its environments, sorted by name. They are in one account and region."""

    name: str
    network: Network
    environments: Mapping[str, Environment]

    @property
    def first(self) -> Environment:
        """Return the environment whose config bucket keeps the network's locks and records."""
        return next(iter(self.environments.values()))

    @property
    def is_protected(self) -> bool:
        """Tell whether a protected environment is in the network."""
        return any(each.protected for each in self.environments.values())


def load_scope(project: Path, network: str, *, endpoint_port: int | None = None) -> NetworkScope:
    """Return the network with its environments.

    Raises:
        ConfigError: A file is wrong, no environment is in the network, or its environments disagree on
            region, account or endpoint: there is one VPC, and it can only be in one place.
    """
    loaded = load_network(project, network)
    names = [path.stem for path in sorted((project / "environments").glob("*.yaml"))]
    environments = {
        name: load_environment(project, name, endpoint_port=endpoint_port)
        for name in names
        if name != _EXAMPLE and _network_of(project, name) == network
    }
    path = f"networks/{network}.yaml"
    if not environments:
        raise ConfigError(path, (f"{path}: no environment is in this network",))
    problems = tuple(_disagreements(environments))
    if problems:
        raise ConfigError(path, problems)
    return NetworkScope(network, loaded, environments)


def _network_of(project: Path, name: str) -> object:
    """Return the network an environment is in; what is wrong with its file is told when it is loaded."""
    document, _ = read_document(project, f"environments/{name}.yaml")
    return document.get("network") if isinstance(document, dict) else None


def _disagreements(environments: Mapping[str, Environment]) -> list[str]:
    first, *others = environments.values()
    return [
        f"environments/{other.name}.yaml: {key}: {getattr(other, key)} differs from {getattr(first, key)} "
        f"of environments/{first.name}.yaml, in the same network {first.network}"
        for other in others
        for key in _PLACE
        if getattr(other, key) != getattr(first, key)
    ]
