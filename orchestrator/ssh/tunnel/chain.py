# SPDX-License-Identifier: Apache-2.0
"""A chain: ssh connections over all hops of a route, each through the one before it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import asyncssh

from orchestrator.domain.tunnel import HopStatus
from orchestrator.errors import MachineMissing
from orchestrator.ports.doors import Hop, Login, Route, TunnelOptions
from orchestrator.ssh.tunnel.failures import HOP_FAILURES, hop_failure
from orchestrator.ssh.tunnel.pipe import MAX_PACKET, WINDOW, Pipe

# Authenticated ciphers first: they are several times faster than others with a digest of their own.
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_HOST_KEY_KINDS = ("ssh-ed25519", *_RSA, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
_UNANSWERED = 3
_SMALLEST_WINDOW = 1024 * 1024
_FASTEST = 200_000_000  # bytes per second; what two layers of ssh in Python can carry at all
_GOODBYE_S = 0.1

# What the library has to say comes as exceptions; its log would be lines on the operator's terminal.
logging.getLogger("asyncssh").addHandler(logging.NullHandler())
logging.getLogger("asyncssh").propagate = False


@dataclass(slots=True)
class _Link:
    """The connection to one hop."""

    hop: Hop
    pipe: Pipe
    ssh: asyncssh.SSHClientConnection
    latency_s: float | None = None
    shortest_s: float | None = None


def window_for(round_trip_s: float | None) -> int:
    """Return how much a target may send on one channel before we take it: no more than fills the way.

    More makes no stream faster. It only waits somewhere, before everybody else's answers.
    """
    if round_trip_s is None:
        return WINDOW
    return max(_SMALLEST_WINDOW, min(WINDOW, int(round_trip_s * _FASTEST)))


class _Guard(asyncssh.SSHClient):
    """Compares the host key, before anything is said about who we are, and tells of the connection's end."""

    def __init__(self, hop: Hop, on_lost: Callable[[Hop, Exception | None], None]) -> None:
        self.shown: asyncssh.SSHKey | None = None
        self._hop = hop
        self._on_lost = on_lost
        self._expected = {tuple(line.split()[:2]) for line in hop.host_keys}

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Tell whether it is one of the keys that the machine has published."""
        del host, addr, port
        if tuple(key.export_public_key().decode().split()[:2]) in self._expected:
            return True
        self.shown = key
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on that the connection is over."""
        self._on_lost(self._hop, exc)


