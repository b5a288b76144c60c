# SPDX-License-Identifier: Apache-2.0
"""Ways to private machines and databases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestrator.domain.tunnel import TunnelStatus


@dataclass(frozen=True, slots=True)
class DoorMachine:
    """A running machine of a fleet."""

    instance_id: str
    fleet: str
    zone: str
    private_address: str
    public_address: str
    launched_at: datetime


class Directory(Protocol):
    """Which machines there are."""

    def running(self, environment: str, fleet: str = "") -> tuple[DoorMachine, ...]:
        """Return the running machines of an environment, or of one of its fleets, oldest first."""


class Authority(Protocol):
    """The key that signs an environment's certificates. It never leaves AWS."""

    def public_key(self) -> str:
        """Return it as a line of OpenSSH: `ssh-rsa AAAA...`.

        Raises:
            NotFound: The environment has no such key.
        """

    def sign(self, message: bytes) -> bytes:
        """Return the signature over a message: RSASSA-PKCS1-v1_5 with SHA-512."""


class Certificates(Protocol):
    """Makes keys, and OpenSSH's user certificates for them."""

    def new_key_pair(self) -> tuple[str, str]:
        """Return a private ed25519 key in OpenSSH's format and the line of its public one, only in memory."""

    def certificate(  # noqa: PLR0913 - the fields of a certificate
        self,
        public_key: str,
        *,
        key_id: str,
        principals: Sequence[str],
        serial: int,
        valid_after: datetime,
        valid_before: datetime,
        extensions: Sequence[str],
        authority: str,
        sign: Callable[[bytes], bytes],
    ) -> str:
        """Return the line of a certificate for a public key.

        Args:
            key_id: Whose it is, for logs.
            principals: What it opens.
            extensions: What it permits behind the doors: `permit-pty`.
            authority: The line of the public key that signs.
            sign: Signs bytes as Authority does.
        """


@dataclass(frozen=True, slots=True)
class Login:
    """What opens doors: a private key in OpenSSH's format and its certificate, both only in memory."""

    private_key: str
    certificate: str = ""

    def __repr__(self) -> str:
        return "Login(***)"


@dataclass(frozen=True, slots=True)
class Hop:
    """A machine on the way.

    Attributes:
        name: For people: the instance id.
        host_keys: All that it may show, lines `ssh-ed25519 AAAA...`.
    """

    name: str
    address: str
    user: str
    host_keys: tuple[str, ...]
    port: int = 22


@dataclass(frozen=True, slots=True)
class Route:
    """A way to a database: the hops in their order, and where the last of them connects to."""

    hops: tuple[Hop, ...]
    target: tuple[str, int]


class Routes(Protocol):
    """Looks for ways, anew each time: machines come and go. May be called from any thread, and blocks."""

    def find(self, *, avoid: frozenset[str] = frozenset()) -> tuple[Route, ...]:
        """Return ways, best first; those through hops whose names are in `avoid` come last.

        Raises:
            MachineMissing: There is none.
        """

    def login(self) -> Login:
        """Return credentials that open the hops' doors now; they may be valid for minutes only."""


@dataclass(frozen=True, slots=True)
class TunnelOptions:
    """How a tunnel behaves.

    Attributes:
        local_port: 0 for any that is free.
        patience_s: So long a new connection waits while the tunnel is rebuilt; then it is closed.
        keepalive_s: Seconds between two questions to a hop; it is given up after three without answer.
        has_standby: Keep a second way ready, through another machine where there is one.
        connect_timeout_s: The limit of one attempt to reach a hop.
    """

    local_port: int = 0
    patience_s: float = 30.0
    keepalive_s: float = 3.0
    has_standby: bool = True
    connect_timeout_s: float = 10.0


class Tunnel(Protocol):
    """An open tunnel. Its local listener opens once and stays, whatever happens to the hops."""

    @property
    def address(self) -> tuple[str, int]:
        """Return where it listens: 127.0.0.1 and a port."""

    def status(self) -> TunnelStatus:
        """Return how it is; cheap, from any thread."""

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for its end, and tell whether it has ended.

        Raises:
            DoorError: It has ended for a reason that trying again can't mend.
        """


class Tunnels(Protocol):
    """Opens tunnels: one engine."""

    @property
    def limits(self) -> tuple[str, ...]:
        """Return what this engine can't promise, one sentence each; empty for the best one."""

    def open(self, routes: Routes, options: TunnelOptions) -> AbstractContextManager[Tunnel]:
        """Open a tunnel that has reached its target once; closing leaves no thread, process, socket or file.

        Raises:
            PortBusy: The local port is taken.
            KeyRefused: A hop does not let us in.
            HostKeyChanged: A hop is not the machine it should be.
            MachineMissing: There is no way, or no hop answers.
            DatabaseUnreachable: The last hop can't connect to the target.
        """


class AuditTrail(Protocol):
    """The environment's records of who went through which door, in its log group and its bucket."""

    def write(self, record: Mapping[str, object], *, key: str) -> None:
        """Add a record; `key` names its object below `access/`."""


class DatabaseLogins(Protocol):
    """How people log in to the database."""

    def token(self, host: str, port: int, user: str) -> str:
        """Return a password for a user who logs in by IAM; it is valid for 15 minutes."""

    def secret(self, arn: str) -> tuple[str, str]:
        """Return user and password as RDS keeps them in Secrets Manager."""


class Terminal(Protocol):
    """Programs on the operator's own terminal."""

    def attend(
        self,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        descriptors: Mapping[int, bytes] | None = None,
        stdin: bytes | None = None,
    ) -> int:
        """Run a program to its end with this terminal and its signals, and return its exit code.

        Args:
            descriptors: What the program can read from descriptors of these numbers, and from nowhere else.
            stdin: What it reads instead of the terminal.
        """
