# SPDX-License-Identifier: Apache-2.0
"""Clients of a tunnel that notice what happens to them."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field

from tests.sandbox.doors.engine import stream_server
from tests.sandbox.doors.engine.chain import until
from tests.sandbox.doors.engine.targets import is_served, say

MIB = 1 << 20
IDLE = 50
# Who waits longer than this for the end of a connection hangs.
END_S = 30.0
_BETWEEN_S = 0.02


@dataclass
class Bulk:
    """A stream that somebody reads as fast as it comes."""

    address: tuple[str, int]
    size: int = 512 * MIB
    received: int = 0
    has_hung: bool = False
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def under_way(self) -> None:
        """Wait until it flows."""
        until(lambda: self.received, lambda seen: seen > MIB)

    def ended(self, limit_s: float = END_S) -> bool:
        """Wait for its end, whole or not; tell whether it has come."""
        self._thread.join(limit_s)
        return not (self._thread.is_alive() or self.has_hung)

    def _read(self) -> None:
        buffer = bytearray(MIB)
        try:
            with say(self.address, f"source {self.size}", timeout_s=END_S) as made:
                while got := made.recv_into(buffer):
                    self.received += got
        except TimeoutError:
            self.has_hung = True
        except OSError:
            return


@contextmanager
def idle_connections(address: tuple[str, int], count: int = IDLE) -> Iterator[list[socket.socket]]:
    """Return connections that have exchanged something and now say nothing."""
    with ExitStack() as stack:
        made = [stack.enter_context(closing(say(address, "echo"))) for _ in range(count)]
        for each in made:
            each.sendall(b"x")
            assert each.recv(1) == b"x"
        yield made


def hanging(connections: list[socket.socket], limit_s: float = END_S) -> int:
    """Wait for the end of connections; return how many have none."""
    deadline = time.monotonic() + limit_s
    return sum(not _has_ended(each, deadline - time.monotonic()) for each in connections)


def _has_ended(connection: socket.socket, limit_s: float) -> bool:
    connection.settimeout(max(0.01, limit_s))
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@dataclass
class Newcomers:
    """Clients that come one after the other, all the time."""

    address: tuple[str, int]
    served: int = 0
    failed: int = 0
    longest_s: float = 0.0

    @contextmanager
    def coming(self) -> Iterator[Newcomers]:
        """Let them come."""
        ending = threading.Event()

        def come() -> None:
            while not ending.wait(_BETWEEN_S):
                begun = time.monotonic()
                if is_served(self.address):
                    self.served += 1
                else:
                    self.failed += 1
                self.longest_s = max(self.longest_s, time.monotonic() - begun)

        thread = threading.Thread(target=come, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            ending.set()
            thread.join(90)


def talk(address: tuple[str, int], seed: int) -> tuple[bool, bool]:
    """Exchange two random streams with random ends; tell of each whether it came over as it was."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    ours, theirs = (int(2 ** chance.uniform(0, 21)) - 1 for _ in range(2))
    who = chance.choice(("client", "server", "both"))
    with say(address, f"talk {seed} {theirs} {who}") as made:
        if who == "client":
            stream_server.send_all(made, -seed, ours)
            received = stream_server.read_all(made)
        elif who == "server":
            received = stream_server.read_all(made)
            stream_server.send_all(made, -seed, ours)
        else:
            with ThreadPoolExecutor(1) as pool:
                sending = pool.submit(stream_server.send_all, made, -seed, ours)
                received = stream_server.read_all(made)
                sending.result()
        with suppress(OSError):
            made.recv(1)  # the other side closes when it has seen our end
    seen = until(lambda: _digest(address, seed), lambda text: text != b"none")
    return received == _expected(seed, theirs), seen.decode() == "{} {}".format(*_expected(-seed, ours))


def _digest(address: tuple[str, int], seed: int) -> bytes:
    with say(address, f"digest {seed}") as made:
        return made.recv(200)


def _expected(seed: int, size: int) -> tuple[str, int]:
    return stream_server.digest_of(stream_server.stream_of(seed, size, pauses=0))
