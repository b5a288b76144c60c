# SPDX-License-Identifier: Apache-2.0
"""A way through hops with paramiko: each is reached through the one before, and asked whether it lives."""

from __future__ import annotations

import base64
import hashlib
import io
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.domain.tunnel import HopStatus
from orchestrator.errors import DatabaseUnreachable, HostKeyChanged, KeyRefused, MachineMissing
from orchestrator.ports.doors import Hop, Login, Route, TunnelOptions
from orchestrator.ssh.transport import Unacceptable, check_host_key, restrict

if TYPE_CHECKING:
    from paramiko import Channel, PKey, Transport

UNANSWERED = 3  # so many times the time between two questions may pass without an answer
_LIBRARY_LOG = "orchestrator.ssh.transport.library"
_END_S = 5.0
_ALARM = "find out why before anything else: somebody may sit in between, or the machine was set up anew"
_NOBODY = ("127.0.0.1", 0)


class Inner:
    """A channel that another connection goes through; the library expects a socket's errors of it."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def send(self, data: bytes) -> int:
        """Send some of the data."""
        try:
            return self._channel.send(data)
        except EOFError as exc:
            raise ConnectionError("the hop before is gone") from exc

    def close(self) -> None:
        """Close it, also when the hop before is gone."""
        with suppress(OSError, EOFError):
            self._channel.close()


class Pulse:
    """Asks a hop again and again whether it lives: the library's own keepalive expects no answer."""

    def __init__(self, hop: Hop, transport: Transport, *, every_s: float) -> None:
        self.hop = hop
        self.transport = transport
        self._every_s = every_s
        self._answered_at = time.monotonic()
        self._latency_s: float | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, name=f"pulse-{hop.name}", daemon=True)
        self._thread.start()

    @property
    def is_beating(self) -> bool:
        """Tell whether the connection stands and the last answer is not too old."""
        silent_s = time.monotonic() - self._answered_at
        return self.transport.is_active() and silent_s < UNANSWERED * self._every_s

    @property
    def status(self) -> HopStatus:
        """Return the hop as screens show it."""
        return HopStatus(self.hop.name, self._latency_s)

    def close(self) -> None:
        """Close the connection, and ask no more."""
        self._ending.set()
        self.transport.close()
        self.transport.join(_END_S)  # which the library does not always wait for
        self._thread.join(_END_S)

    def _ask_on(self) -> None:
        from paramiko import SSHException  # noqa: PLC0415 - most commands open no tunnel

        while self.transport.is_active() and not self._ending.is_set():
            asked_at = time.monotonic()
            try:
                self.transport.global_request("keepalive@openssh.com", wait=True)
            except (OSError, EOFError, SSHException):
                return
            self._answered_at = time.monotonic()
            self._latency_s = self._answered_at - asked_at
            self._ending.wait(self._every_s)


@dataclass(frozen=True, slots=True)
class Chain:
    """An open way."""

    route: Route
    pulses: tuple[Pulse, ...]

    @property
    def transport(self) -> Transport:
        """Return the connection to the last hop."""
        return self.pulses[-1].transport

    @property
    def is_alive(self) -> bool:
        """Tell whether all hops still answer."""
        return all(pulse.is_beating for pulse in self.pulses)

    @property
    def dead(self) -> frozenset[str]:
        """Return the name of the first hop that does not answer: those behind it could not."""
        return frozenset(next(([pulse.hop.name] for pulse in self.pulses if not pulse.is_beating), ()))

    def close(self) -> None:
        """Close all connections, the last hop's first."""
        for pulse in reversed(self.pulses):
            pulse.close()


def open_chain(route: Route, login: Login, options: TunnelOptions) -> Chain:
    """Connect to each hop, and see that the last of them reaches the target.

    Raises:
        KeyRefused, HostKeyChanged, MachineMissing, DatabaseUnreachable: As `Tunnels.open` does.
    """
    pulses: list[Pulse] = []
    try:
        for hop in route.hops:
            before = pulses[-1] if pulses else None
            transport = _log_in(hop, _reach(hop, before, options), login, options)
            pulses.append(Pulse(hop, transport, every_s=options.keepalive_s))
        chain = Chain(route, tuple(pulses))
        _try_target(chain, options)
    except BaseException:
        for pulse in reversed(pulses):
            pulse.close()
        raise
    return chain


