# SPDX-License-Identifier: Apache-2.0
"""What the demo needs of the world to try an environment from outside."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """An answer to a GET; status 0 when there was none, with the reason as `problem`."""

    status: int
    image: str = ""
    location: str = ""
    problem: str = ""


class Web(Protocol):
    """Gets pages from an address, whatever name they are asked for by."""

    def get(self, address: str, host: str, path: str, *, is_encrypted: bool) -> WebAnswer:
        """GET a path of `host` from `address`; over TLS the certificate has to be for `host`."""

    def is_open(self, address: str, port: int) -> bool:
        """Tell whether a TCP connection can be opened."""


class Listener(Protocol):
    """Hears what is published to a topic while it is open."""

    def receive(self) -> tuple[str, ...]:
        """Return the messages that came since the last call, in no certain order."""


class Messages(Protocol):
    """Queues and topics."""

    def send(self, queue_url: str, body: str) -> None:
        """Put a message into a queue."""

    def listen(self, topic_arn: str, name: str) -> AbstractContextManager[Listener]:
        """Hear a topic for the block, through a queue of that name that goes again."""


class Balancers(Protocol):
    """Load balancers."""

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return the public addresses of a load balancer, sorted."""