class Chain:
    """Ssh connections over all hops. `on_lost` is called once, when any of them is over unasked."""

    def __init__(
        self, number: int, route: Route, options: TunnelOptions, *, on_lost: Callable[[Chain, str], None]
    ) -> None:
        self.number = number
        self.route = route
        self.is_over = False
        self.ready_s = 0.0
        self.stuck_at = ""  # the hop that we are on the way to
        self.on_congestion: Callable[[bool], None] | None = None
        self._options = options
        self._on_lost = on_lost
        self._links: list[_Link] = []
        self._watches: list[asyncio.Task[None]] = []

    @property
    def hops(self) -> tuple[HopStatus, ...]:
        """Return the hops with their latencies."""
        return tuple(HopStatus(link.hop.name, link.latency_s) for link in self._links)

    @property
    def is_congested(self) -> bool:
        """Tell whether what we send piles up before one of the hops."""
        return any(link.pipe.is_congested for link in self._links)

    async def connect(self, login: Login) -> None:
        """Log in to all hops.

        Raises:
            DoorError: One of them can't be reached, is another machine, or does not let us in.
        """
        try:
            for hop in self.route.hops:
                self.stuck_at = hop.name
                self._links.append(await self._link(hop, login))
        except BaseException:
            self.abort()
            raise
        if self.is_over:
            raise MachineMissing(f"ssh {self.route.hops[0].name}", "it broke at once")
        self.ready_s = time.monotonic()
        self._watches = [asyncio.create_task(self._watch(link)) for link in self._links]
        self._watches += [asyncio.create_task(_quicken(link.ssh)) for link in self._links]

    async def _link(self, hop: Hop, login: Login) -> _Link:
        if not hop.host_keys:
            raise MachineMissing(
                f"ssh {hop.name}", "it has not published its host keys", state="nothing was sent to it"
            )
        guard = _Guard(hop, self._lost)
        before = self._links[-1] if self._links else None
        pipe = Pipe(
            before=before.pipe if before else None,
            through=before.ssh if before else None,
            on_congestion=self._congestion_changed,
        )
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                ssh = await _log_in(hop, login, pipe=pipe, guard=guard)
        except HOP_FAILURES as exc:
            raise hop_failure(hop, exc, shown=guard.shown) from exc
        return _Link(hop, pipe, ssh)

    async def open_channel(
        self, factory: Callable[[], asyncssh.SSHTCPSession[bytes]], origin: tuple[str, int] = ("127.0.0.1", 0)
    ) -> asyncssh.SSHTCPChannel[bytes]:
        """Let the last hop connect to the target."""
        host, port = self.route.target
        last = self._links[-1]
        channel, _ = await last.ssh.create_connection(
            factory, host, port, *origin, window=window_for(last.shortest_s), max_pktsize=MAX_PACKET
        )
        return channel

    async def _watch(self, link: _Link) -> None:
        """Ask the hop at regular intervals; when nothing at all is heard for three of them, give it up.

        The library's own keepalive counts one interval more, and does not tell how long answers take.
        """
        interval_s = self._options.keepalive_s
        question: asyncio.Task[None] | None = None
        while True:
            if question is None or question.done():
                question = asyncio.create_task(_ask(link))
                self._watches.append(question)
            left_s = link.pipe.heard_s + _UNANSWERED * interval_s - time.monotonic()
            pause_s = max(0.0, min(interval_s, left_s))
            slept_from = time.monotonic()
            await asyncio.sleep(pause_s)
            now = time.monotonic()
            if now - slept_from > pause_s + interval_s:
                link.pipe.heard_s = now  # this process was stopped: answers may be there, unread
            self._watches = [task for task in self._watches if not task.done()]
            if now - link.pipe.heard_s >= _UNANSWERED * interval_s:
                self._lost(link.hop, TimeoutError(f"no answer for {now - link.pipe.heard_s:.0f} s"))
                return

    def _congestion_changed(self) -> None:
        if self.on_congestion is not None:
            self.on_congestion(self.is_congested)

    def _lost(self, hop: Hop, exc: Exception | None) -> None:
        """End the whole chain when one connection is over: nothing can pass any more."""
        if self.is_over:
            return
        self.abort()
        if self.ready_s:
            self._on_lost(self, f"{hop.name}: {exc or 'it closed the connection'}")

    def abort(self) -> None:
        """End everything at once, without a word."""
        self.is_over = True
        for watch in self._watches:
            watch.cancel()
        for link in reversed(self._links):
            link.ssh.abort()

    async def close(self) -> None:
        """End everything with a word to each hop, if it can be said at once."""
        self.is_over = True
        for link in reversed(self._links):
            link.ssh.close()
            # One after the other: the farewell to a hop passes the hops before it.
            with suppress(TimeoutError):
                await asyncio.wait_for(link.ssh.wait_closed(), _GOODBYE_S)
        self.abort()


async def _quicken(ssh: asyncssh.SSHClientConnection) -> None:
    """Make the hop send small packets at once.

    sshd leaves Nagle's algorithm on (RFC 896) until a session asks for a command; then answers of some
    queries wait 40 ms for an acknowledgement. The doors of tunnels run no command: this ends at once with
    nothing done, and where even the session is refused the tunnel is slower and works.
    """
    with suppress(asyncssh.Error, OSError):
        channel, _ = await ssh.create_session(asyncssh.SSHClientSession, "true", encoding=None)
        channel.close()


async def _ask(link: _Link) -> None:
    """Ask a hop for a sign of life, which no other function of the library does alone."""
    asked_s = time.monotonic()
    await link.ssh._make_global_request(b"keepalive@openssh.com")
    link.latency_s = time.monotonic() - asked_s
    link.shortest_s = min(link.latency_s, link.shortest_s or link.latency_s)


async def _log_in(hop: Hop, login: Login, *, pipe: Pipe, guard: _Guard) -> asyncssh.SSHClientConnection:
    """Log in to one hop, with nothing of the operator's own: no configuration, agent, keys or known hosts."""
    kinds = {line.split()[0] for line in hop.host_keys}
    known = [kind for kind in _HOST_KEY_KINDS if (kind if kind not in _RSA else "ssh-rsa") in kinds]
    key = asyncssh.import_private_key(login.private_key)
    keys = (key, asyncssh.import_certificate(login.certificate)) if login.certificate else key
    return await asyncssh.connect(
        hop.address,
        hop.port,
        tunnel=pipe,
        client_factory=lambda: guard,
        config=None,
        username=hop.user,
        client_keys=[keys],
        # The guard decides alone. Kinds of keys that the machine has not published are asked for last,
        # so that a stranger's key is seen and named.
        known_hosts=lambda *_: ([], [], [], [], [], [], []),
        server_host_key_algs=[*known, *(kind for kind in _HOST_KEY_KINDS if kind not in known)],
        x509_trusted_certs=None,
        agent_path=None,
        agent_forwarding=False,
        preferred_auth="publickey",
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
        gss_auth=False,
        gss_kex=False,
        encryption_algs=_CIPHERS,
        compression_algs=("none",),
        keepalive_interval=0,
    )
