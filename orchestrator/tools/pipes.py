# SPDX-License-Identifier: Apache-2.0
"""Feed and read a child's pipes in one thread, line by line, not waiting for those that others keep open."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from typing import IO, Protocol

_CHUNK = 65536
OnLine = Callable[[str], None]


class Child(Protocol):
    """A process as subprocess.Popen has it."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None


class Pipes:
    """A child's stdin, stdout and stderr."""

    def __init__(self, child: Child, *, stdin: bytes, on_line: OnLine | None) -> None:
        self._selector = selectors.DefaultSelector()
        self._rest_of_input = memoryview(stdin)
        self._on_line = on_line
        self._partial = b""
        self._output: dict[int, bytearray] = {}
        self._names: dict[str, int] = {}
        self._pipes: dict[int, IO[bytes]] = {}
        for name, pipe in (("stdout", child.stdout), ("stderr", child.stderr)):
            if pipe is not None:
                self._names[name] = pipe.fileno()
                self._output[pipe.fileno()] = bytearray()
                self._watch(pipe, selectors.EVENT_READ)
        if child.stdin is not None:
            self._watch(child.stdin, selectors.EVENT_WRITE)

    @property
    def is_open(self) -> bool:
        """Tell whether something can still come or go."""
        return bool(self._selector.get_map())

    def text(self, name: str) -> str:
        """Return all that came out of `stdout` or `stderr`."""
        return self._output[self._names[name]].decode("utf-8", "replace")

    def turn(self, timeout_s: float) -> bool:
        """Move what can be moved within the time; tell whether anything was."""
        ready = self._selector.select(timeout_s)
        for key, _ in ready:
            pipe = self._pipes[key.fd]
            if key.events & selectors.EVENT_WRITE:
                self._write(pipe)
            else:
                self._read(pipe)
        return bool(ready)

    def finish(self) -> None:
        """Take what is there and close: the child is gone, though its own children may hold the pipes."""
        while self.is_open and self.turn(0):
            pass
        for key in tuple(self._selector.get_map().values()):
            self._close(self._pipes[key.fd])
        self._selector.close()
        if self._partial:
            self._tell(b"\n")

    def _watch(self, pipe: IO[bytes], event: int) -> None:
        os.set_blocking(pipe.fileno(), False)
        self._pipes[pipe.fileno()] = pipe
        self._selector.register(pipe, event)

    def _read(self, pipe: IO[bytes]) -> None:
        chunk = os.read(pipe.fileno(), _CHUNK)
        if not chunk:
            self._close(pipe)
            return
        self._output[pipe.fileno()] += chunk
        if pipe.fileno() == self._names["stdout"]:
            self._tell(chunk)

    def _write(self, pipe: IO[bytes]) -> None:
        try:
            written = os.write(pipe.fileno(), self._rest_of_input[:_CHUNK]) if self._rest_of_input else 0
        except BrokenPipeError:  # it doesn't want the rest
            self._close(pipe)
            return
        self._rest_of_input = self._rest_of_input[written:]
        if not self._rest_of_input:
            self._close(pipe)

    def _tell(self, chunk: bytes) -> None:
        if self._on_line is None:
            return
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        for line in lines:
            self._on_line(line.decode("utf-8", "replace").rstrip("\r"))

    def _close(self, pipe: IO[bytes]) -> None:
        self._selector.unregister(pipe)
        pipe.close()
