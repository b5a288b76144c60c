# SPDX-License-Identifier: Apache-2.0
"""Send real packets between network namespaces: a place is a namespace's name, or None for the host."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from sandbox.network import sockets

# A dropped packet has no answer, so "cut off" means "not within this time"; a veth pair takes microseconds.
PATIENCE_S = 0.6
T = TypeVar("T")


def at(place: str | None, work: Callable[[], T]) -> T:
    """Do something in the place's network."""
    return work() if place is None else sockets.inside(place, work)


@dataclass
class Listener:
    """An echo server; `callers` are the addresses it saw."""

    port: int
    callers: list[str] = field(default_factory=list)


@contextlib.contextmanager
def listening(place: str | None, port: int = 0, address: str = "0.0.0.0") -> Iterator[Listener]:  # noqa: S104
    """Echo on a TCP port of the place."""
    server = at(place, lambda: socket.create_server((address, port)))
    listener = Listener(server.getsockname()[1])
    threading.Thread(target=_accept, args=(server, listener), daemon=True).start()
    try:
        yield listener
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def can_connect(place: str | None, address: str, port: int) -> bool:
    """Return whether a TCP connection from the place is answered."""
    try:
        with connection(place, address, port) as made:
            return echoes(made)
    except OSError:
        return False


def connection(place: str | None, address: str, port: int) -> socket.socket:
    """Return a TCP connection from the place."""
    return at(place, lambda: socket.create_connection((address, port), timeout=PATIENCE_S))


def echoes(made: socket.socket) -> bool:
    """Return whether the connection still carries bytes both ways."""
    try:
        made.sendall(b"x")
        return made.recv(1) == b"x"
    except OSError:
        return False


def ping(place: str, address: str) -> bool:
    """Return whether an ICMP echo is answered."""

    def ask() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as asking:
            asking.settimeout(PATIENCE_S)
            try:
                asking.sendto(b"\x08\x00\x00\x00\x00\x00\x00\x01", (address, 0))
                return bool(asking.recv(64))
            except OSError:
                return False

    return at(place, ask)


def ip(*arguments: str) -> str:
    """Run `ip` and return its output."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def _accept(server: socket.socket, listener: Listener) -> None:
    while True:
        try:
            made, caller = server.accept()
        except OSError:
            return
        listener.callers.append(caller[0])
        threading.Thread(target=_echo, args=(made,), daemon=True).start()


def _echo(made: socket.socket) -> None:
    with made, contextlib.suppress(OSError):
        while data := made.recv(64):
            made.sendall(data)
