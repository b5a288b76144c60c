# SPDX-License-Identifier: Apache-2.0
"""What goes into a program and comes out of it, in files without a name.

Not in pipes: when we are killed, a program that cleans up and tells so would die of its first line; and pipes
stay open as long as anything that the program left in the background.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import IO, Self

_CHUNK = 65536
_PRIVATE = 0o600
OnLine = Callable[[str], None]


def holding(content: bytes) -> IO[bytes]:
    """Return a file to read `content` from, in memory where the system can: it may be a secret."""
    has_memory = hasattr(os, "memfd_create")
    file: IO[bytes] = os.fdopen(os.memfd_create("stdin"), "w+b") if has_memory else TemporaryFile()  # noqa: SIM115
    # Open to all otherwise, and clients of databases read no such file.
    os.fchmod(file.fileno(), _PRIVATE)
    file.write(content)
    file.seek(0)
    return file


def _ignore(line: str) -> None:
    """Take a line nobody wants to know of."""


class Output:
    """A file that a program writes to while we read it."""

    def __init__(self, on_line: OnLine | None = None) -> None:
        self.file: IO[bytes] = TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._on_line = on_line or _ignore
        self._content = bytearray()
        self._told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def read(self) -> None:
        """Take what has come, and tell its whole lines."""
        # The program writes at the file's own position, which pread leaves alone.
        while chunk := os.pread(self.file.fileno(), _CHUNK, len(self._content)):
            self._content += chunk
        end = self._content.rfind(b"\n") + 1
        if end > self._told:
            self._tell(end)

    def finish(self) -> str:
        """Take the rest, tell a last line even if it has no end, and return everything."""
        self.read()
        if len(self._content) > self._told:
            self._tell(len(self._content))
        return self._content.decode("utf-8", "replace")

    def _tell(self, end: int) -> None:
        lines = bytes(self._content[self._told : end]).removesuffix(b"\n").split(b"\n")
        self._told = end
        for line in lines:
            self._on_line(line.decode("utf-8", "replace").removesuffix("\r"))
