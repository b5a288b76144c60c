# SPDX-License-Identifier: Apache-2.0
"""What doors are opened with: an environment and the ports into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.clock import Clock
from orchestrator.config.models import Environment
from orchestrator.domain.door import who_of
from orchestrator.ports import (
    AuditTrail,
    Authority,
    Certificates,
    DatabaseLogins,
    Directory,
    Identity,
    Parameters,
    Stacks,
)


@dataclass(frozen=True, slots=True)
class DoorWorld:
    """An environment and the ports into it.

    Attributes:
        operator: Who runs the command, for records: `ann@laptop`.
        run_id: The session that records and certificates name.
        database_ca: Fetches the certificates that the database is known by, in PEM.
    """

    environment: Environment
    directory: Directory
    parameters: Parameters
    authority: Authority
    certificates: Certificates
    identity: Identity
    stacks: Stacks
    audit: AuditTrail
    logins: DatabaseLogins
    clock: Clock
    operator: str
    run_id: str
    database_ca: Callable[[], str]

    @property
    def who(self) -> str:
        """Return the name that the operator has in certificates and records."""
        return who_of(self.identity.arn())
