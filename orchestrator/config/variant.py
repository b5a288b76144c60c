# SPDX-License-Identifier: Apache-2.0
"""A copy of what a project's images are made of, in which one class is made of one role more."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from orchestrator.config.images import LOCK_PATH, load_graph
from orchestrator.errors import ConfigError

COPIED = ("ansible.cfg", "packer", "playbooks", "roles")
# Each image ends with these two; what comes later would be in an image that says it is sealed.
_SEALING = "image_facts"


def make_variant(project: Path, target: Path, *, server_class: str, role: Path) -> None:
    """Make the copy; what the folder `target` held is gone.

    Args:
        role: The folder of the role, whose name becomes `variant_<name>`.

    Raises:
        ConfigError: The class, or a place for the role in its playbook, is not there.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True, mode=0o700)
    for name in COPIED:
        source = project / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("molecule", "__pycache__"))
        else:
            shutil.copy2(source, target / name)
    shutil.copy2(project / LOCK_PATH, target / LOCK_PATH)
    name = f"variant_{role.name}"
    shutil.copytree(role, target / "roles" / name)
    playbook = target / load_graph(project).classes[server_class].playbook
    plays = yaml.safe_load(playbook.read_text("utf-8"))
    _add_role(plays, name, path=str(playbook))
    playbook.write_text(yaml.safe_dump(plays, sort_keys=False), "utf-8")


def _add_role(plays: list[Mapping[str, Any]], name: str, *, path: str) -> None:
    for play in plays:
        roles = play.get("roles", [])
        for position, each in enumerate(roles):
            if (each if isinstance(each, str) else each.get("role")) == _SEALING:
                roles.insert(position, {"role": name})
                return
    raise ConfigError(path, (f"{path}: has no role {_SEALING} that another could come before",))
