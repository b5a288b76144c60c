# SPDX-License-Identifier: Apache-2.0
"""Tunnels with paramiko and sshtunnel: the engine for who wants it, slower and with limits that it tells."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.domain.tunnel import TunnelState, TunnelStatus
from orchestrator.errors import DoorError, HostKeyChanged, KeyRefused, MachineMissing, PortBusy, TokenExpired
from orchestrator.ports.doors import Routes, TunnelOptions
from orchestrator.ssh.tunnel.paramiko_chain import Chain, open_chain

if TYPE_CHECKING:
    from paramiko import Transport

    from orchestrator.ssh.tunnel.forwarder import Forwarder

_LOOK_S = 0.1
_PAUSE_S = 0.5
# Another attempt meets the same answer, unless a machine is being replaced and not known yet.
_LASTING = (KeyRefused, HostKeyChanged, TokenExpired)
_BETTER_NEWS_S = 5.0
_LIMITS = (
    "It keeps no second way ready: new connections wait while a lost way is made again.",
    "A stream is less than half as fast as with the default engine, for three times the processor time.",
    "A connection that carries a bulk stream delays what others ask over the same tunnel.",
)

_log = logging.getLogger(__name__)


class SshtunnelTunnels:
    """Opens tunnels with sshtunnel."""

    @property
    def limits(self) -> tuple[str, ...]:
        """Return what this engine can't promise."""
        return _LIMITS

    @contextmanager
    def open(self, routes: Routes, options: TunnelOptions) -> Iterator[SshtunnelTunnel]:
        """Open a tunnel (see `Tunnels.open`); it is closed in the end."""
        if options.local_port:
            _see_that_it_is_free(options.local_port)
        made = SshtunnelTunnel(routes, options)
        try:
            made.start()
            yield made
        finally:
            made.close()


@dataclass
class _Counters:
    served: int = 0
    failed: int = 0
    sent: int = 0
    received: int = 0
    reconnects: int = 0


