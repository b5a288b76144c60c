# SPDX-License-Identifier: Apache-2.0
"""The door to a database: which endpoint, where it is, how long it stays open, what to type at its end. Pure.

The reader endpoint is what people get unless they ask for the writer: what is connected to it can't change
anything, because the server itself refuses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from urllib.parse import quote

from orchestrator.domain.door import Door
from orchestrator.errors import ConfigError, Refused

VERB = "db-tunnel"
LONGEST = timedelta(hours=24)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}
_LAST_PORT = 65535
# What the network's database stack tells.
_WRITER_OUTPUT, _READER_OUTPUT = "ClusterEndpoint", "ReaderEndpoint"
_PORT_OUTPUT, _SECRET_OUTPUT = "ClusterPort", "MasterSecretArn"


class Endpoint(StrEnum):
    """Where a cluster is reached."""

    READER = "reader"
    WRITER = "writer"

    @property
    def door(self) -> Door:
        """Return the door of a machine that leads there."""
        return Door.WRITER if self is Endpoint.WRITER else Door.READER


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """Where a database is, and what its master user's password is kept in."""

    endpoint: Endpoint
    host: str
    port: int
    name: str
    secret_arn: str


def place_of(outputs: Mapping[str, str], endpoint: Endpoint, *, name: str, stack: str) -> DatabasePlace:
    """Return where an endpoint is, by the outputs of a network's database stack.

    Raises:
        Refused: The stack does not tell.
    """
    host_output = _WRITER_OUTPUT if endpoint is Endpoint.WRITER else _READER_OUTPUT
    missing = [each for each in (host_output, _PORT_OUTPUT, _SECRET_OUTPUT) if not outputs.get(each)]
    if missing:
        raise Refused(f"database {name}", f"the stack {stack} has no output {', '.join(missing)}")
    port = int(outputs[_PORT_OUTPUT])
    return DatabasePlace(endpoint, outputs[host_output], port, name, outputs[_SECRET_OUTPUT])


def parse_endpoint(text: str) -> Endpoint:
    """Return the endpoint that somebody typed.

    Raises:
        ConfigError: There is no such endpoint.
    """
    try:
        return Endpoint(text)
    except ValueError as error:
        problem = f"{VERB}: endpoint {text!r}: must be one of {', '.join(Endpoint)}"
        raise ConfigError(VERB, (problem,)) from error


def parse_ttl(text: str, *, default_hours: int) -> timedelta:
    """Return how long a tunnel stays open: `8h`, `30m`, `90s`, or the default for an empty text.

    Raises:
        ConfigError: It is none of these, or is longer than a day.
    """
    if not text:
        return timedelta(hours=default_hours)
    matched = re.fullmatch(r"([1-9][0-9]{0,6})([smh])", text)
    if matched is None:
        raise ConfigError(VERB, (f"{VERB}: ttl {text!r}: must be like 8h, 30m or 90s",))
    ttl = timedelta(**{_UNITS[matched[2]]: int(matched[1])})
    if ttl > LONGEST:
        raise ConfigError(VERB, (f"{VERB}: ttl {text!r}: must be 24h at most",))
    return ttl


def parse_port(text: str) -> int:
    """Return the local port that somebody typed; 0, for any that is free, for an empty text.

    Raises:
        ConfigError: It is no port.
    """
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _LAST_PORT):
        raise ConfigError(VERB, (f"{VERB}: local-port {text!r}: must be a number from 1 to {_LAST_PORT}",))
    return int(text)


def dsn(place: DatabasePlace, address: tuple[str, int], user: str = "") -> str:
    """Return the address of a database at the end of a tunnel, as programs take it; never with a password.

    The certificate is checked against its authority only: its name can't be that of this machine.
    """
    host, port = address
    login = f"{quote(user, safe='')}@" if user else ""
    return f"mysql://{login}{host}:{port}/{place.name}?ssl-mode=VERIFY_CA"


@dataclass(frozen=True, slots=True)
class Passage:
    """A fleet whose machines may reach the database, and how many of them run."""

    fleet: str
    running: int


def choose_passage(passages: Sequence[Passage]) -> Passage | None:
    """Return the fleet to go through: that with the most machines, of equals the first; None if none runs.

    The more there are the likelier another one carries on when a machine goes away.
    """
    return max((each for each in passages if each.running), key=lambda each: each.running, default=None)
