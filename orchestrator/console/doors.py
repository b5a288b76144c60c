# SPDX-License-Identifier: Apache-2.0
"""What machines say, line by line, each with the machine's name before it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import Protocol, TextIO


class Outcome(Protocol):
    """What came of a command on a machine."""

    @property
    def name(self) -> str: ...
    @property
    def instance_id(self) -> str: ...
    @property
    def zone(self) -> str: ...
    @property
    def exit_code(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def error(self) -> str: ...


class ShellOutput:
    """Stdout and stderr of machines on ours; what belongs to none of them on stderr."""

    def __init__(self, width: int, *, is_silent: bool = False) -> None:
        """Begin.

        Args:
            width: Of the longest name of a machine.
            is_silent: Show no machine's lines, because a document will.
        """
        self._width = width
        self._is_silent = is_silent
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Show a line that belongs to no machine."""
        self._write(sys.stderr, text)

    def line(self, name: str, instance_id: str, line: str, *, is_error: bool) -> None:
        """Show a line of a machine."""
        if not self._is_silent:
            text = f"{name.ljust(self._width)} {instance_id} | {line}"
            self._write(sys.stderr if is_error else sys.stdout, text)

    def summary(self, outcomes: Sequence[Outcome]) -> None:
        """Show how it ended on each machine."""
        for each in outcomes:
            ended = each.error or f"exit code {each.exit_code}"
            place = f"{each.name.ljust(self._width)} {each.instance_id} ({each.zone})"
            self.say(f"{place}: {ended}, {each.seconds:.1f} s")

    def _write(self, stream: TextIO, text: str) -> None:
        # One write, and at once: lines of several machines and of both streams come in their order.
        with self._lock:
            stream.write(f"{text}\n")
            stream.flush()
