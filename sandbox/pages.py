# SPDX-License-Identifier: Apache-2.0
"""The region's own pages under /_slipway/, beside the AWS API: health, status, the operator's address."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sandbox.api.calls import Environ
from sandbox.api.errors import HttpAnswer
from sandbox.region import DEBIAN_OWNER, Region
from sandbox.state_dir import CHECKOUT

READY = "ready"


@dataclass(slots=True)
class Progress:
    """How far the region has come. `phase` is `ready` when it can be used, `problem` says why it can't be."""

    phase: str = "starting"
    problem: str = ""


class Pages:
    """Answers the region's own pages."""

    def __init__(self, *, mode: str, region_name: str, operator_address: str) -> None:
        self.progress = Progress()
        self._mode = mode
        self._region_name = region_name
        self._operator_address = operator_address
        self._region: Region | None = None
        self._began = time.monotonic()
        self._pages: Mapping[str, Callable[[], Any]] = {"health": self._health, "status": self._status}

    def describe(self, region: Region) -> None:
        """Say of which region the pages tell."""
        self._region = region

    def __call__(self, path: str, environ: Environ) -> HttpAnswer:
        """Answer a page."""
        del environ
        if path == "operator-address":
            return HttpAnswer(200, {"Content-Type": "text/plain"}, self._operator_address.encode())
        if self._region is not None and (page := self._region.service_pages.get(path)):
            return page()
        if path not in self._pages:
            return HttpAnswer(404, {"Content-Type": "text/plain"}, b"no such page\n")
        body = json.dumps(self._pages[path](), indent=2).encode()
        return HttpAnswer(200, {"Content-Type": "application/json"}, body)

    def _health(self) -> dict[str, Any]:
        return {
            "service": "slipway-sandbox",
            "version": _version(),
            "phase": self.progress.phase,
            "problem": self.progress.problem,
            "mode": self._mode,
            "region": self._region_name,
            "checkout": str(CHECKOUT),
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - self._began, 1),
            "machines": len(self._machines()),
            "images": len(self._images()),
        } | self._simulation()

    def _simulation(self) -> dict[str, Any]:
        simulation = self._region.options.simulation if self._region else None
        if simulation is None:
            return {}
        return {"seed": simulation.seed, "now": simulation.clock.now().isoformat()}

    def _status(self) -> dict[str, Any]:
        memory: Mapping[str, int] = {}
        if self._region is not None:
            memory = self._region.substrate.memory_bytes()
        machines = [row | {"memory_bytes": memory.get(row["instance_id"])} for row in self._machines()]
        return self._health() | {
            "machines": machines,
            "images": self._images(),
            "daemon_memory_bytes": _resident_bytes(),
            "machine_memory_bytes": sum(memory.values()),
            "threads": threading.active_count(),
        }

    def _machines(self) -> list[dict[str, Any]]:
        if self._region is None:
            return []
        return [
            {
                "instance_id": instance.id,
                "state": instance.state,
                "name": _name_of(instance),
                "ami_id": instance.image_id,
                "subnet_id": instance.nics[0].subnet.id,
                "zone": instance.nics[0].subnet.availability_zone,
                "private_address": instance.private_ip_address,
                "public_address": instance.public_ip_address,
            }
            for instance in self._region.ledger.with_machine()
        ]

    def _images(self) -> list[dict[str, Any]]:
        if self._region is None:
            return []
        with self._region.ledger.lock:
            return [
                {
                    "ami_id": image.id,
                    "name": image.name,
                    "state": image.state,
                    "public": image.owner_id == DEBIAN_OWNER,
                }
                for image in self._region.ledger.backend.amis.values()
            ]


def _name_of(resource: Any) -> str:
    return next((str(tag["value"]) for tag in resource.get_tags() if tag["key"] == "Name"), "")


def _version() -> str:
    return f"moto {version('moto')}"


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
