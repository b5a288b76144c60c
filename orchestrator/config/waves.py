# SPDX-License-Identifier: Apache-2.0
"""The environments that are rolled one after the other."""

from __future__ import annotations

from pathlib import Path

from orchestrator.config.loader import load_environment
from orchestrator.config.models import Environment
from orchestrator.errors import ConfigError

_EXAMPLE = "example"


def load_waves(project: Path, *, endpoint_port: int | None = None) -> tuple[Environment, ...]:
    """Return the environments that have a wave, by it and then by name.

    Raises:
        ConfigError: A file is wrong, or no environment has a wave.
    """
    names = sorted(path.stem for path in (project / "environments").glob("*.yaml"))
    loaded = [
        load_environment(project, name, endpoint_port=endpoint_port) for name in names if name != _EXAMPLE
    ]
    waved = [(each.waves.wave, each.name, each) for each in loaded if each.waves.wave is not None]
    if not waved:
        raise ConfigError("environments", ("environments: no file has waves.wave, so there are no waves",))
    return tuple(environment for _, _, environment in sorted(waved, key=lambda each: each[:2]))
