# SPDX-License-Identifier: Apache-2.0
"""One client's connection, and the channel that carries its bytes to the target and back.

No byte is lost, doubled or moved. A side that ends its half (a FIN) ends only that half on the other side. A
reader that is slow holds back its own writer and nobody else.

When the chain dies, the client's connection is reset (RST) rather than closed (FIN): a FIN says that the
stream is whole, and a client that reads until the end would take half a dump for all of it. A reset is an
error to every client.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, Protocol

import asyncssh

from orchestrator.ssh.tunnel.chain import Chain

_HIGH_WATER = 512 * 1024
# A little less than a packet of ssh: with what is put around it, it still fits into one packet of the
# connection outside. Longer pieces would be cut in two there, and copied in large blocks, which is slow.
_PIECE = 32000
# So long a client may take to notice that the target has closed, before its connection is closed too.
_LINGER_S = 60.0
_SEE_OFF_S = 30


class House(Protocol):
    """Who looks after relays."""

    def client_came(self, relay: Relay) -> None:
        """A client has connected."""

    def client_served(self, relay: Relay) -> None:
        """A client's bytes flow."""

    def client_gone(self, relay: Relay, *, is_failure: bool) -> None:
        """A client's connection is over."""

    def client_again(self, relay: Relay) -> None:
        """A client lost its chain before a byte had passed: it can have another one."""


class Relay(asyncio.Protocol):
    """The client's side."""

    def __init__(self, number: int, house: House) -> None:
        self.number = number
        self.sent = 0
        self.received = 0
        self.origin = ("127.0.0.1", 0)
        self.chain: Chain | None = None
        self.had_to_wait = False
        self._house = house
        self._transport: Any = None
        self._far: Far | None = None
        self._has_ended = False  # its half
        self._is_gone = False
        self._failed = True  # until it is served
        self._is_far_slow = False
        self._is_chain_slow = False

    # What the client does

    def connection_made(self, transport: Any) -> None:
        """Hold the client until there is a channel."""
        self._transport = transport
        # Not here: in Python 3.11.2, which is Debian's, reading begins after this whatever is asked for here,
        # and what the client says at once would be lost.
        asyncio.get_running_loop().call_soon(self._hold)
        transport.set_write_buffer_limits(_HIGH_WATER)
        self.origin = transport.get_extra_info("peername") or self.origin
        self._house.client_came(self)

    def data_received(self, data: bytes) -> None:
        """Send on what the client said."""
        far = self._far
        if far is None or far.channel.is_closing():
            return  # the target has closed; the client has not noticed yet
        self.sent += len(data)
        if len(data) <= _PIECE:
            far.channel.write(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), _PIECE):
            far.channel.write(view[start : start + _PIECE])

    def eof_received(self) -> bool:
        """End the client's half on the other side, and keep the other half."""
        self._has_ended = True
        if self._far is None or self._far.is_over:
            return False
        if not self._far.channel.is_closing():
            self._far.channel.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """See the channel off: what the client has sent still goes to the target."""
        self._is_gone = True
        if self._far is not None:
            self._far.see_off()
        self._house.client_gone(self, is_failure=self._failed)

    def pause_writing(self) -> None:
        """Hold back the target: the client is slow."""
        if self._far is not None:
            self._far.channel.pause_reading()

    def resume_writing(self) -> None:
        """Let the target go on."""
        if self._far is not None:
            self._far.channel.resume_reading()

    # What the house does

    def attach(self, far: Far, *, is_chain_slow: bool) -> None:
        """Begin to carry bytes."""
        if self._is_gone:
            far.channel.close()
            return
        self._far = far
        self._failed = False
        self._is_chain_slow = is_chain_slow
        self._is_far_slow = False
        self._house.client_served(self)
        self._hold()

    @property
    def is_gone(self) -> bool:
        """Tell whether the client is gone."""
        return self._is_gone

    @property
    def has_left(self) -> bool:
        """Tell whether the client ended its side without a word.

        Asked of clients that had to wait. One that gave up looks so, and the target shall not be bothered
        with it: a database counts connections without a login, and locks the machine out after some.
        """
        sock: socket.socket = self._transport.get_extra_info("socket").dup()
        with sock:
            try:
                return not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            except OSError:
                return True

    def hold(self, *, is_chain_slow: bool) -> None:
        """Hold back the client while the chain is congested."""
        self._is_chain_slow = is_chain_slow
        self._hold()

    def reset(self, *, is_failure: bool = True) -> None:
        """End the client's connection at once, in a way that can't be taken for the end of a stream."""
        self._failed = self._failed or is_failure
        if self._is_gone:
            return
        sock = self._transport.get_extra_info("socket")
        if sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    # What the target does

    def write(self, data: bytes) -> None:
        """Hand the client what the target said."""
        if not self._transport.is_closing():
            self.received += len(data)
            self._transport.write(data)

    def end_target(self) -> None:
        """End the target's half, after all that it has said."""
        if self._is_gone:
            return
        try:
            self._transport.write_eof()
        except OSError:
            # The client is gone, and the transport has not noticed; the chain must not hear of it.
            self._transport.abort()

    def slow_target(self, is_slow: bool) -> None:
        """Hold back the client while the target does not take more."""
        self._is_far_slow = is_slow
        self._hold()

    def target_closed(self) -> None:
        """Let the client read to the end, and close when it does.

        Closing at once would be a reset if the client has just sent something, and take away what it has
        not read yet.
        """
        self.end_target()
        if self._is_gone:
            return
        self._hold()
        if self._has_ended:
            self._transport.close()
        else:
            asyncio.get_running_loop().call_later(_LINGER_S, self._transport.close)

    def chain_lost(self) -> None:
        """Begin anew if no byte has passed: to the client nothing has happened yet. Else end it."""
        if self._is_gone or self._transport.is_closing():
            return
        if self.sent == self.received == 0 and not self._has_ended:
            self._far = None
            self._transport.pause_reading()
            self._house.client_again(self)
        else:
            self.reset()

    def _hold(self) -> None:
        far = self._far
        is_held = far is None or (not far.is_over and (self._is_far_slow or self._is_chain_slow))
        if is_held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


