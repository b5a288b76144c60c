# SPDX-License-Identifier: Apache-2.0
"""What the workflows about images work with: an environment and the ports into it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from orchestrator.clock import Clock
from orchestrator.config.models import Environment
from orchestrator.ports import Builder, Identity, Images, KeyMaker, Locks, Machines, Objects, Programs, Shells
from orchestrator.workflows.account import guard_account


class Interrupted(KeyboardInterrupt):
    """Raised in worker threads when the operator stopped the command, so that they clean up and end."""


class StoppableClock:
    """A clock that wakes its sleepers when the command is stopped."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stopped = threading.Event()

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic_s(self) -> float:
        return self._clock.monotonic_s()

    def sleep(self, seconds: float) -> None:
        self.check()
        self._clock.sleep(seconds)
        self.check()

    def check(self) -> None:
        """Raise Interrupted if the command was stopped."""
        if self._stopped.is_set():
            raise Interrupted

    def stop(self) -> None:
        """Stop: every later sleep and check raises."""
        self._stopped.set()


def new_run_id(verb: str, clock: Clock) -> str:
    """Return a name for one run of a command: sortable by time, unique without coordination."""
    return f"{verb}-{clock.now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class World:
    """An environment and the ports into it."""

    project: Path
    environment: Environment
    images: Images
    machines: Machines
    objects: Objects
    identity: Identity
    locks: Locks
    shells: Shells
    keys: KeyMaker
    builder: Builder
    programs: Programs
    clock: StoppableClock
    operator_cidr: Callable[[], str]
    run_id: str = field(default="")

    @property
    def runs_folder(self) -> Path:
        """Return where runs keep their keys and staged contexts while they last."""
        return self.project / "build" / "runs"

    def guard_account(self) -> None:
        """Refuse to change anything when the credentials are another account's."""
        guard_account(self.environment, self.identity)
