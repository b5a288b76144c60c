# SPDX-License-Identifier: Apache-2.0
"""Shells and commands on machines behind doors."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from orchestrator.ports.doors import Hop, Login
from orchestrator.ports.programs import CommandResult


class OnMachineLine(Protocol):
    """Takes the lines of a command on a machine as they come, from any thread."""

    def __call__(self, line: str, *, is_error: bool) -> None:
        """Take a line, of stderr or of stdout."""


class DoorShell(Protocol):
    """An open way to machines' shells."""

    @property
    def via(self) -> str:
        """Return the bastion that it goes through; empty if through none."""

    def attend(self, hop: Hop, command: str = "") -> int:
        """Give the terminal to a shell on a machine, or to a command, and return its exit code.

        Raises:
            DoorError: The machine could not be reached, or the connection was lost.
            KeyboardInterrupt: It ended because of Ctrl-C.
        """

    def run(self, hop: Hop, command: str, *, on_line: OnMachineLine) -> CommandResult:
        """Run a command on a machine, from any thread, without a terminal or anything to read.

        Raises:
            DoorError: The machine could not be reached, or the connection was lost.
        """

    def stop(self) -> None:
        """End what runs, from any thread; nothing more is started, and those who wait are interrupted."""


class DoorShells(Protocol):
    """Opens ways to machines' shells."""

    def open(
        self, bastions: Sequence[Hop], targets: Sequence[Hop], login: Login
    ) -> AbstractContextManager[DoorShell]:
        """Open a way to machines, through the first bastion that answers; directly if there is none.

        Raises:
            DoorError: No bastion lets us through.
        """
