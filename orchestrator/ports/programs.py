# SPDX-License-Identifier: Apache-2.0
"""Programs and shells: what runs here or on another machine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended, with all it printed."""

    status: int
    stdout: str
    stderr: str


class KeyMaker(Protocol):
    """Makes key pairs that live as long as one run."""

    def make(self, folder: Path, name: str) -> tuple[Path, str]:
        """Write an ed25519 private key (0600) into the folder; return its path and the public key's line."""


class RemoteShell(Protocol):
    """Commands on one machine, over ssh with a verified host key."""

    def run(self, command: str, *, stdin: bytes = b"", timeout_s: float = 120) -> CommandResult:
        """Run a command to its end."""


class Shells(Protocol):
    """Opens shells."""

    def connect(
        self, address: str, *, user: str, private_key: Path, host_keys: Sequence[str], timeout_s: float
    ) -> AbstractContextManager[RemoteShell]:
        """Connect, retrying until the port answers or the time is up.

        Args:
            host_keys: The only acceptable host keys, as `ssh-ed25519 AAAA...` lines.
        """


class Programs(Protocol):
    """Programs of this host that a run has started."""

    def terminate_all(self) -> None:
        """Ask every program of this process to clean up and end, and see to it that it does."""

    def end_run(self, run_id: str) -> int:
        """End the programs a dead run left behind on this host; return how many there were."""
