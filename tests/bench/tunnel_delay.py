# SPDX-License-Identifier: Apache-2.0
"""A relay that hands on every byte later, both ways: distance, where the kernel can't pretend it.

    python -m tests.bench.tunnel_delay MILLISECONDS HOST PORT

It says its port, and ends with its standard input. Connecting is as quick as without it.
"""

from __future__ import annotations

import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
_CHUNK = 1 << 16
_UNDER_WAY = 4096  # so many pieces at most


@contextmanager
def farther(target: tuple[str, int], one_way_ms: float) -> Iterator[tuple[str, int]]:
    """Return where the target is reached as from far away; the target itself where there is no delay."""
    if not one_way_ms:
        yield target
        return
    argv = [sys.executable, "-m", "tests.bench.tunnel_delay", str(one_way_ms), target[0], str(target[1])]
    process = subprocess.Popen(argv, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield "127.0.0.1", int(process.stdout.readline())
    finally:
        process.communicate(timeout=30)


def carry(source: socket.socket, sink: socket.socket, delay_s: float) -> None:
    """Hand on what comes, each piece when it is due, and the end too."""
    under_way: queue.Queue[tuple[float, bytes]] = queue.Queue(_UNDER_WAY)

    def deliver() -> None:
        with suppress(OSError):
            while True:
                due, data = under_way.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)

    threading.Thread(target=deliver, daemon=True).start()
    data = b"-"
    while data:
        try:
            data = source.recv(_CHUNK)
        except OSError:
            data = b""
        under_way.put((time.monotonic() + delay_s, data))


def main() -> None:
    """Relay until there is no more to hear."""
    delay_s, target = float(sys.argv[1]) / 1000, (sys.argv[2], int(sys.argv[3]))
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def serve() -> None:
        while True:
            ends = listener.accept()[0], socket.create_connection(target)
            for each in ends:
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for pair in (ends, ends[::-1]):
                threading.Thread(target=carry, args=(*pair, delay_s), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - a program's output
    sys.stdin.read()


if __name__ == "__main__":
    main()
