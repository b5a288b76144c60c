# SPDX-License-Identifier: Apache-2.0
"""Run database servers for real: one MariaDB each, in the network of its interface."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.balancing.authority import Authority
from sandbox.databases.files import USER, Files, write
from sandbox.databases.parameters import applied, configuration
from sandbox.databases.wanted import Cluster, Member
from sandbox.substrate import Process, Substrate, SubstrateError

log = logging.getLogger(__name__)

# Sockets in a cluster's directory: its writer's, and the one where servers ask whether a token is good.
WRITER = "writer.sock"
TOKENS = "tokens.sock"
_LOG = "server.log"
_END_TIMEOUT_S = 10.0
# A server that does not come up is not started over and over; one that ran for longer is started at once.
_BETWEEN_STARTS_S = 5.0


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """A server to have: a member's, known by its interface, with the address it listens at."""

    node_id: str
    address: str
    cluster: Cluster
    member: Member


class Servers:
    """The database servers of a region. Its callers take turns."""

    def __init__(self, substrate: Substrate, files: Files, authority: Authority) -> None:
        self._substrate = substrate
        self._files = files
        self._authority = authority
        self._servers: dict[str, Server] = {}

    def apply(self, plans: Iterable[ServerPlan]) -> list[Server]:
        """Run exactly these servers, start again what has ended, and return those that run.

        Raises:
            SubstrateError: some don't start; the others do.
        """
        wanted = {plan.node_id: plan for plan in plans}
        self._end([self._servers.pop(node_id) for node_id in set(self._servers) - set(wanted)])
        failures = []
        for node_id, plan in wanted.items():
            server = self._servers.setdefault(node_id, Server(self._substrate, self._files, self._authority))
            try:
                server.follow(plan)
            except (SubstrateError, OSError) as error:
                failures.append(f"{plan.member.identifier}: {error}")
        if failures:
            raise SubstrateError("run database servers", "\n".join(failures))
        return list(self._servers.values())

    def close(self) -> None:
        """End all; their data stays."""
        self._end(list(self._servers.values()))
        self._servers.clear()

    @staticmethod
    def _end(servers: list[Server]) -> None:
        for server in servers:
            server.ask_to_end()
        for server in servers:
            server.end()


class Server:
    """One server: started when it is first needed, and again whenever it has ended."""

    plan: ServerPlan

    def __init__(self, substrate: Substrate, files: Files, authority: Authority) -> None:
        self._substrate = substrate
        self._files = files
        self._authority = authority
        self._process: Process | None = None
        self._port = 0
        self._not_before = 0.0
        # What was made so with the process that runs now; empty for one that has just started.
        self.settled: object = None
        # The cluster's parameters that the process has.
        self.parameters: Mapping[str, str] = {}

    @property
    def socket(self) -> Path:
        """Where the region itself connects."""
        return self._own / "server.sock"

    @property
    def _directory(self) -> Path:
        return self._files.running(self.plan.member.resource_id)

    @property
    def _own(self) -> Path:
        return self._directory / "own"

    def follow(self, plan: ServerPlan) -> None:
        """Be as planned."""
        self.plan = plan
        if self._process is not None and self._port != plan.cluster.port:
            self._stop()
        ended = self._process.poll() if self._process is not None else None
        if ended is not None:
            self._process, self.settled = None, None
            where = self._directory / _LOG
            log.warning(
                "the server of %s ended with %d and is started again: %s",
                plan.member.identifier,
                ended,
                where,
            )
        if self._process is None and time.monotonic() >= self._not_before:
            self._not_before = time.monotonic() + _BETWEEN_STARTS_S
            self._start()

    def begin_anew(self) -> None:
        """Forget all data, which the writer has as well, and start with nothing."""
        self._stop()
        self._files.forget(self.plan.cluster.resource_id, self.plan.member.resource_id)
        self.follow(self.plan)

    def ask_to_end(self) -> None:
        """Begin an orderly end."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGTERM)

    def end(self) -> None:
        """Wait for the end, make one of it, and leave only data."""
        self._wait()
        self._files.end(self.plan.member.resource_id)

    def _stop(self) -> None:
        self.ask_to_end()
        self._wait()
        self._process, self.settled = None, None

    def _wait(self) -> None:
        if self._process is not None:
            try:
                self._process.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _start(self) -> None:
        cluster, member = self.plan.cluster, self.plan.member
        data = self._files.data(cluster.resource_id, member.resource_id)
        directory, of_cluster = self._directory, self._files.running(cluster.resource_id)
        mounted = directory / "data"
        mounted.mkdir(exist_ok=True)
        self._own.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(self._own, user=USER, group=USER)
        write(directory / "server.cnf", self._configuration(mounted))
        self.parameters = applied(cluster.parameters)
        self._port = cluster.port
        argv = [
            "env",
            f"SLIPWAY_WRITER={of_cluster / WRITER}",
            f"SLIPWAY_TOKENS={of_cluster / TOKENS}",
            f"SLIPWAY_VERSION={_aurora_version(cluster.version)}",
            f"SLIPWAY_MEMBER={member.identifier}",
            "mariadbd",
            f"--defaults-file={directory / 'server.cnf'}",
        ]
        self._process = self._substrate.serve(
            self.plan.node_id, argv, user=USER, log=directory / _LOG, mounts={data: mounted}
        )

    def _configuration(self, data: Path) -> str:
        cluster, member = self.plan.cluster, self.plan.member
        issued = self._authority.issue(cluster.endpoint, (cluster.reader_endpoint, member.endpoint))
        pems = {"ssl_ca": self._authority.pem, "ssl_cert": issued.certificate, "ssl_key": issued.key}
        for name, pem in pems.items():
            write(self._directory / f"{name}.pem", pem)
        return configuration(
            cluster.parameters,
            {
                **{name: self._directory / f"{name}.pem" for name in pems},
                "bind_address": self.plan.address,
                "datadir": data,
                "pid_file": self._own / "server.pid",
                "plugin_dir": self._files.plugin_dir(),
                "port": cluster.port,
                # Nobody writes before it is known who the writer is.
                "read_only": "ON",
                "server_id": zlib.crc32(member.resource_id.encode()) or 1,
                "socket": self.socket,
            },
        )


def _aurora_version(engine_version: str) -> str:
    """Return Aurora's own part of a version such as 8.0.mysql_aurora.3.08.0."""
    return engine_version.rpartition("mysql_aurora.")[2]
