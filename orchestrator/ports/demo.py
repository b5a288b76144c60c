# SPDX-License-Identifier: Apache-2.0
"""What the demo needs of the world to try an environment from outside."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """A page to ask for at a constant rate: of `host`, over TLS, from `addresses` in turn."""

    addresses: tuple[str, ...]
    host: str
    path: str
    per_second: float
    limit_s: float
    port: int = 443
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What came of a load so far.

    Anything but a whole answer with status 200 has failed. `statuses` counts the others too; `problems` says
    why there was no answer, by how often; `images` counts good answers by the image that gave them.
    """

    requests: int = 0
    failed: int = 0
    statuses: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, int] = field(default_factory=dict)
    images: Mapping[str, int] = field(default_factory=dict)
    slowest_s: float = 0.0
    examples: tuple[str, ...] = ()


class RunningLoad(Protocol):
    """A load that goes on, or has ended."""

    def report(self) -> LoadReport:
        """Return what came of it so far."""


class Load(Protocol):
    """Puts load on pages."""

    def on(self, request: LoadRequest) -> AbstractContextManager[RunningLoad]:
        """Keep the load up for the block; what was begun is answered before it ends."""