def _reach(hop: Hop, before: Pulse | None, options: TunnelOptions) -> socket.socket | Inner:
    """Return a stream to a hop's ssh port: over the network, or through the hop before it."""
    from paramiko import SSHException  # noqa: PLC0415 - as above

    target = (hop.address, hop.port)
    try:
        if before is None:
            made = socket.create_connection(target, timeout=options.connect_timeout_s)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made
        return Inner(
            before.transport.open_channel("direct-tcpip", target, _NOBODY, timeout=options.connect_timeout_s)
        )
    except (OSError, EOFError, SSHException) as exc:
        way = f" through {before.hop.name}" if before else ""
        raise MachineMissing(_name(hop), f"it does not answer{way}: {_reason(exc)}") from exc


def _log_in(hop: Hop, stream: socket.socket | Inner, login: Login, options: TunnelOptions) -> Transport:
    """Talk ssh over a stream. The host key is compared before anything is said about who we are."""
    from paramiko import SSHException, Transport  # noqa: PLC0415 - as above
    from paramiko.ssh_exception import IncompatiblePeer  # noqa: PLC0415 - as above

    expected = {tuple(line.split()[:2]) for line in hop.host_keys}
    transport = Transport(stream)  # type: ignore[arg-type] # anything that is used as a socket is
    try:
        transport.set_log_channel(_LIBRARY_LOG)
        restrict(transport, sorted({kind for kind, _ in expected}))
        transport.banner_timeout = transport.auth_timeout = options.connect_timeout_s
        transport.start_client(timeout=options.connect_timeout_s)
        check_host_key(transport, expected)
        _show_key(hop, transport, login, options)
    except BaseException as exc:
        transport.close()
        if isinstance(exc, Unacceptable | IncompatiblePeer):
            raise _stranger(hop, str(exc)) from exc
        if isinstance(exc, OSError | EOFError | SSHException):
            raise MachineMissing(_name(hop), f"it broke off: {_reason(exc)}") from exc
        raise
    return transport


def _show_key(hop: Hop, transport: Transport, login: Login, options: TunnelOptions) -> None:
    from paramiko import SSHException  # noqa: PLC0415 - as above

    answered = threading.Event()
    transport.auth_publickey(hop.user, read_key(login), answered)
    if not answered.wait(options.connect_timeout_s):
        raise SSHException(f"no answer to our key within {options.connect_timeout_s:g} s")
    if not transport.is_active():
        raise EOFError("it closed the connection while we logged in")
    if not transport.is_authenticated():
        raise KeyRefused(_name(hop), "it does not let our key in")


def read_key(login: Login) -> PKey:
    """Return the key of a login, with its certificate if it has one."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key  # noqa: PLC0415 - as above
    from paramiko import Ed25519Key, RSAKey  # noqa: PLC0415 - as above

    try:
        is_rsa = isinstance(load_ssh_private_key(login.private_key.encode(), None), RSAPrivateKey)
        made = (RSAKey if is_rsa else Ed25519Key).from_private_key(io.StringIO(login.private_key))
        if login.certificate:
            made.load_certificate(login.certificate)
    except ValueError as exc:
        raise KeyRefused("our key", f"it can't be used: {exc}") from exc
    return made


def _try_target(chain: Chain, options: TunnelOptions) -> None:
    from paramiko import SSHException  # noqa: PLC0415 - as above

    host, port = chain.route.target
    try:
        chain.transport.open_channel(
            "direct-tcpip", (host, port), _NOBODY, timeout=options.connect_timeout_s
        ).close()
    except (OSError, EOFError, SSHException) as exc:
        last = chain.route.hops[-1].name
        raise DatabaseUnreachable(f"{host}:{port}", f"{last} can't connect to it: {_reason(exc)}") from exc


def _stranger(hop: Hop, reason: str) -> HostKeyChanged:
    """Return the error of a machine that is not the one it should be."""
    published = " and ".join(_fingerprint(line) for line in hop.host_keys) or "none"
    return HostKeyChanged(
        _name(hop),
        f"{reason}; it has published {published}",
        state="nothing was sent to it",
        next_command=_ALARM,
    )


def _fingerprint(line: str) -> str:
    """Return how OpenSSH shows a key: https://www.rfc-editor.org/rfc/rfc4648 without padding."""
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _name(hop: Hop) -> str:
    return f"{hop.name} ({hop.user}@{hop.address})"


def _reason(exc: BaseException) -> str:
    return str(exc) or type(exc).__name__
