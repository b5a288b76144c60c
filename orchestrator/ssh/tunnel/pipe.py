# SPDX-License-Identifier: Apache-2.0
"""What one ssh connection runs through: a TCP connection, or a channel of the ssh connection before it.

The SSH library leaves three things out that a tunnel needs, and a pipe sits between the two to add them: when
something was last heard from the other side; whether what we send piles up, so that clients can be held back;
and received data in pieces of a size that the library's parser handles well.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import asyncssh

# The library copies all that it has not parsed yet for each packet it takes from it.
_PIECE = 65536
# So much may wait to be sent before clients are held back. More is only delay for everybody's next packet.
_HIGH_WATER = 256 * 1024
# What a hop may send us unacknowledged, for all clients together; it bounds throughput x round trip.
WINDOW = 4 * 1024 * 1024
MAX_PACKET = 32768


class Pipe(asyncio.Protocol, asyncssh.SSHTCPSession[bytes]):
    """Carries one ssh connection. It is a `tunnel` for the library, which asks it for the way to the hop."""

    def __init__(
        self, through: asyncssh.SSHClientConnection | None, on_congestion: Callable[[], None]
    ) -> None:
        self.heard_s = time.monotonic()
        self.is_congested = False
        self._through = through
        self._on_congestion = on_congestion
        self._ssh: Any = None

    async def create_connection(
        self, factory: Callable[[], object], host: str, port: int
    ) -> tuple[object, object]:
        """Connect, and hand what comes to the ssh connection that the factory makes."""
        self._ssh = factory()
        if self._through is None:
            transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, host, port)
            transport.set_write_buffer_limits(_HIGH_WATER)
        else:
            channel, _ = await self._through.create_connection(
                lambda: self, host, port, window=WINDOW, max_pktsize=MAX_PACKET
            )
            channel.set_write_buffer_limits(_HIGH_WATER)
        return self, self._ssh

    def connection_made(self, transport: Any) -> None:
        """Begin the ssh connection."""
        sock = transport.get_extra_info("socket") if self._through is None else None
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ssh.connection_made(transport)

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
