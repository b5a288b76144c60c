# SPDX-License-Identifier: Apache-2.0
"""The files of database servers: a plugin, data directories, and what a server reads while it runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from sandbox import process
from sandbox.databases import parameters

# Debian has this user everywhere, with a group of the same name, and nothing of Debian's own runs as it.
USER = "games"
PLUGIN = Path(__file__).with_name("aurora.c")
_TEMPLATE_TIMEOUT_S = 120


class Files:
    """Data is kept below `kept`; what can be made again is below `running`, which other users may enter."""

    def __init__(self, kept: Path, running: Path) -> None:
        self._kept = kept
        self._running = running

    def running(self, name: str) -> Path:
        """Return the directory of what is there while a server (or a cluster) runs."""
        made = self._running / name
        made.mkdir(parents=True, exist_ok=True)
        self._running.chmod(0o711)
        made.chmod(0o710)
        shutil.chown(made, group=USER)
        return made

    def end(self, name: str) -> None:
        """Remove that directory."""
        shutil.rmtree(self._running / name, ignore_errors=True)

    def plugin_dir(self) -> Path:
        """Return the directory of the plugin, compiled at first."""
        directory = self._running / "plugin"
        target = directory / "aurora.so"
        if not target.exists():
            directory.mkdir(parents=True, exist_ok=True)
            part = directory / "part.so"
            process.run(
                ["tcc", "-shared", "-o", str(part), str(PLUGIN)], action="compile the databases' plugin"
            )
            part.replace(target)
        for path, mode in ((self._running, 0o711), (directory, 0o755), (target, 0o644)):
            path.chmod(mode)
        return directory

    def data(self, cluster_id: str, member_id: str) -> Path:
        """Return a member's data directory, made at first."""
        target = self._kept / cluster_id / member_id
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            copy = ["cp", "--archive", "--sparse=always", str(self._template()), str(part)]
            process.run(copy, action="copy an empty database")
            part.replace(target)
        return target

    def forget(self, cluster_id: str, member_id: str) -> None:
        """Remove a member's data."""
        shutil.rmtree(self._kept / cluster_id / member_id, ignore_errors=True)

    def keep_only(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Remove the data of members and clusters that are gone."""
        kept = set(wanted)
        for cluster in self._directories(self._kept):
            for member in self._directories(cluster):
                if (cluster.name, member.name) not in kept:
                    shutil.rmtree(member, ignore_errors=True)
            if cluster.name not in {cluster_id for cluster_id, _ in kept}:
                shutil.rmtree(cluster, ignore_errors=True)

    def _template(self) -> Path:
        target = self._running / "empty"
        if not target.exists():
            part = self._running / "empty.part"
            shutil.rmtree(part, ignore_errors=True)
            self._running.mkdir(parents=True, exist_ok=True)
            part.mkdir(mode=0o700)
            shutil.chown(part, user=USER, group=USER)
            argv = [
                *("mariadb-install-db", "--no-defaults", f"--datadir={part}", f"--user={USER}"),
                *("--skip-test-db", "--skip-name-resolve", "--auth-root-authentication-method=socket"),
                *("--auth-root-socket-user=root", *parameters.file_options()),
            ]
            process.run(argv, action="make an empty database", timeout_s=_TEMPLATE_TIMEOUT_S)
            part.replace(target)
        return target

    @staticmethod
    def _directories(path: Path) -> list[Path]:
        return [each for each in path.iterdir() if each.is_dir()] if path.is_dir() else []


def write(path: Path, content: str, *, group: str = USER) -> None:
    """Write a file that its group may read, and nobody else."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(content)
    shutil.chown(part, group=group)
    part.replace(path)
