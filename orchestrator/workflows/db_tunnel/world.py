# SPDX-License-Identifier: Apache-2.0
"""What the tunnel to a database is made with, what is asked of it, and what is shown of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from orchestrator.config.network import Database
from orchestrator.domain.database_door import DatabasePlace, Endpoint
from orchestrator.domain.tunnel import TunnelStatus
from orchestrator.domain.tunnel_story import TunnelLook
from orchestrator.ports import DatabaseClient, DoorMachine, Tunnels
from orchestrator.workflows.doors.world import DoorWorld


class Use(Enum):
    """What a tunnel is opened for."""

    STAY = "a local port"
    CLIENT = "the client"
    EXEC = "one run of SQL"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for.

    Attributes:
        via: The fleet to go through; empty to choose one.
        local_port: 0 for any that is free.
        user: Who logs in to the database; empty for its master user.
        is_iam: The user logs in with a token instead of a password.
        ttl: So long the tunnel stays open at most.
        is_captured: What SQL prints is wanted as data.
    """

    endpoint: Endpoint
    ttl: timedelta
    use: Use = Use.STAY
    via: str = ""
    local_port: int = 0
    sql: str = ""
    user: str = ""
    is_iam: bool = False
    is_read_only: bool = False
    is_confirmed: bool = False
    is_captured: bool = False

    @property
    def refuses_writes(self) -> bool:
        """Tell whether sessions that we begin are read-only."""
        return self.is_read_only or self.endpoint is Endpoint.READER


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a tunnel goes, and through which fleet. `machines` were looked up for it, if they were."""

    place: DatabasePlace
    fleet: str
    server_class: str
    machines: tuple[DoorMachine, ...] | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """A tunnel that has opened; `session` is what records name."""

    environment: str
    session: str
    address: tuple[str, int]
    plan: Plan
    request: Request
    status: TunnelStatus
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended.

    Attributes:
        exit_code: That of the client, 0 without one.
        is_over_time: The tunnel's time was up.
        output: What SQL printed, if it was wanted as data.
    """

    status: TunnelStatus
    seconds: float
    exit_code: int = 0
    is_over_time: bool = False
    output: str = ""


class Screen(Protocol):
    """What an operator sees of a tunnel; from any thread."""

    def ready(self, ready: Ready) -> None:
        """Tell that it is open, and how to connect."""

    def hint(self, text: str) -> None:
        """Show a line about how to connect."""

    def say(self, text: str) -> None:
        """Show a line that stays."""

    def show(self, look: TunnelLook) -> None:
        """Show how it is now."""

    def closed(self, outcome: Outcome) -> None:
        """Tell how it ended; by an error it is told otherwise."""


@dataclass(frozen=True, slots=True)
class TunnelWorld:
    """An environment's doors, its network's database, and what carries and uses a tunnel.

    Attributes:
        database: None where the network has none.
    """

    doors: DoorWorld
    database: Database | None
    tunnels: Tunnels
    client: DatabaseClient
