# SPDX-License-Identifier: Apache-2.0
"""Machines with ssh servers and a target behind them, all on loopback and in one thread of this process."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncssh

from orchestrator.errors import MachineMissing
from orchestrator.ports.doors import Hop, Login, Route

T = TypeVar("T")
_LIMIT_S = 20.0
# Keys are slow to make and nobody's secret here.
AUTHORITY = asyncssh.generate_private_key("ssh-rsa", key_size=2048)


class Threaded:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="ssh-world")
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(_LIMIT_S)

    def close(self) -> None:
        self.run(self._cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _cancel_all(self) -> None:
        await asyncio.sleep(0.01)  # what has just arrived is begun, or the library complains
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(5):
            await asyncio.sleep(0)


class _Server(asyncssh.SSHServer):
    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._conn: Any = None

    def connection_made(self, conn: Any) -> None:
        self._conn = conn
        self._machine.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._machine.connections.discard(self._conn)

    async def begin_auth(self, username: str) -> bool:
        self._machine.logins += 1
        if not self._machine.lets_in:
            self._conn.set_authorized_keys(asyncssh.import_authorized_keys(""))
        return True

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        if self._machine.opens is not None and (dest_host, dest_port) not in self._machine.opens:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")
        # The library's own forwarding leaves sockets behind when connections die in the middle of it.
        try:
            sock = socket.create_connection((dest_host, dest_port))
        except OSError as exc:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, str(exc.strerror)) from exc
        self._machine.sockets.append(sock)
        return lambda reader, writer: _forward(sock, reader, writer)


async def _forward(sock: socket.socket, reader: Any, writer: Any) -> None:
    far_reader, far_writer = await asyncio.open_connection(sock=sock)
    try:
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        far_writer.close()
        writer.close()
    except (OSError, asyncssh.Error):
        far_writer.transport.abort()
        writer.channel.abort()
    except BaseException:
        far_writer.transport.abort()
        raise


async def _copy(reader: Any, writer: Any) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


@dataclass(eq=False)
class Machine:
    """A machine with an ssh server that can be stopped, started and closed to us."""

    world: Threaded
    name: str
    lets_in: bool = True
    opens: set[tuple[str, int]] | None = None
    logins: int = 0
    port: int = 0
    key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    published: tuple[str, ...] = ()
    more_keys: list[asyncssh.SSHKey] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)
    sockets: list[socket.socket] = field(default_factory=list)
    _acceptor: Any = None

    def start(self) -> None:
        self._acceptor = self.world.run(self._listen())
        self.port = self._acceptor.get_port()
        self.published = self.published or (self.key.export_public_key().decode().strip(),)

    async def _listen(self) -> Any:
        trusted = f"cert-authority {AUTHORITY.export_public_key().decode()}"
        return await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_factory=lambda: _Server(self),
            server_host_keys=[self.key, *self.more_keys],
            authorized_client_keys=asyncssh.import_authorized_keys(trusted),
            encryption_algs=["aes128-gcm@openssh.com"],
            compression_algs=["none"],
            agent_forwarding=False,
            backlog=200,
        )

    def stop(self) -> None:
        """Stop like a machine that is killed."""
        if self._acceptor is not None:
            self.world.run(self._stop())

    async def _stop(self) -> None:
        self._acceptor.close()
        await self._acceptor.wait_closed()
        self._acceptor = None
        self.drop()

    def drop(self) -> None:
        for connection in list(self.connections):
            connection.abort()

    def cut(self) -> None:
        """Break the connections of now; new ones are welcome."""
        self.world.loop.call_soon_threadsafe(self.drop)

    def change_key(self) -> None:
        """Become another machine, at the same address."""
        self.stop()
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.start()

    def hop(self, port: int = 0) -> Hop:
        return Hop(self.name, "127.0.0.1", "operator", self.published, port or self.port)


class Target:
    """What is behind the machines: it sends back what comes, and after the end of it its digest.

    Or it `says` something and closes.
    """

    def __init__(self, world: Threaded) -> None:
        self._world = world
        self.accepted = 0
        self.says = b""
        self.writers: set[asyncio.StreamWriter] = set()
        self.start()

    def start(self, port: int = 0) -> None:
        self._server = self._world.run(asyncio.start_server(self._talk, "127.0.0.1", port, backlog=200))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._world.run(self._stop())

    async def _stop(self) -> None:
        self._server.close()
        for writer in list(self.writers):
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.writers.add(writer)
        digest = hashlib.sha256()
        with suppress(ConnectionError):
            if self.says:
                writer.write(self.says)
                await writer.drain()
            while not self.says and (data := await reader.read(65536)):
                digest.update(data)
                writer.write(data)
                await writer.drain()
            if not self.says:
                writer.write(digest.digest())
            await writer.drain()
        self.writers.discard(writer)
        writer.close()


class Hole:
    """A TCP proxy that can stop forwarding, without a word to either side."""

    def __init__(self, world: Threaded, port: int) -> None:
        self._world = world
        self._to = port
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = world.run(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def open(self) -> None:
        """Swallow everything from now on."""
        self._world.loop.call_soon_threadsafe(self._flows.clear)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._flows.wait()
            await self._forward(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        finally:
            far_writer.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
            writer.transport.abort()

    def close(self) -> None:
        self._world.run(self._close())

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def certificate(login_key: asyncssh.SSHKey) -> str:
    signed = AUTHORITY.generate_user_certificate(
        login_key, "ann/reader/1", principals=["operator"], sig_alg="rsa-sha2-512"
    )
    return signed.export_certificate().decode()


@dataclass
class WorldRoutes:
    """Ways over machines of the test. Each login is a key and a certificate of its own."""

    routes: list[Route]
    logins: int = 0
    finds: list[frozenset[str]] = field(default_factory=list)
    error: Exception | None = None

    def find(self, *, avoid: frozenset[str] = frozenset()) -> tuple[Route, ...]:
        self.finds.append(avoid)
        if self.error is not None:
            raise self.error
        if not self.routes:
            raise MachineMissing("look for a way", "no machine runs")
        return tuple(sorted(self.routes, key=lambda route: any(hop.name in avoid for hop in route.hops)))

    def login(self) -> Login:
        self.logins += 1
        key = asyncssh.generate_private_key("ssh-ed25519")
        return Login(key.export_private_key().decode(), certificate(key))


class SshWorld:
    """A bastion, two machines behind it, and a target."""

    def __init__(self) -> None:
        self.threaded = Threaded()
        self.bastion = Machine(self.threaded, "i-bastion")
        self.first = Machine(self.threaded, "i-app1")
        self.second = Machine(self.threaded, "i-app2")
        self.machines = (self.bastion, self.first, self.second)
        for machine in self.machines:
            machine.start()
        self.target = Target(self.threaded)
        self.holes: list[Hole] = []

    def route(self, *hops: Hop) -> Route:
        return Route(hops, ("127.0.0.1", self.target.port))

    def routes(self, *machines: Machine) -> WorldRoutes:
        """Return the ways through the bastion and each of the machines."""
        through = machines or (self.first, self.second)
        return WorldRoutes([self.route(self.bastion.hop(), machine.hop()) for machine in through])

    def hole(self, machine: Machine) -> Hole:
        self.holes.append(Hole(self.threaded, machine.port))
        return self.holes[-1]

    def close_holes(self) -> None:
        for hole in self.holes:
            hole.close()
        self.holes.clear()

    def close(self) -> None:
        self.close_holes()
        for machine in self.machines:
            machine.stop()
        self.target.stop()
        self.threaded.close()
        for machine in self.machines:
            for sock in machine.sockets:
                sock.close()


def chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same each time


@contextmanager
def client(address: tuple[str, int], timeout_s: float = _LIMIT_S) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=timeout_s) as connection:
        yield connection


def until(is_so: Callable[[], bool], limit_s: float = _LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def read_all(connection: socket.socket) -> bytes:
    chunks = []
    while chunk := connection.recv(65536):
        chunks.append(chunk)
    return b"".join(chunks)


def read_exactly(connection: socket.socket, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        chunk = connection.recv(size - len(got))
        if not chunk:
            break
        got += chunk
    return bytes(got)


def echo(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    return read_exactly(connection, len(data))
