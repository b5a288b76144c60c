# SPDX-License-Identifier: Apache-2.0
"""Does what a tunnel's life decides, in the event loop."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from typing import Any

import asyncssh

from orchestrator.domain.tunnel import TunnelState, TunnelStatus
from orchestrator.domain.tunnel_life import (
    Action,
    Build,
    BuildFailed,
    ChainBuilt,
    ChainLost,
    ClientCame,
    ClientGone,
    CloseAsked,
    End,
    Event,
    Finish,
    GraceOver,
    Hurry,
    PatienceOver,
    Release,
    Serve,
    StopListening,
    advance,
    begin,
)
from orchestrator.errors import MachineMissing, SlipwayError
from orchestrator.ports.doors import Routes, TunnelOptions
from orchestrator.ssh.tunnel.builder import Builder, NotBuilt, rest
from orchestrator.ssh.tunnel.chain import Chain
from orchestrator.ssh.tunnel.failures import reason, target_failure
from orchestrator.ssh.tunnel.listener import BACKLOG
from orchestrator.ssh.tunnel.relay import Far, Relay

# A way that is lost sooner has not lasted: the next one is not built at once.
_FRESH_S = 5.0
_CLEAN_UP_S = 0.5
_ROUNDS = 5

_log = logging.getLogger(__name__)


def _note(_: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Log what the event loop can tell nobody; by itself it would write to the operator's terminal."""
    _log.debug("%s", context.get("message"), exc_info=context.get("exception"))


