# SPDX-License-Identifier: Apache-2.0
"""The local port: taken once, before anything else, and kept until the tunnel closes."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import PortBusy

HOST = "127.0.0.1"
# Connection pools connect all at once; what does not fit here is retried by the kernel a second later.
BACKLOG = 1024
_LISTENS = "0A"  # TCP_LISTEN, include/net/tcp_states.h


def listen(port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any that is free.

    Raises:
        PortBusy: The port is taken, or not ours to take.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        raise PortBusy(
            f"listen on {HOST}:{port}",
            _why(exc, port),
            state="nothing was opened",
            next_command="choose another one with --local-port, or leave it out for any that is free",
        ) from exc
    listener.setblocking(False)
    return listener


def _why(exc: OSError, port: int) -> str:
    if exc.errno != errno.EADDRINUSE:
        return exc.strerror or str(exc)
    holder = _holder(port)
    return f"{holder} listens there" if holder else "another program listens there"


def _holder(port: int, proc: Path = Path("/proc")) -> str:
    """Return which program holds a port, empty if the kernel does not tell us."""
    links = {f"socket:[{inode}]" for inode in _inodes(port, proc)}
    for process in proc.glob("[0-9]*") if links else ():
        with suppress(OSError):
            if any(str(link.readlink()) in links for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return ""


def _inodes(port: int, proc: Path) -> set[str]:
    """Return the sockets that listen on a port: address, state and inode stand in columns 1, 3 and 9."""
    found = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTENS and int(columns[1].rpartition(":")[2], 16) == port:
                    found.add(columns[9])
    return found
