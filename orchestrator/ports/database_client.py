# SPDX-License-Identifier: Apache-2.0
"""The database's own client program."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from orchestrator.ports.programs import CommandResult


@dataclass(frozen=True, slots=True)
class DatabaseSession:
    """How a client logs in.

    Attributes:
        certificates: Those that the server is known by, in PEM.
        user: Empty where people say it themselves.
        password: None where the client asks for it.
        has_token: The password is a token, which is sent as it is.
        is_read_only: Begin the session so that statements which change data are refused.
        title: What the prompt says.
    """

    address: tuple[str, int]
    database: str
    certificates: str
    user: str = ""
    password: str | None = None
    has_token: bool = False
    is_read_only: bool = True
    title: str = ""

    def __repr__(self) -> str:
        return f"DatabaseSession({self.user}@{self.address[0]}:{self.address[1]}/{self.database})"


class DatabaseClient(Protocol):
    """Runs the client; what is secret reaches it by a file descriptor or a private file, never by argv."""

    def interact(self, session: DatabaseSession) -> int:
        """Run it on the operator's terminal, and return its exit code."""

    def execute(self, session: DatabaseSession, sql: str) -> int:
        """Let it run SQL and print the result, and return its exit code."""

    def capture(self, session: DatabaseSession, sql: str) -> CommandResult:
        """Let it run SQL, and return its exit code with what it printed."""

    def options(self, session: DatabaseSession) -> AbstractContextManager[str]:
        """Keep a file of options for clients while the block lasts, and give the line that uses it.

        There is no password in it.
        """
