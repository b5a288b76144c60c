# SPDX-License-Identifier: Apache-2.0
"""What is measured of an open way, by the same client for all engines."""

from __future__ import annotations

import selectors
import socket
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

from tests.bench.tunnel_engines import Address
from tests.sandbox.doors.engine.targets import connect, say

MIB = 1 << 20
# What COM_QUERY sends for `SELECT 1`: https://mariadb.com/kb/en/com_query/
_QUERY = b"\x09\x00\x00\x00\x03SELECT 1"
_PATIENCE_S = 120.0


def first_answer(address: Address) -> None:
    """Connect and ask once."""
    with connect(address) as made, made.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == ((1,),)


def queries_ms(address: Address, count: int) -> list[float]:
    """Ask again and again on one connection; return how long each answer took."""
    with connect(address) as made, made.cursor() as cursor:
        return [1000 * seconds(lambda: cursor.execute("SELECT 1")) for _ in range(count)]


def connections_ms(address: Address, count: int) -> list[float]:
    """Connect again and again, each time until the database's greeting."""

    def greeted() -> None:
        with socket.create_connection(address, timeout=_PATIENCE_S) as made:
            assert made.recv(1)

    return [1000 * seconds(greeted) for _ in range(count)]


def small_queries_per_s(address: Address, clients: int, lasting_s: float) -> float:
    """Let clients ask at once, each as soon as it has its answer."""
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(clients):
            made = stack.enter_context(closing(connect(address)))._sock  # noqa: SLF001 - the client's own code is slower
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(made, selectors.EVENT_READ)
            made.sendall(_QUERY)
        answers, begun = 0, time.perf_counter()
        while (lasted := time.perf_counter() - begun) < lasting_s:
            for key, _ in selector.select(1.0):
                key.fileobj.recv(4096)  # type: ignore[union-attr]
                key.fileobj.sendall(_QUERY)  # type: ignore[union-attr]
                answers += 1
        for key in tuple(selector.get_map().values()):
            key.fileobj.recv(4096)  # type: ignore[union-attr]
        return answers / lasted


def down_mb_s(address: Address, mib: int, *, streams: int = 1) -> float:
    """Receive, in one stream or in several at once."""
    size = mib * MIB // streams

    def receive(_: int) -> int:
        buffer, received = bytearray(MIB), 0
        with say(address, f"source {size}", timeout_s=_PATIENCE_S) as made:
            while got := made.recv_into(buffer):
                received += got
        return received

    with ThreadPoolExecutor(streams) as pool:
        taken = seconds(lambda: _all_are(size, list(pool.map(receive, range(streams)))))
    return streams * size / taken / 1e6


def up_mb_s(address: Address, mib: int) -> float:
    """Send one stream, until the other side has all of it."""
    block = bytes(MIB)

    def send() -> None:
        with say(address, "sink", timeout_s=_PATIENCE_S) as made:
            for _ in range(mib):
                made.sendall(block)
            made.shutdown(socket.SHUT_WR)
            assert made.recv(100) == b"%d\n" % (mib * MIB)

    return mib * MIB / seconds(send) / 1e6


def seconds(work: Callable[[], object]) -> float:
    """Return how long something took."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def percentile(values: list[float], percent: int) -> float:
    """Return a percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _all_are(size: int, received: list[int]) -> None:
    assert received == [size] * len(received)
