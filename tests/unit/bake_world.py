# SPDX-License-Identifier: Apache-2.0
"""A project on disk and a world of fakes around it, in which images are baked at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.config.models import Environment
from orchestrator.errors import RemoteError
from orchestrator.ports import BuildRequest, CommandResult, StepSink
from orchestrator.workflows.world import StoppableClock, World
from tests.fakes import (
    ACCOUNT,
    START,
    FakeBuilder,
    FakeClock,
    FakeIdentity,
    FakeImages,
    FakeKeyMaker,
    FakeLocks,
    FakeMachines,
    FakeObjects,
    FakePrograms,
    FakeReporter,
    FakeShells,
)

DEBIAN = "debian-12-amd64-20260101-1"
OWNER = "136693071363"
RUN_ID = "bake-20260101T120000-abcdef"
GOOD_REPORT: Mapping[str, Any] = {
    "system_state": "running",
    "failed_units": [],
    "leftovers": [],
    "checks": [],
    "broken_packages": [],
    "contents": {"packages": {}, "files": {}, "units": {}, "ports": [], "users": {}, "kernel": "6.1"},
    "seconds": 1.0,
}
FILES = {
    "ansible.cfg": "[defaults]\n",
    "packer/image.pkr.hcl": "# template\n",
    "packer/plugins.pkr.hcl": "# plugins\n",
    "requirements.lock": "ansible==12.3.0\n",
    "roles/image_seal/vars/main.yml": "image_seal_paths: [{path: /x, sealed: absent, why: y}]\n",
}


def write_project(folder: Path, parents: Mapping[str, str | None]) -> None:
    """Write a project of these classes, each with a role of its own; without a parent it is on Debian."""
    files = dict(FILES)
    classes = {}
    for name, parent in parents.items():
        files[f"playbooks/images/{name}.yml"] = f"- hosts: all\n  roles: [do_{name}]\n"
        files[f"roles/do_{name}/tasks/main.yml"] = f"- ansible.builtin.debug: {{msg: {name}}}\n"
        base = {"parent": parent} if parent else {"source": {"owner": OWNER, "name": "debian-12-amd64-*"}}
        classes[name] = {**base, "playbook": f"playbooks/images/{name}.yml"}
    files["packer/images.yaml"] = yaml.safe_dump({"classes": classes})
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


@dataclass
class Builder(FakeBuilder):
    """A builder that can't build some classes."""

    refuses: frozenset[str] = frozenset()

    def build(self, request: BuildRequest, *, on_step: StepSink) -> str:
        if request.class_name in self.refuses:
            raise RemoteError(f"bake {request.class_name}", status=1)
        return super().build(request, on_step=on_step)


@dataclass
class FakeWorld:
    """The fakes, and the world that is made of them."""

    project: Path
    clock: FakeClock = field(default_factory=FakeClock)
    report: dict[str, Any] = field(default_factory=lambda: dict(GOOD_REPORT))

    def __post_init__(self) -> None:
        self.images = FakeImages(self.clock)
        self.images.add_source(OWNER, DEBIAN, START)
        self.machines = FakeMachines(self.clock)
        self.objects = FakeObjects()
        self.identity = FakeIdentity()
        self.locks = FakeLocks(self.clock)
        self.shells = FakeShells(self._probe)
        self.builder = Builder(self.images)
        self.programs = FakePrograms()
        self.reporter = FakeReporter()

    def _probe(self, command: str, stdin: bytes) -> CommandResult:
        return CommandResult(0, json.dumps(self.report), "")

    def world(self, run_id: str = RUN_ID) -> World:
        """Return the world as a workflow sees it."""
        return World(
            project=self.project,
            environment=Environment(
                name="sandbox",
                network="sandbox",
                region="us-east-1",
                account_id=ACCOUNT,
                config_bucket="slipway-config",
            ),
            images=self.images,
            machines=self.machines,
            objects=self.objects,
            identity=self.identity,
            locks=self.locks,
            shells=self.shells,
            keys=FakeKeyMaker(),
            builder=self.builder,
            programs=self.programs,
            clock=StoppableClock(self.clock),
            operator_cidr=lambda: "192.0.2.1/32",
            run_id=run_id,
        )

    @property
    def temporary(self) -> dict[str, list[str]]:
        """What a bake makes and has to remove, by kind."""
        living = [key for key, each in self.machines.machines.items() if each.state == "running"]
        runs = self.project / "build" / "runs"
        return {
            "machines": living,
            "groups": sorted(self.machines.groups),
            "keys": sorted(self.machines.keys),
            "locks": sorted(self.locks.held),
            "folders": sorted(each.name for each in runs.iterdir()) if runs.is_dir() else [],
        }

    @property
    def states(self) -> dict[str, str]:
        """The class of every image, with its state."""
        return {
            each.name.rpartition("-")[0]: (each.tags or {}).get("slipway:state", "")
            for each in self.images.images.values()
        }


NOTHING: dict[str, list[str]] = {"machines": [], "groups": [], "keys": [], "locks": [], "folders": []}
