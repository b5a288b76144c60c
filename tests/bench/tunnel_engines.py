# SPDX-License-Identifier: Apache-2.0
"""The engines that are compared, each in processes of its own, and no tunnel at all."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.bench.tunnel_delay import farther
from tests.sandbox.doors.engine.chain import (
    DATABASE,
    DATABASE_PORT,
    STREAMS,
    STREAMS_PORT,
    USER,
    Chain,
    ChainRoutes,
    until,
)
from tests.sandbox.region.conftest import free_port

PROJECT = Path(__file__).resolve().parents[2]
BASTION, APP = "i-bastion", "i-app-1"
TARGETS = ((DATABASE, DATABASE_PORT), (STREAMS, STREAMS_PORT))
_TICKS = os.sysconf("SC_CLK_TCK")
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Open:
    """A way that is open: where the database and the server of streams are reached, and who carries it."""

    database: Address
    streams: Address
    pid: int = 0

    def cpu_s(self) -> float:
        """Return the processor time of the carrying process and its children so far."""
        return sum(map(_cpu_of, _family(self.pid))) if self.pid else 0.0


class Engine(Protocol):
    """A way to the target."""

    @property
    def name(self) -> str:
        """What it is called."""

    def prepared(self, chain: Chain, one_way_ms: float) -> AbstractContextManager[None]:
        """Get ready as far as a user doesn't wait for it."""

    def open(self) -> Open:
        """Open the way to both targets; the first of them can be used at once."""


class Raw:
    """No tunnel."""

    name = "raw TCP (limit)"

    @contextmanager
    def prepared(self, chain: Chain, one_way_ms: float) -> Iterator[None]:
        """Need nothing."""
        first, second = (chain.public(*target) for target in TARGETS)
        with farther(first, one_way_ms) as database, farther(second, one_way_ms) as streams:
            self._open = Open(database, streams)
            yield

    def open(self) -> Open:
        """Return the targets' own addresses."""
        return self._open


class OpenSsh:
    """The system's ssh: `ssh -J bastion -N -L ...`."""

    def __init__(self, name: str, *options: str) -> None:
        self.name = name
        self._options = options

    @contextmanager
    def prepared(self, chain: Chain, one_way_ms: float) -> Iterator[None]:
        """Write what it reads; it is started when it is opened."""
        self._chain = chain
        self._process: subprocess.Popen[bytes] | None = None
        known = chain.folder / "known_hosts"
        known.write_text(
            "".join(f"{hop.name} {key}\n" for hop in chain.hops.values() for key in hop.host_keys)
        )
        self._config = chain.folder / f"{self.name.replace(' ', '-')}.conf"
        with farther((chain.hops[BASTION].address, 22), one_way_ms) as way:
            addresses = {BASTION: way, APP: (chain.hops[APP].address, 22)}
            blocks = [
                (f"Host {name}", f"HostName {host}", f"Port {port}", f"HostKeyAlias {name}")
                for name, (host, port) in addresses.items()
            ]
            common = (
                "Host *", "BatchMode yes", "IdentitiesOnly yes", "StrictHostKeyChecking yes",
                "ExitOnForwardFailure yes", f"User {USER}", f"IdentityFile {chain.folder / 'operator'}",
                f"UserKnownHostsFile {known}", *self._options,
            )  # fmt: skip
            self._config.write_text("".join(f"{line}\n" for block in (*blocks, common) for line in block))
            try:
                yield
            finally:
                self._end()

    def open(self) -> Open:
        """Start it and wait until it listens."""
        ports = [free_port() for _ in TARGETS]
        ways = [
            f"127.0.0.1:{port}:{':'.join(map(str, self._chain.private(*target)))}"
            for port, target in zip(ports, TARGETS, strict=True)
        ]
        forwards = [part for way in ways for part in ("-L", way)]
        argv = ["ssh", "-F", str(self._config), "-J", BASTION, "-N", *forwards, APP]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: _listens(ports[-1]))
        return Open(("127.0.0.1", ports[0]), ("127.0.0.1", ports[1]), self._process.pid)

    def _end(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(10)


class Ours:
    """An engine of the project's."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self._kind = kind

    @contextmanager
    def prepared(self, chain: Chain, one_way_ms: float) -> Iterator[None]:
        """Start Python and import the library: the operator's command has done that before."""
        self._chain = chain
        argv = [sys.executable, "-m", "tests.bench.tunnel_process", self._kind]
        with farther((chain.hops[BASTION].address, 22), one_way_ms) as self._bastion:
            self._process = subprocess.Popen(
                argv, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            try:
                assert self._line() == "loaded"
                yield
            finally:
                self._process.communicate(timeout=30)

    def open(self) -> Open:
        """Open a tunnel to each target."""
        ports = [self._ask(ChainRoutes(self._chain, self._chain.private(*target))) for target in TARGETS]
        return Open(("127.0.0.1", ports[0]), ("127.0.0.1", ports[1]), self._process.pid)

    def open_first(self) -> Address:
        """Open the tunnel to the first target only."""
        return "127.0.0.1", self._ask(ChainRoutes(self._chain, self._chain.private(*TARGETS[0])))

    def _ask(self, routes: ChainRoutes) -> int:
        route, login = routes.find()[0], routes.login()
        places = (self._bastion, (route.hops[1].address, 22))
        hops = [
            (hop.name, host, hop.user, hop.host_keys, port)
            for hop, (host, port) in zip(route.hops, places, strict=True)
        ]
        told = {"hops": hops, "target": route.target, "login": (login.private_key, login.certificate)}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


def engines() -> tuple[Engine, ...]:
    """Return all of them."""
    return (
        Raw(),
        OpenSsh("ssh -J -L"),
        OpenSsh("ssh tuned", "Ciphers aes128-gcm@openssh.com", "IPQoS none", "Compression no"),
        Ours("sshtunnel", "sshtunnel"),
        Ours("asyncssh (ours)", "asyncssh"),
    )


def _listens(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        return True
    return False


def _family(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for each in tasks for child in each.read_text().split()]
    return [pid, *(descendant for child in children for descendant in _family(child))]


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
