# SPDX-License-Identifier: Apache-2.0
"""The library sshtunnel with what it lacks: a listener that outlives connections, and streams that end whole.

The library is imported with this module, so this module is imported by functions only.
"""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from paramiko import SSHException
from sshtunnel import (
    HandlerSSHTunnelForwarderError,
    SSHTunnelForwarder,
    _ForwardHandler,
    _ThreadingForwardServer,
)

if TYPE_CHECKING:
    from paramiko import Channel, Transport

_CHUNK = 1 << 16
_BACKLOG = 1024
_ATTEMPTS = 3  # a way may be lost just as a client is given it

_BROKEN = (OSError, EOFError, SSHException)

_log = logging.getLogger(f"{__name__}.library")
_log.addHandler(logging.NullHandler())
_log.propagate = False


class Traffic(Protocol):
    """What knows the way of the moment, and counts."""

    def carrying(self, client: socket.socket) -> AbstractContextManager[Transport]:
        """Return the connection to the last hop, for as long as a client's connection uses it.

        Raises:
            OSError: There is none, and there was none for too long.
        """

    def count(self, *, sent: int = 0, received: int = 0, failed: int = 0) -> None:
        """Add to the counters."""


class Handler(_ForwardHandler):  # type: ignore[misc] # the library has no types
    """One connection of a client."""

    traffic: Traffic

    def setup(self) -> None:
        """Send small things at once."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self) -> None:
        """Carry the connection over the way of this moment."""
        for _ in range(_ATTEMPTS):
            try:
                with self.traffic.carrying(self.request) as self.ssh_transport:
                    super().handle()
                return
            except HandlerSSHTunnelForwarderError:
                if self.ssh_transport.is_active():  # it is the target that did not answer
                    break
            except _BROKEN:
                break
        self.traffic.count(failed=1)

    def _redirect(self, chan: Channel) -> None:
        """Carry each direction to its own end: the library's loop drops what a half-close leaves."""
        upward = threading.Thread(target=self._carry_up, args=(chan,), name="carry-up")
        upward.start()
        try:
            while data := chan.recv(_CHUNK):
                self.request.sendall(data)
                self.traffic.count(received=len(data))
            self._end(socket.SHUT_RDWR if chan.closed else socket.SHUT_WR)
        except _BROKEN:
            self._end(socket.SHUT_RDWR)
        finally:
            upward.join()

    def _carry_up(self, chan: Channel) -> None:
        try:
            while data := self.request.recv(_CHUNK):
                chan.sendall(data)
                self.traffic.count(sent=len(data))
            chan.shutdown_write()
        except _BROKEN:
            with suppress(*_BROKEN):
                chan.close()
            self._end(socket.SHUT_RDWR)

    def _end(self, how: int) -> None:
        shut(self.request, how)


class Server(_ThreadingForwardServer):  # type: ignore[misc] # as above
    """The local listener. Its threads are waited for when it closes."""

    daemon_threads = False
    request_queue_size = _BACKLOG  # the library's 5 makes the rest of a crowd wait for ever


class Forwarder(SSHTunnelForwarder):  # type: ignore[misc] # as above
    """Listens on a local port. Which connection to the last hop it uses is asked for each client anew."""

    def __init__(self, traffic: Traffic, *, local_port: int, target: tuple[str, int]) -> None:
        # It reads no file of the user's, asks no agent, and connects to nothing itself.
        super().__init__(
            ("127.0.0.1", 22),
            ssh_config_file=None,
            ssh_username="nobody",
            local_bind_address=("127.0.0.1", local_port),
            remote_bind_address=target,
            logger=_log,
        )
        self._traffic = traffic
        self._serving: threading.Thread | None = None

    def use(self, transport: Transport) -> None:
        """Take this connection for the one that is in use."""
        self._transport = transport

    def stop(self, force: bool = True) -> None:
        """Close the listener and wait for the connections that it served."""
        super().stop(force=force)
        if self._serving:
            self._serving.join()

    @staticmethod
    def _consolidate_auth(*_: Any, **__: Any) -> tuple[None, list[Any]]:
        """Look for no keys: whoever makes the connections has them."""
        return None, []

    def _connect_to_gateway(self) -> None:
        """Leave it at what `use` was told."""

    def _make_ssh_forward_server(self, remote_address: Any, local_bind_address: Any) -> None:
        """Listen; unlike the library, let an error be seen."""
        kind = type(
            "BoundHandler",
            (Handler,),
            {"remote_address": remote_address, "logger": _log, "traffic": self._traffic},
        )
        server = Server(local_bind_address, kind, logger=_log)
        self._server_list.append(server)
        self.tunnel_is_up[server.server_address] = False

    def _serve_forever_wrapper(self, _srv: Any, poll_interval: float = 0.05) -> None:
        self._serving = threading.current_thread()
        super()._serve_forever_wrapper(_srv, poll_interval)


def shut(client: socket.socket, how: int) -> None:
    """End directions of a client's connection; one that has gone already is no error."""
    try:
        client.shutdown(how)
    except OSError:
        _log.debug("a client had gone already")
