# SPDX-License-Identifier: Apache-2.0
"""A way into AWS that counts the calls, and lets the program that makes them die at one of them."""

from __future__ import annotations

import threading
from typing import Any

from orchestrator.aws.session import AwsSession, Endpoint


class Killed(BaseException):
    """The program is dead. No `except` of a library or of ours takes it for an error of a call."""


class MortalSession(AwsSession):
    """Counts what goes over the wire, and from a chosen call on lets nothing pass: whoever calls is dead.

    Attributes:
        heard: The operations asked for since `begin`, in order; each attempt of a retried one.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.heard: list[str] = []
        self._watched: set[str] = set()
        self._numbers = threading.local()
        self._guard = threading.Lock()
        self._dies_at, self._dies_after, self._is_dead = 0, False, False

    def client(self, service: str) -> Any:
        """Return the client of a service."""
        client = super().client(service)
        with self._guard:
            if service not in self._watched:
                self._watched.add(service)
                client.meta.events.register_first("before-send.*.*", self._send)
                client.meta.events.register_last("response-received.*.*", self._receive)
        return client

    def begin(self, *, dies_at: int = 0, after: bool = False) -> None:
        """Begin to count; die at a call, counted from 1, before it is sent or after its answer has come."""
        self.heard = []
        self._dies_at, self._dies_after, self._is_dead = dies_at, after, False

    def _send(self, event_name: str, **_: Any) -> None:
        with self._guard:
            if self._is_dead:
                raise Killed
            self.heard.append(event_name.removeprefix("before-send."))
            self._numbers.sent = len(self.heard)
            if self._numbers.sent == self._dies_at and not self._dies_after:
                self._is_dead = True
                raise Killed

    def _receive(self, parsed_response: Any, **_: Any) -> None:
        if self._numbers.sent != self._dies_at:
            return
        body = parsed_response.get("Body") if parsed_response else None
        if hasattr(body, "close"):
            body.close()
        self._is_dead = True
        raise Killed
