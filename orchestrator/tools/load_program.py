# SPDX-License-Identifier: Apache-2.0
"""Ask for a page at a constant rate, over TLS, and count what fails. Runs alone, on the standard library.

Nothing is asked twice: a request that gets no answer has failed, also where a client may repeat it (Go's
does, unseen). Certificates are checked. The rate does not follow the answers: a balancer that is slow is
asked as often. Requests take turns: one over a connection that was used before, the next over a new one.

It reads one JSON document (see `Request`), prints the totals as a line of JSON every second, and ends by
itself or by SIGTERM, when what was begun has been answered.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

_OK = 200
_MOST_OPEN = 256
_EXAMPLES = 20
_LONGEST_HEAD = 65536


@dataclass(frozen=True)
class Request:
    """What is asked, of which addresses in turn, so many times a second, and for how long at most."""

    addresses: tuple[str, ...]
    host: str
    path: str
    port: int
    authority: str
    per_second: float
    limit_s: float
    timeout_s: float


@dataclass
class Totals:
    """What came of it so far. `images` counts good answers by their X-Slipway-Image."""

    requests: int = 0
    failed: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    examples: list[str] = field(default_factory=list)


@dataclass
class Connection:
    """A connection that can be used again."""

    address: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def is_open(self) -> bool:
        """Tell whether the other side has not ended it meanwhile."""
        return not (self.reader.at_eof() or self.writer.is_closing())


class NoAnswer(Exception):
    """The other side ended the connection before its answer was whole."""


class Generator:
    """Asks, and counts."""

    def __init__(self, request: Request) -> None:
        self.totals = Totals()
        self._request = request
        self._context = ssl.create_default_context(cadata=request.authority)
        self._idle: dict[str, list[Connection]] = {address: [] for address in request.addresses}
        self._stopped = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Begin no more requests."""
        self._stopped.set()

    async def run(self) -> None:
        """Ask until stopped or the time is over, then wait for the answers."""
        clock = asyncio.get_running_loop().time
        begun, number = clock(), 0
        while not self._stopped.is_set() and clock() - begun < self._request.limit_s:
            if len(self._open) < _MOST_OPEN:
                self._begin(number)
                number += 1
            with suppress(TimeoutError):
                until = begun + number / self._request.per_second - clock()
                await asyncio.wait_for(self._stopped.wait(), max(until, 0.001))
        if self._open:
            await asyncio.wait(self._open)
        for connection in (each for idle in self._idle.values() for each in idle):
            connection.writer.transport.abort()

    def _begin(self, number: int) -> None:
        addresses = self._request.addresses
        pair, is_second = divmod(number, 2)
        task = asyncio.create_task(self._ask(addresses[pair % len(addresses)], is_new=bool(is_second)))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _ask(self, address: str, *, is_new: bool) -> None:
        clock = asyncio.get_running_loop().time
        begun, problem, status, image = clock(), "", 0, ""
        try:
            async with asyncio.timeout(self._request.timeout_s):
                status, image = await self._exchange(address, is_new=is_new)
        except TimeoutError:
            problem = f"no answer within {self._request.timeout_s:g} s"
        except (OSError, ssl.SSLError, NoAnswer, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
        self._count(address, status=status, image=image, problem=problem, took_s=clock() - begun)

    def _count(self, address: str, *, status: int, image: str, problem: str, took_s: float) -> None:
        totals = self.totals
        totals.requests += 1
        totals.slowest_s = max(totals.slowest_s, round(took_s, 3))
        totals.statuses.update([str(status)] if status else [])
        totals.problems.update([problem] if problem else [])
        if status == _OK and not problem:
            totals.images.update([image])
            return
        totals.failed += 1
        if len(totals.examples) < _EXAMPLES:
            what = problem or f"status {status}"
            totals.examples.append(f"request {totals.requests} to {address}: {what} after {took_s:.3f} s")

    async def _exchange(self, address: str, *, is_new: bool) -> tuple[int, str]:
        connection = (None if is_new else self._take(address)) or await self._connect(address)
        may_stay = False
        try:
            last = "Connection: close\r\n" if is_new else ""
            head = f"GET {self._request.path} HTTP/1.1\r\nHost: {self._request.host}\r\n{last}\r\n"
            connection.writer.write(head.encode())
            await connection.writer.drain()
            status, fields = await _head(connection.reader)
            await _body(connection.reader, fields)
            may_stay = not is_new and fields.get("connection", "").lower() != "close"
            return status, fields.get("x-slipway-image", "")
        finally:
            if may_stay:
                self._idle[address].append(connection)
            else:
                connection.writer.transport.abort()

    def _take(self, address: str) -> Connection | None:
        idle = self._idle[address]
        while idle:
            connection = idle.pop()
            if connection.is_open:
                return connection
            connection.writer.transport.abort()
        return None

    async def _connect(self, address: str) -> Connection:
        reader, writer = await asyncio.open_connection(
            address, self._request.port, ssl=self._context, server_hostname=self._request.host
        )
        return Connection(address, reader, writer)


async def _head(reader: asyncio.StreamReader) -> tuple[int, Mapping[str, str]]:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise NoAnswer("the connection ended before an answer") from error
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines if line)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in fields}


async def _body(reader: asyncio.StreamReader, fields: Mapping[str, str]) -> None:
    try:
        if fields.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                await reader.readexactly(size + 2)
            await reader.readuntil(b"\r\n")
        else:
            await reader.readexactly(int(fields.get("content-length", "0")))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise NoAnswer("the connection ended within an answer") from error


async def main(document: dict[str, object]) -> None:
    """Ask, and print the totals every second and at the end."""
    generator = Generator(Request(**document))  # type: ignore[arg-type]
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, generator.stop)
    work = asyncio.create_task(generator.run())
    while not (await asyncio.wait([work], timeout=1.0))[0]:
        _tell(generator.totals)
    await work
    _tell(generator.totals)


def _tell(totals: Totals) -> None:
    sys.stdout.write(json.dumps(vars(totals)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(json.load(sys.stdin)))
