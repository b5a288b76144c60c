# SPDX-License-Identifier: Apache-2.0
"""The databases of a region: what RDS's state says is made so, and what is so is said."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moto.rds.models import DBInstanceClustered, RDSBackend

from sandbox.api.errors import HttpAnswer
from sandbox.api.patches import Patches
from sandbox.balancing.authority import Authority
from sandbox.databases.files import Files
from sandbox.databases.following import Follower
from sandbox.databases.servers import Servers
from sandbox.databases.tokens import Counters, Judge
from sandbox.databases.wanted import is_run
from sandbox.services import Surroundings
from sandbox.simulated import SimulatedSubstrate

# How soon a server that was killed is started again.
TICK_S = 1.0
# How soon one that starts is asked whether it is there.
_STARTING_TICK_S = 0.2
_CHANGING = (
    "create_db_instance",
    "modify_db_instance",
    "delete_db_instance",
    "create_db_cluster",
    "modify_db_cluster",
    "delete_db_cluster",
    "failover_db_cluster",
)


class DatabaseService:
    """Follows RDS's state with servers (see `sandbox.services.Service`); a simulated region has none."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._is_real = not isinstance(surroundings.substrate, SimulatedSubstrate)
        self._authority = Authority.of_folder(surroundings.folder)
        self._own_folder: tempfile.TemporaryDirectory[str] | None = None
        self._servers: Servers | None = None
        self._counters: Counters | None = None
        self._follower: Follower | None = None
        self._turn = threading.Lock()
        self._waking = threading.Event()
        self._is_closed = False
        self._is_all = True

    def install(self, patches: Patches) -> None:
        """Put corrections into moto."""
        page = HttpAnswer(200, {"Content-Type": "application/x-pem-file"}, self._authority.pem.encode())
        self._around.pages["database-ca.pem"] = lambda: page
        if not self._is_real:
            return
        patches.replace(DBInstanceClustered, "__init__", _starting(DBInstanceClustered.__init__))
        for name in _CHANGING:
            patches.replace(RDSBackend, name, self._then_wake(getattr(RDSBackend, name)))

    def start(self) -> None:
        """Run the servers of what was restored, and follow from now on."""
        if not self._is_real:
            return
        files = Files(self._kept(), self._around.substrate.runtime_dir() / "databases")
        self._servers = Servers(self._around.substrate, files, self._authority)
        judge = Judge(self._around.account_id, self._around.region, now=self._around.clock.now)
        self._counters = Counters(judge, files)
        self._follower = Follower(self._around, servers=self._servers, counters=self._counters, files=files)
        self._around.clock.after(0.0, self._tick)

    def close(self) -> None:
        """End the servers; their data stays."""
        self._is_closed = True
        with self._turn:
            if self._servers is not None and self._counters is not None:
                self._servers.close()
                self._counters.close()
        if self._own_folder is not None:
            self._own_folder.cleanup()

    def _kept(self) -> Path:
        if self._around.folder is not None:
            return self._around.folder / "databases"
        self._own_folder = tempfile.TemporaryDirectory(prefix="slipway-databases-")
        return Path(self._own_folder.name)

    def _then_wake(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def change(backend: Any, *arguments: Any, **options: Any) -> Any:
            done = original(backend, *arguments, **options)
            if not self._waking.is_set():
                self._waking.set()
                self._around.clock.after(0.0, self._follow)
            return done

        return change

    def _follow(self) -> None:
        with self._turn:
            self._waking.clear()
            if self._follower is not None and not self._is_closed:
                self._is_all = self._follower.follow()

    def _tick(self) -> None:
        try:
            self._follow()
        finally:
            if not self._is_closed:
                self._around.clock.after(TICK_S if self._is_all else _STARTING_TICK_S, self._tick)


def _starting(original: Callable[..., None]) -> Callable[..., None]:
    def made(instance: Any, *arguments: Any, **named: Any) -> None:
        """Let a member be available when its server is."""
        original(instance, *arguments, **named)
        if is_run(instance.backend, instance):
            instance.status = "creating"

    return made
