# SPDX-License-Identifier: Apache-2.0
"""Tunnels on asyncssh: the port's best engine. It imports the library when the first tunnel opens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from orchestrator.domain.tunnel import TunnelStatus
from orchestrator.ports.doors import Routes, TunnelOptions
from orchestrator.ssh.tunnel.listener import listen

if TYPE_CHECKING:
    from orchestrator.ssh.tunnel.supervisor import Supervisor

# A login that is refused is tried again for so long: a machine that has just started must first learn of us.
_REFUSAL_S = 20.0


class AsyncTunnels:
    """Opens tunnels that survive the loss of machines on the way."""

    def __init__(self, *, grace_s: float = 0.0, refusal_s: float = _REFUSAL_S) -> None:
        """Take how a tunnel ends.

        Args:
            grace_s: So long open connections may go on when the tunnel is closed.
            refusal_s: So long refused logins are tried again while a tunnel is rebuilt.
        """
        self._grace_s = grace_s
        self._refusal_s = refusal_s

    @property
    def limits(self) -> tuple[str, ...]:
        """Return nothing: it keeps all of the port's promises."""
        return ()

    @contextmanager
    def open(self, routes: Routes, options: TunnelOptions) -> Iterator[AsyncTunnel]:
        """Open a tunnel, in a thread of its own with an event loop."""
        with closing(listen(options.local_port)) as listener:
            from orchestrator.ssh.tunnel.supervisor import Supervisor  # noqa: PLC0415 - few commands open tunnels

            supervisor = Supervisor(
                listener, routes, options, grace_s=self._grace_s, refusal_s=self._refusal_s
            )
            tunnel = AsyncTunnel(listener.getsockname(), supervisor)
            try:
                supervisor.opened.result()
                yield tunnel
            finally:
                tunnel.close()


class AsyncTunnel:
    """An open tunnel."""

    def __init__(self, address: tuple[str, int], supervisor: Supervisor) -> None:
        self._address = address
        self._supervisor = supervisor
        self._ended: Future[None] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"tunnel-{address[1]}")
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Return where it listens."""
        return self._address

    def status(self) -> TunnelStatus:
        """Return how it is."""
        return self._supervisor.status()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for its end, and tell whether it has ended."""
        try:
            self._ended.result(timeout_s)
        except FutureTimeout:
            if not self._ended.done():
                return False
            raise
        return True

    def close(self) -> None:
        """End it, if it has not ended by itself."""
        with suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(self._supervisor.close)
        self._thread.join()

    def _run(self) -> None:
        """Run the event loop. What breaks it is told to who waits."""
        error: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._supervisor.run())
        except BaseException as exc:  # handed on, whatever it is
            error = exc
        error = error or self._supervisor.error
        if not self._supervisor.opened.done():
            self._supervisor.opened.set_exception(error or asyncio.CancelledError())
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)
