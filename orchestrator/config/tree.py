# SPDX-License-Identifier: Apache-2.0
"""The project's files as a closure is derived from, and a folder that holds a closure and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from orchestrator.domain.bake_key import fingerprint
from orchestrator.domain.closure import BadDocument
from orchestrator.errors import Refused

# Names of a closure that stand for a part of a file hold this; a part is not staged.
PART = "#"


class _AnsibleLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads Ansible's YAML; the values of its tags (!vault, !unsafe) don't matter to a closure."""


def _untagged(loader: Any, _suffix: str, node: yaml.Node) -> object:
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_AnsibleLoader.add_multi_constructor("!", _untagged)


class ProjectTree:
    """The files of a checkout. What was read once is not read again."""

    def __init__(self, project: Path) -> None:
        self.root = str(project)
        self._project = project
        self.read = cache(self._read)
        self.document = cache(self._document)
        self.files = cache(self._files)
        self.has_link = cache(self._has_link)

    def is_file(self, path: str) -> bool:
        """Tell whether there is such a file."""
        return (self._project / path).is_file()

    def is_executable(self, path: str) -> bool:
        """Tell whether its owner can execute a file."""
        return bool((self._project / path).stat().st_mode & 0o100)

    def _read(self, path: str) -> bytes:
        return (self._project / path).read_bytes()

    def _document(self, path: str) -> object:
        try:
            return yaml.load(self.read(path), Loader=_AnsibleLoader)  # noqa: S506 - a safe loader
        except (yaml.YAMLError, UnicodeDecodeError) as exc:
            raise BadDocument(" ".join(str(exc).split())) from exc

    def _files(self, folder: str) -> tuple[str, ...]:
        found = []
        for where, folders, names in os.walk(self._project / folder):
            links = [name for name in folders if Path(where, name).is_symlink()]
            found += [Path(where, name).relative_to(self._project).as_posix() for name in (*names, *links)]
        return tuple(sorted(found))

    def _has_link(self, path: str) -> bool:
        parent = path.rpartition("/")[0]
        return (self._project / path).is_symlink() or (bool(parent) and self.has_link(parent))


def stage(project: Path, files: Mapping[str, str], target: Path) -> None:
    """Copy the files of a closure into a new folder, which is then all that a bake can read.

    Raises:
        Refused: A file is no longer what the closure says.
    """
    target.mkdir(parents=True, mode=0o700)
    for path in sorted(path for path in files if PART not in path):
        content = (project / path).read_bytes()
        is_executable = bool((project / path).stat().st_mode & 0o100)
        if fingerprint(content, is_executable=is_executable) != files[path]:
            raise Refused(
                f"stage {path}", "it was changed while the bake began", next_command="run the bake again"
            )
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
        copy.chmod(0o755 if is_executable else 0o644)