class Supervisor:
    """Runs a tunnel. All methods are of the event loop's thread, except `status`."""

    def __init__(
        self,
        listener: socket.socket,
        routes: Routes,
        options: TunnelOptions,
        *,
        grace_s: float,
        refusal_s: float,
    ) -> None:
        self._listener = listener
        self._options = options
        self._grace_s = grace_s
        self._builder = Builder(routes, options, on_lost=self._chain_lost, refusal_s=refusal_s)
        self._life, self._first = begin(wants_standby=options.has_standby)
        self._chains: dict[int, Chain] = {}
        self._relays: dict[int, Relay] = {}
        self._numbers = itertools.count(1)
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._farewells: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._finished = asyncio.Event()
        self._lost_hops: frozenset[str] = frozenset()
        self._served = self._failed = self._sent = self._received = 0
        self.error: BaseException | None = None
        self.opened: Future[None] = Future()

    # What happens

    async def run(self) -> None:
        """Run the tunnel to its end; `error` then tells why it ended, if nobody asked it to."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_note)
        self._server = await loop.create_server(
            lambda: Relay(next(self._numbers), self), sock=self._listener, backlog=BACKLOG
        )
        for action in self._first:
            self._act(action)
        await self._finished.wait()
        await self._clean_up()

    def close(self) -> None:
        """Ask for the end."""
        self._happen(CloseAsked(grace=self._grace_s > 0))
        if self._life.state is TunnelState.DRAINING:
            asyncio.get_running_loop().call_later(self._grace_s, self._happen, GraceOver())

    def client_came(self, relay: Relay) -> None:
        """Take in a client."""
        self._relays[relay.number] = relay
        self._wait(relay)

    def client_again(self, relay: Relay) -> None:
        """Take in a client once more."""
        self._wait(relay)

    def _wait(self, relay: Relay) -> None:
        loop = asyncio.get_running_loop()
        self._timers[relay.number] = loop.call_later(
            self._options.patience_s, self._happen, PatienceOver(relay.number)
        )
        relay.had_to_wait = not self._life.active
        self._happen(ClientCame(relay.number))

    def client_served(self, relay: Relay) -> None:
        """End a client's wait."""
        if timer := self._timers.pop(relay.number, None):
            timer.cancel()

    def client_gone(self, relay: Relay, *, is_failure: bool) -> None:
        """Count a client, and forget it."""
        del self._relays[relay.number]
        self.client_served(relay)
        self._sent += relay.sent
        self._received += relay.received
        self._failed += is_failure
        self._served += not is_failure
        self._happen(ClientGone(relay.number))

    def _chain_lost(self, chain: Chain, why: str) -> None:
        _log.info("lost %s", why)
        if chain.number == self._life.active:
            self._lost_hops = frozenset(hop.name for hop in chain.route.hops)
        self._chains.pop(chain.number, None)
        was_fresh = time.monotonic() - chain.ready_s < _FRESH_S
        self._happen(ChainLost(chain.number, why, was_fresh))

    def _happen(self, event: Event) -> None:
        self._life, actions = advance(self._life, event)
        for action in actions:
            self._act(action)
        if self._life.state is TunnelState.READY and not self.opened.done():
            self.opened.set_result(None)

    # What is done

    def _act(self, action: Action) -> None:  # noqa: C901 - a table of actions
        match action:
            case Build(failures):
                # Here and not where the task begins to rest: a hurry in between would be lost.
                self._hurry.clear()
                self._spawn(self._build(failures))
            case Hurry():
                self._hurry.set()
            case Serve(client, chain):
                self._spawn(self._serve(self._relays[client], self._chains[chain]))
            case End(client):
                self._relays[client].reset(is_failure=not self._life.is_ending or self.error is not None)
            case Release(chain):
                self._farewells.add(asyncio.create_task(self._chains.pop(chain).close()))
            case StopListening():
                if self._server is not None:
                    self._server.close()
            case Finish():
                self._finished.set()

    async def _build(self, failures: int) -> None:
        """Build a chain, the standby through other machines than the active one where there are any."""
        await rest(failures, self._hurry, is_standby=bool(self._life.active))
        active = self._chains.get(self._life.active)
        avoid = {hop.name for hop in active.route.hops} if active else self._lost_hops
        is_first = self._life.state is TunnelState.CONNECTING
        try:
            chain = await self._builder.build(avoid)
            if is_first:
                await self._try_target(chain)
        except NotBuilt as exc:
            self._not_built(exc.error, is_final=exc.is_final or (is_first and not exc.may_pass))
            return
        self._lost_hops = frozenset()
        if chain.is_over:
            self._not_built(MachineMissing("keep the way", "it broke at once"), is_final=False)
            return
        self._chains[chain.number] = chain
        chain.on_congestion = lambda is_slow: self._congested(chain, is_slow=is_slow)
        self._happen(ChainBuilt(chain.number))

    def _not_built(self, error: SlipwayError, *, is_final: bool) -> None:
        if is_final and not self._life.active:
            self.error = error
        _log.info("no way: %s", error.cause)
        self._happen(BuildFailed(error.cause, is_final))

    async def _try_target(self, chain: Chain) -> None:
        """Let the last hop connect to the target once, and close that connection again."""
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                channel = await chain.open_channel(asyncssh.SSHTCPSession)
        except BaseException as exc:
            chain.abort()
            if isinstance(exc, (asyncssh.Error, OSError)):
                raise NotBuilt(target_failure(chain.route, exc), is_final=True) from exc
            raise
        channel.close()

    async def _serve(self, relay: Relay, chain: Chain) -> None:
        """Open a channel for a client. Without one it is as if the target had refused the client."""
        if relay.had_to_wait and relay.has_left:
            relay.reset()
            return
        relay.chain = chain
        try:
            await chain.open_channel(lambda: Far(relay, chain), relay.origin)
        except (asyncssh.Error, OSError) as exc:
            await asyncio.sleep(0)  # if the connection is closed, the library tells the chain a moment later
            if relay.is_gone:
                return
            if chain.is_over:
                self._happen(ClientCame(relay.number))
            else:
                _log.info("no connection to the target: %s", reason(exc))
                relay.reset()

    def _congested(self, chain: Chain, *, is_slow: bool) -> None:
        for relay in self._relays.values():
            if relay.chain is chain:
                relay.hold(is_chain_slow=is_slow)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """End the tunnel if a task broke: better than one that looks open and does nothing."""
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            self.error = self.error or exc
            self._happen(CloseAsked())

    async def _clean_up(self) -> None:
        """Leave nothing behind: neither tasks nor sockets."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        pending = {*self._tasks, *self._farewells}
        if pending:
            await asyncio.wait(pending, timeout=_CLEAN_UP_S)
        # Aborted transports close their sockets in the loop's next rounds.
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)

    # What is told

    def status(self) -> TunnelStatus:
        """Return how the tunnel is, from any thread: all that is read here is replaced, never changed."""
        life = self._life
        active, standby = self._chains.get(life.active), self._chains.get(life.standby)
        relays = list(self._relays.values())
        return TunnelStatus(
            life.state,
            hops=active.hops if active else (),
            standby=standby.route.hops[-1].name if standby else "",
            open_connections=len(life.clients),
            served_connections=self._served,
            failed_connections=self._failed,
            sent_bytes=self._sent + sum(relay.sent for relay in relays),
            received_bytes=self._received + sum(relay.received for relay in relays),
            reconnects=life.reconnects,
            trouble=life.trouble,
        )
