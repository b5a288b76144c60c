# SPDX-License-Identifier: Apache-2.0
"""Run load balancers' nodes for real: one HAProxy each, in the network of its interface."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from sandbox import process
from sandbox.balancing import runtime
from sandbox.balancing.configuration import SERVERS, SOCKET, certificate_files, configuration
from sandbox.balancing.health import Check
from sandbox.balancing.nodes import NodePlan, Place, Traffic
from sandbox.substrate import Process, Substrate, SubstrateError

log = logging.getLogger(__name__)

USER = "haproxy"
_PROGRAM = "haproxy"
_CONFIGURATION = "haproxy.cfg"
_MASTER_SOCKET = "run/master.sock"
_LOG = "haproxy.log"
# A start or reload takes some tens of milliseconds on an idle host.
_READY_TIMEOUT_S = 15.0
_READY_POLL_S = 0.02


class HaproxyNodes:
    """The nodes of a region (see `sandbox.balancing.nodes.Nodes`)."""

    def __init__(self, substrate: Substrate) -> None:
        self._substrate = substrate
        self._nodes: dict[str, _Node] = {}
        self._lock = threading.Lock()
        # Replaced as a whole, so that it is read without waiting for a node that starts.
        self._seen: Mapping[str, Mapping[Place, Check]] = {}

    def apply(self, plans: Iterable[NodePlan]) -> None:
        """Run exactly these nodes, each as its plan says; one that fails does not keep the others from it."""
        wanted = {plan.node_id: plan for plan in plans}
        failures = []
        with self._lock:
            for node_id in set(self._nodes) - set(wanted):
                self._nodes.pop(node_id).end()
            for node_id, plan in wanted.items():
                node = self._nodes.setdefault(node_id, _Node(self._substrate, node_id))
                try:
                    node.follow(plan)
                    node.look()
                except (SubstrateError, OSError) as error:
                    failures.append(f"{node_id}: {error}")
            self._seen = {node_id: node.checks for node_id, node in self._nodes.items() if node.is_running()}
        if failures:
            raise SubstrateError("run load balancer nodes", "\n".join(failures))

    def checks(self) -> Mapping[str, Mapping[Place, Check]]:
        """Return what each node saw last."""
        return self._seen

    def traffic(self) -> Mapping[str, Traffic]:
        """Return the traffic since this was last asked."""
        with self._lock:
            return {node_id: node.take_traffic() for node_id, node in self._nodes.items()}

    def cut(self, places: Iterable[Place]) -> None:
        """End the connections to targets whose time to drain is over."""
        listed = list(places)
        with self._lock:
            for node in self._nodes.values():
                node.cut(listed)

    def close(self) -> None:
        """End all."""
        with self._lock:
            for node in self._nodes.values():
                node.end()
            self._nodes.clear()


class _Node:
    """One HAProxy: a master that stays, and a worker for each configuration it was given."""

    def __init__(self, substrate: Substrate, node_id: str) -> None:
        self._substrate = substrate
        self._node_id = node_id
        self._directory = substrate.runtime_dir() / node_id
        self._socket = self._directory / SOCKET
        self._master = self._directory / _MASTER_SOCKET
        self._process: Process | None = None
        self._text = ""
        self._counted = Traffic()
        self._not_taken = Traffic()
        self.checks: Mapping[Place, Check] = {}

    def is_running(self) -> bool:
        """Return whether the program runs."""
        return self._process is not None and self._process.poll() is None

    def follow(self, plan: NodePlan) -> None:
        """Start the program, or start it again, or give it what has changed."""
        text = configuration(plan.balancer, address=plan.address, directory=str(self._directory))
        if not self.is_running():
            self._write(plan, text, known="")
            self._start()
        elif text != self._text:
            self._write(plan, text, known=runtime.ask(self._socket, "show servers state"))
            self._reload()
        self._text = text

    def look(self) -> None:
        """Take note of what the worker sees."""
        rows = runtime.statistics(runtime.ask(self._socket, "show stat"))
        self.checks = runtime.checks(rows)
        counted = runtime.traffic(rows)
        self._not_taken.add(runtime.difference(counted, self._counted))
        self._counted = counted

    def take_traffic(self) -> Traffic:
        """Return the traffic since this was last asked."""
        taken, self._not_taken = self._not_taken, Traffic()
        return taken

    def cut(self, places: Collection[Place]) -> None:
        """End connections to targets that only old workers still know."""
        with suppress(OSError):
            for pid in runtime.old_workers(self._master):
                sessions = runtime.sessions(runtime.ask(self._master, f"@!{pid} show sess"))
                for number in [number for number, place in sessions.items() if place in places]:
                    runtime.ask(self._master, f"@!{pid} shutdown session {number}")

    def end(self) -> None:
        """End the program at once; workers end when their master does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _write(self, plan: NodePlan, text: str, *, known: str) -> None:
        # Only the program's own directory can be written by it: not what it is configured with.
        own = self._socket.parent
        own.mkdir(parents=True, exist_ok=True)
        self._directory.chmod(0o710)
        own.chmod(0o700)
        shutil.chown(self._directory, group=USER)
        shutil.chown(own, user=USER, group=USER)
        files = {
            **certificate_files(plan.balancer, directory=str(self._directory)),
            str(self._directory / SERVERS): runtime.server_states(plan.balancer.groups, known),
            str(self._directory / _CONFIGURATION): text,
        }
        for path, content in files.items():
            _replace(Path(path), content)
        argv = [_PROGRAM, "-c", "-f", str(self._directory / _CONFIGURATION)]
        process.run(argv, action=f"check the configuration of {self._node_id}")

    def _start(self) -> None:
        argv = [_PROGRAM, "-W", "-S", str(self._master), "-f", str(self._directory / _CONFIGURATION)]
        self._process = self._substrate.serve(self._node_id, argv, user=USER, log=self._directory / _LOG)
        self._counted = Traffic()
        self._wait(lambda: bool(runtime.worker_pid(self._socket)))

    def _reload(self) -> None:
        """Let a new worker take over the listening sockets; the old one ends what it has begun.

        What the old one answers from here on is in no metric.
        """
        before = runtime.worker_pid(self._socket)
        self.look()
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGUSR2)
        self._wait(lambda: runtime.worker_pid(self._socket) != before)
        self._counted = Traffic()

    def _wait(self, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while time.monotonic() < deadline:
            with suppress(OSError, StopIteration):
                if is_ready():
                    return
            if not self.is_running():
                break
            time.sleep(_READY_POLL_S)
        raise SubstrateError(f"run the load balancer node {self._node_id}", self._last_words())

    def _last_words(self) -> str:
        with suppress(OSError):
            return (self._directory / _LOG).read_text("utf-8", errors="replace")[-1000:]
        return "it says nothing"


def _replace(path: Path, content: str) -> None:
    part = path.with_suffix(".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    with os.fdopen(descriptor, "w") as out:
        out.write(content)
    shutil.chown(part, group=USER)
    part.replace(path)
