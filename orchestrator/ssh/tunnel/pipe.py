# SPDX-License-Identifier: Apache-2.0
"""What one ssh connection runs through: a TCP connection, or a channel of the ssh connection before it.

It sits between the two and adds what the SSH library leaves out and a tunnel needs: when something was last
heard from the other side; whether what we send piles up, so that clients can be held back; what is sent in
one round of the event loop as one piece, which saves most packets and system calls of small queries; and
received data in pieces of a size that the library's parser handles well.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import asyncssh

from orchestrator.ssh.tunnel.blocking import numeric

# The library copies all that it has not parsed yet for each packet it takes from it.
_PIECE = 65536
# So much may wait to be sent before clients are held back. More is only delay for everybody's next packet.
_HIGH_WATER = 256 * 1024
# What a hop may send us unacknowledged, for all clients together; it bounds throughput x round trip.
WINDOW = 4 * 1024 * 1024
MAX_PACKET = 32768
_FULL_SEND = 131072  # bytes for one system call
_LOOK_UP_S = 10.0
_MSG_IGNORE = 2  # RFC 4253, 11.2


class Pipe(asyncio.Protocol, asyncssh.SSHTCPSession[bytes]):
    """Carries one ssh connection.

    For the library it is three things: the `tunnel` that it asks for the way to the hop, the transport that
    the connection writes to, and what receives from the TCP connection or the channel below.
    """

    def __init__(
        self,
        *,
        before: Pipe | None,
        through: asyncssh.SSHClientConnection | None,
        on_congestion: Callable[[], None],
    ) -> None:
        self.heard_s = time.monotonic()
        self.is_congested = False
        self._before = before
        self._through = through
        self._on_congestion = on_congestion
        self._ssh: Any = None
        self._below: Any = None
        self._unsent: list[bytes] = []
        self._unsent_size = 0
        self._full = MAX_PACKET if through else _FULL_SEND
        self._loop = asyncio.get_running_loop()

    async def create_connection(
        self, factory: Callable[[], object], host: str, port: int
    ) -> tuple[object, object]:
        """Connect, and hand what comes to the ssh connection that the factory makes."""
        self._ssh = _without_ignores(factory())
        if self._through is None:
            address = await numeric(host, _LOOK_UP_S)
            await self._loop.create_connection(lambda: self, address, port)
        else:
            await self._through.create_connection(
                lambda: self, host, port, window=WINDOW, max_pktsize=MAX_PACKET
            )
        self._below.set_write_buffer_limits(_HIGH_WATER)
        return self, self._ssh

    # What the ssh connection does

    def write(self, data: bytes) -> None:
        """Take what is to be sent; it goes when it fills a packet, or this round of the loop is over."""
        if self._unsent_size + len(data) > self._full:
            self._push()
        if not self._unsent:
            self._loop.call_soon(self.flush)
        self._unsent.append(data)
        self._unsent_size += len(data)

    def flush(self) -> None:
        """Send all that waits, through the hops before too."""
        self._push()
        if self._before is not None:
            self._before.flush()

    def _push(self) -> None:
        if not self._unsent:
            return
        data = b"".join(self._unsent)
        self._unsent.clear()
        self._unsent_size = 0
        if not self._below.is_closing():
            self._below.write(data)

    def abort(self) -> None:
        """End at once; what was said before is sent if it can be."""
        self.flush()
        self._below.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the way below."""
        return self._below.get_extra_info(name, default)

    # What happens below

    def connection_made(self, transport: Any) -> None:
        """Begin the ssh connection."""
        self._below = transport
        sock = transport.get_extra_info("socket") if self._through is None else None
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ssh.connection_made(self)

    def session_started(self) -> None:
        """Do nothing: the ssh connection begins when the pipe is made."""

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """Hand on what the hop sent."""
        self.heard_s = time.monotonic()
        if len(data) <= _PIECE:
            self._ssh.data_received(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), _PIECE):
            self._ssh.data_received(bytes(view[start : start + _PIECE]))

    def eof_received(self) -> bool:
        """Hand on that the hop has ended, which ends the connection."""
        self._ssh.eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on that there is no way to the hop any more."""
        self._ssh.connection_lost(exc)

    def pause_writing(self) -> None:
        """Note that what we send piles up."""
        self.is_congested = True
        self._on_congestion()

    def resume_writing(self) -> None:
        """Note that it flows again."""
        self.is_congested = False
        self._on_congestion()


def _without_ignores(ssh: Any) -> Any:
    """Return an ssh connection that sends no empty packet before each packet.

    The library does so whatever the cipher. It hides the state of ciphers in CBC mode, which we never offer;
    in a tunnel inside a tunnel it makes four packets of each.
    """
    send = ssh.send_packet

    def send_packet(kind: int, *args: bytes, **handler: Any) -> None:
        if kind != _MSG_IGNORE:
            send(kind, *args, **handler)

    ssh.send_packet = send_packet
    return ssh