class Far(asyncssh.SSHTCPSession[bytes]):
    """The target's side: a channel."""

    def __init__(self, relay: Relay, chain: Chain) -> None:
        self.channel: Any = None
        self.is_over = False
        self._relay = relay
        self._chain = chain

    def connection_made(self, chan: Any) -> None:
        """Begin to carry the client's bytes."""
        self.channel = chan
        self._relay.attach(self, is_chain_slow=self._chain.is_congested)

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """Hand on what the target said."""
        self._relay.write(data)

    def eof_received(self) -> bool:
        """End the target's half, and keep the client's."""
        self._relay.end_target()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Find out whether the target has closed, or the chain is gone: the library tells it later."""
        self.is_over = True
        asyncio.get_running_loop().call_soon(self._over, exc)

    def _over(self, exc: Exception | None) -> None:
        if exc is not None or self._chain.is_over:
            self._relay.chain_lost()
        else:
            self._relay.target_closed()

    def pause_writing(self) -> None:
        """Hold back the client."""
        self._relay.slow_target(True)

    def resume_writing(self) -> None:
        """Let the client go on."""
        self._relay.slow_target(False)

    def see_off(self, seconds_left: int = _SEE_OFF_S) -> None:
        """Close the channel once the target has taken all, or has not for a while."""
        if self.is_over:
            return
        if self.channel.get_write_buffer_size() == 0:
            self.channel.close()
        elif seconds_left == 0:
            self.channel.abort()
        else:
            self.channel.resume_reading()  # nobody wants it, but the target may wait for it to be taken
            if not self.channel.is_closing():
                self.channel.write_eof()
            asyncio.get_running_loop().call_later(1, self.see_off, seconds_left - 1)
