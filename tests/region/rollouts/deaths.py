# SPDX-License-Identifier: Apache-2.0
"""A way into AWS that counts the calls, and lets the program that makes them die at one of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.aws.session import AwsSession, Endpoint

# How operations begin that change something.
_CHANGING = (
    "Cancel",
    "Create",
    "Delete",
    "Modify",
    "Publish",
    "Put",
    "Resume",
    "Rollback",
    "Start",
    "Suspend",
)


class Killed(BaseException):
    """The program is dead. No `except` of a library or of ours takes it for an error of a call."""


@dataclass(frozen=True, slots=True)
class Death:
    """When to die: at the first call of an operation once so many calls have changed something.

    It is not counted in calls, because a run more or less lucky looks more or less often.
    """

    changes: int
    operation: str
    after: bool = False


def is_change(operation: str) -> bool:
    """Tell whether an operation, `service.Operation`, changes something."""
    return operation.partition(".")[2].startswith(_CHANGING)


def deaths(heard: Sequence[str]) -> Iterator[Death]:
    """Give deaths that a run which made these calls can die, those that come to the same but once.

    They are those after each call that changes something; before it all is as after the one before, so that
    is done for the first call, and for what is no record or lock.
    """
    changes = 0
    yield Death(0, heard[0])
    for operation in heard:
        if is_change(operation):
            if not operation.startswith("s3."):
                yield Death(changes, operation)
            yield Death(changes, operation, after=True)
            changes += 1


class MortalSession(AwsSession):
    """Counts what goes over the wire, and from a chosen call on lets nothing pass: whoever calls is dead.

    Attributes:
        heard: The operations asked for since `begin`, in order; each attempt of a retried one.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.heard: list[str] = []
        self._watched: set[str] = set()
        self._thread = threading.local()
        self._guard = threading.Lock()
        self._changes = 0
        self._death: Death | None = None
        self._is_dead = False

    def client(self, service: str) -> Any:
        """Return the client of a service."""
        client = super().client(service)
        with self._guard:
            if service not in self._watched:
                self._watched.add(service)
                client.meta.events.register_first("before-send.*.*", self._send)
                client.meta.events.register_last("response-received.*.*", self._receive)
        return client

    def begin(self, death: Death | None = None) -> None:
        """Begin to count, and to wait for a death."""
        self.heard, self._changes = [], 0
        self._death, self._is_dead = death, False

    def _send(self, event_name: str, **_: Any) -> None:
        operation = event_name.removeprefix("before-send.")
        with self._guard:
            if self._is_dead:
                raise Killed
            self.heard.append(operation)
            death = self._death
            self._thread.is_last = death is not None and (death.changes, death.operation) == (
                self._changes,
                operation,
            )
            self._changes += is_change(operation)
            self._is_dead = self._thread.is_last
            if death and self._is_dead and not death.after:
                raise Killed

    def _receive(self, parsed_response: Any, **_: Any) -> None:
        if not self._thread.is_last:
            return
        body = parsed_response.get("Body") if parsed_response else None
        if hasattr(body, "close"):
            body.close()
        raise Killed
