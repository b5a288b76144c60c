# SPDX-License-Identifier: Apache-2.0
"""A copy of this checkout with images that take seconds to bake, used only through its command line."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[3]
COPIED = (
    "ansible.cfg",
    "environments",
    "networks",
    "orchestrator",
    "packer",
    "requirements.lock",
    "roles/image_facts",
    "roles/image_seal",
    "sandbox",
    "tasks.py",
)
DEBIAN = {"owner": "136693071363", "name": "debian-12-amd64-*"}
PATIENCE_S = 240.0


@dataclass
class Project:
    """A checkout of its own, and the region it talks to."""

    path: Path
    port: int
    classes: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def make(cls, path: Path, *, port: int) -> Project:
        """Copy what bakes images, and nothing that a checkout has besides."""
        for name in COPIED:
            source, target = CHECKOUT / name, path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "molecule"))
            else:
                shutil.copy2(source, target)
        return cls(path, port)

    def add_class(
        self, name: str, tasks: str, *, parent: str | None = None, files: Mapping[str, str] | None = None
    ) -> None:
        """Have a class whose one role does these tasks; without a parent it stands on Debian."""
        role = f"do_{name}"
        self.write(f"roles/{role}/tasks/main.yml", f"---\n{tasks}")
        for path, text in (files or {}).items():
            self.write(f"roles/{role}/{path}", text)
        play = {"name": f"Bake {name}", "hosts": "all", "become": True, "gather_facts": False}
        roles = [{"role": role}, {"role": "image_facts"}, {"role": "image_seal"}]
        self.write(f"playbooks/images/{name}.yml", yaml.safe_dump([play | {"roles": roles}]))
        base = {"parent": parent} if parent else {"source": DEBIAN}
        self.classes[name] = base | {"playbook": f"playbooks/images/{name}.yml"}
        self.write("packer/images.yaml", yaml.safe_dump({"classes": self.classes}))

    def write(self, path: str, text: str) -> None:
        """Write a file of the project."""
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def read(self, path: str) -> str:
        """Return what a file of the project holds."""
        return (self.path / path).read_text()

    def start(self, *arguments: str, port: int | None = None) -> subprocess.Popen[str]:
        """Start a command of the project."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environ |= {"SLIPWAY_SANDBOX_PORT": str(port or self.port), "NO_COLOR": "1"}
        # The code under test is the copy's, whatever the tests themselves were given to import.
        environ.pop("PYTHONPATH", None)
        return subprocess.Popen(
            [sys.executable, "-m", "invoke", *arguments],
            cwd=self.path,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, port: int | None = None) -> Ended:
        """Run a command of the project to its end."""
        return ended(self.start(*arguments, port=port))

    def bake(self, *names: str, port: int | None = None, options: Sequence[str] = ()) -> Ended:
        """Bake classes; all of them if none is named."""
        chosen = [word for name in names for word in ("--server-class", name)]
        return self.run("bake-ami", *chosen, *options, "--json", port=port)

    @property
    def run_folders(self) -> list[str]:
        """The folders that runs have left in this checkout."""
        runs = self.path / "build" / "runs"
        return sorted(each.name for each in runs.iterdir()) if runs.is_dir() else []


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """What it printed for programs."""
        assert self.stdout, self
        return json.loads(self.stdout)

    def done(self) -> Any:
        """Return what it printed; it has to have ended well."""
        assert self.status == 0, f"{self.status}\n{self.stderr}\n{self.stdout}"
        return self.document


def ended(process: subprocess.Popen[str], patience_s: float = PATIENCE_S) -> Ended:
    """Wait for a command to end."""
    try:
        stdout, stderr = process.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        raise AssertionError(f"not done after {patience_s} s\n{stderr}\n{stdout}") from None
    return Ended(process.returncode, stdout, stderr)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
