# SPDX-License-Identifier: Apache-2.0
"""Tunnels that a test steers, and the client at their end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from orchestrator.domain.tunnel import HopStatus, TunnelState, TunnelStatus
from orchestrator.ports import CommandResult, DatabaseSession, Login, Route, Routes, Tunnel, TunnelOptions
from tests.fakes.basics import FakeClock, Recorded

_LIMIT_S = 30.0
ADDRESS = ("127.0.0.1", 40306)


class FakeTunnel:
    """A tunnel. Each wait takes the next of its `steps`; after the last one it lasts until it is closed."""

    def __init__(self, clock: FakeClock, status: TunnelStatus) -> None:
        self._clock = clock
        self._closed = threading.Event()
        self.now = status
        self.error: BaseException | None = None
        self.steps: list[Callable[[FakeTunnel], None]] = []

    @property
    def address(self) -> tuple[str, int]:
        return ADDRESS

    def status(self) -> TunnelStatus:
        return self.now

    def wait(self, timeout_s: float | None = None) -> bool:
        if self.steps and not self._closed.is_set():
            self.steps.pop(0)(self)
        elif timeout_s != 0:
            assert self._closed.wait(_LIMIT_S), "nobody has closed the tunnel"
        if self.error is not None:
            raise self.error
        return self._closed.is_set()

    def become(self, **changes: object) -> None:
        """Change how it is."""
        self.now = replace(self.now, **changes)  # type: ignore[arg-type]

    def fail(self, error: BaseException) -> None:
        """Let it end for good."""
        self.error = error
        self.end()

    def end(self) -> None:
        """Close it."""
        self.become(state=TunnelState.CLOSED)
        self._closed.set()


class FakeTunnels(Recorded):
    """Opens tunnels over the first route there is; `steps` are those of the next tunnel."""

    def __init__(self, clock: FakeClock, *, limits: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._clock = clock
        self._limits = limits
        self.steps: list[Callable[[FakeTunnel], None]] = []
        self.options: list[TunnelOptions] = []
        self.routes: list[tuple[Route, ...]] = []
        self.logins: list[Login] = []
        self.opened: list[FakeTunnel] = []

    @property
    def limits(self) -> tuple[str, ...]:
        return self._limits

    @contextmanager
    def open(self, routes: Routes, options: TunnelOptions) -> Iterator[Tunnel]:
        self._note("open")
        self.options.append(options)
        self.routes.append(routes.find())
        self.logins.append(routes.login())
        hops = tuple(HopStatus(hop.name, 0.001) for hop in self.routes[-1][0].hops)
        tunnel = FakeTunnel(self._clock, TunnelStatus(TunnelState.READY, hops))
        tunnel.steps = self.steps
        self.opened.append(tunnel)
        try:
            yield tunnel
        finally:
            tunnel.end()


class FakeDatabaseClient(Recorded):
    """A client that ends with `status` after `during` was done."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 0
        self.output = ""
        self.during: Callable[[], None] = lambda: None
        self.sessions: list[DatabaseSession] = []
        self.sql: list[str] = []
        self.kept: list[str] = []

    def interact(self, session: DatabaseSession) -> int:
        return self._run("interact", session)

    def execute(self, session: DatabaseSession, sql: str) -> int:
        self.sql.append(sql)
        return self._run("execute", session)

    def capture(self, session: DatabaseSession, sql: str) -> CommandResult:
        self.sql.append(sql)
        return CommandResult(self._run("capture", session), self.output, "a warning of the client\n")

    @contextmanager
    def options(self, session: DatabaseSession) -> Iterator[str]:
        self._note("options")
        self.sessions.append(session)
        self.kept.append("options")
        try:
            yield "mariadb --defaults-file=options"
        finally:
            self.kept.remove("options")

    def _run(self, call: str, session: DatabaseSession) -> int:
        self._note(call)
        self.sessions.append(session)
        self.during()
        return self.status