class SshtunnelTunnel:
    """A tunnel. One thread watches over its way; the library has one or two for each connection."""

    def __init__(self, routes: Routes, options: TunnelOptions) -> None:
        self._routes = routes
        self._options = options
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._ended = threading.Event()
        self._state = TunnelState.CONNECTING
        self._chain: Chain | None = None
        self._address = ("127.0.0.1", options.local_port)
        self._forwarder: Forwarder | None = None
        self._watcher: threading.Thread | None = None
        self._clients: set[socket.socket] = set()
        self._counters = _Counters()
        self._trouble = ""
        self._failure: DoorError | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Return where it listens."""
        return self._address

    def status(self) -> TunnelStatus:
        """Return how it is."""
        with self._changed:
            chain, counted = self._chain, self._counters
            return TunnelStatus(
                self._state,
                hops=tuple(pulse.status for pulse in chain.pulses) if chain else (),
                open_connections=len(self._clients),
                served_connections=counted.served,
                failed_connections=counted.failed,
                sent_bytes=counted.sent,
                received_bytes=counted.received,
                reconnects=counted.reconnects,
                trouble=self._trouble,
            )

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for its end."""
        has_ended = self._ended.wait(timeout_s)
        if has_ended and self._failure:
            raise self._failure
        return has_ended

    def start(self) -> None:
        """Make the first way, and listen."""
        from orchestrator.ssh.tunnel.forwarder import Forwarder  # noqa: PLC0415 - imports the library

        chain = self._connect(frozenset())
        self._adopt(chain)
        self._forwarder = Forwarder(
            self,
            local_port=self._options.local_port,
            target=chain.route.target,
        )
        self._forwarder.use(chain.transport)
        try:
            self._forwarder.start()
        except OSError as exc:
            raise _busy(self._options.local_port, exc) from exc
        self._address = self._forwarder.local_bind_address
        self._watcher = threading.Thread(target=self._watch, name="tunnel-watch", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Close everything, and wait until it is."""
        with self._changed:
            self._state = TunnelState.DRAINING
            self._ending.set()
            self._changed.notify_all()
        self._end_clients()
        if self._forwarder:
            self._forwarder.stop()
        if self._watcher:
            self._watcher.join()
        if self._chain:
            self._chain.close()
        with self._changed:
            self._state, self._chain = TunnelState.CLOSED, None
        self._ended.set()

    @contextmanager
    def carrying(self, client: socket.socket) -> Iterator[Transport]:
        """Return the connection to the last hop for a client, waiting for it as long as options allow."""
        with self._changed:
            is_decided = self._changed.wait_for(self._is_decided, self._options.patience_s)
            if not is_decided or self._chain is None or self._ending.is_set():
                raise ConnectionError("there is no way to the target")
            chain = self._chain
            self._clients.add(client)
            self._counters.served += 1
        try:
            yield chain.transport
        finally:
            with self._changed:
                self._clients.discard(client)

    def count(self, *, sent: int = 0, received: int = 0, failed: int = 0) -> None:
        """Add to the counters."""
        with self._changed:
            self._counters.sent += sent
            self._counters.received += received
            self._counters.failed += failed

    def _is_decided(self) -> bool:
        has_way = self._chain is not None and self._chain.transport.is_active()
        return has_way or self._failure is not None or self._ending.is_set()

    def _watch(self) -> None:
        """See that there is a way, until the tunnel is closed or no way can be made."""
        while not self._ending.wait(_LOOK_S):
            if self._chain and not self._chain.is_alive:
                self._rebuild(self._chain)
            if self._failure:
                return

    def _rebuild(self, lost: Chain) -> None:
        avoided = lost.dead
        with self._changed:
            self._state, self._chain = TunnelState.REBUILDING, None
            self._trouble = f"{', '.join(sorted(avoided)) or 'a hop'} does not answer"
        # First of all clients learn that their connections have ended.
        self._end_clients()
        lost.close()
        tried_s = 0.0
        while not self._ending.is_set():
            try:
                chain = self._connect(avoided)
            except DoorError as exc:
                if isinstance(exc, _LASTING) and tried_s >= _BETTER_NEWS_S:
                    self._give_up(exc)
                    return
                self._say(exc)
            else:
                self._adopt(chain)
                return
            self._ending.wait(_PAUSE_S)
            tried_s += _PAUSE_S

    def _connect(self, avoided: frozenset[str]) -> Chain:
        """Return the first way that can be opened."""
        failures: list[DoorError] = []
        routes = self._routes.find(avoid=avoided)
        login = self._routes.login()
        for route in routes:
            if self._ending.is_set():
                break
            try:
                return open_chain(route, login, self._options)
            except DoorError as exc:
                failures.append(exc)
        raise failures[0] if failures else MachineMissing("tunnel", "there is no way to the target")

    def _adopt(self, chain: Chain) -> None:
        with self._changed:
            if self._state is TunnelState.REBUILDING:
                self._counters.reconnects += 1
            if not self._ending.is_set():
                self._state, self._trouble = TunnelState.READY, ""
            self._chain = chain
            if self._forwarder:
                self._forwarder.use(chain.transport)
            self._changed.notify_all()

    def _say(self, exc: DoorError) -> None:
        with self._changed:
            self._trouble = f"{exc.what}: {exc.cause}"
        _log.debug("tunnel: %s", exc.cause)

    def _give_up(self, exc: DoorError) -> None:
        with self._changed:
            self._failure, self._state = exc, TunnelState.CLOSED
            self._trouble = f"{exc.what}: {exc.cause}"
            self._changed.notify_all()
        self._ended.set()

    def _end_clients(self) -> None:
        with self._changed:
            clients = tuple(self._clients)
        for client in clients:
            with suppress(OSError):  # it may have gone already
                client.shutdown(socket.SHUT_RDWR)


def _see_that_it_is_free(port: int) -> None:
    """Say it before anything is connected to."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as exc:
        raise _busy(port, exc) from exc


def _busy(port: int, exc: OSError) -> PortBusy:
    reason = "another program listens there" if exc.errno == errno.EADDRINUSE else str(exc.strerror or exc)
    return PortBusy(f"local port {port}", reason)
