# SPDX-License-Identifier: Apache-2.0
"""Do something inside a network namespace: the calling thread steps in, and ends there."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sandbox.substrate import SubstrateError

NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_BACKLOG = 128

_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


def inside(namespace: str, work: Callable[[], T]) -> T:
    """Run `work` in the namespace and return its result.

    A thread of its own enters and is thrown away: setns() changes only the calling thread, and a thread
    that came back the wrong way would do somebody else's work in the wrong network. (os.setns is Python
    3.12.)
    """

    def enter_and_work() -> T:
        _enter(namespace)
        return work()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(enter_and_work).result()


def bind(namespace: str, address: str, port: int, *, kind: socket.SocketKind) -> socket.socket:
    """Return a socket bound inside the namespace; stream sockets listen already."""

    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, kind)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, port))
            if kind is socket.SOCK_STREAM:
                made.listen(_BACKLOG)
        except OSError:
            made.close()
            raise
        return made

    return inside(namespace, make)


def is_absent_address(exc: OSError) -> bool:
    """Return whether binding failed because the namespace does not have the address."""
    return exc.errno == errno.EADDRNOTAVAIL


def write_sysctls(namespace: str, values: dict[str, str]) -> None:
    """Set kernel parameters of the namespace: /proc/sys/net shows the network of the thread that opens it."""

    def write() -> None:
        for name, value in values.items():
            Path("/proc/sys", *name.split(".")).write_text(value)

    inside(namespace, write)


def _enter(namespace: str) -> None:
    path = NAMESPACES / namespace
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as exc:
        raise SubstrateError(f"enter network namespace {namespace}", "it does not exist") from exc
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(descriptor)
