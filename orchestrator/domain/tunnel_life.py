# SPDX-License-Identifier: Apache-2.0
"""The life of a tunnel, as decisions: what happened in, what to do out. Nothing here waits or talks.

A tunnel has at most two ways, each a chain of ssh connections known by a number: the active one, which new
connections of clients take, and the standby, which takes over at once when the active one is lost. One is
built at a time. Clients are known by numbers too: each waits, or has a chain, until it is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from orchestrator.domain.tunnel import TunnelState

NO_CHAIN = 0


@dataclass(frozen=True, slots=True)
class ChainBuilt:
    """A way is ready."""

    chain: int


@dataclass(frozen=True, slots=True)
class BuildFailed:
    """No way was built. `is_final`: trying again can't mend it."""

    trouble: str
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class ChainLost:
    """A way is gone. `was_fresh`: it had not lasted, so the next one is not built at once."""

    chain: int
    trouble: str
    was_fresh: bool = False


@dataclass(frozen=True, slots=True)
class ClientCame:
    """Somebody connected to the listener, or lost a chain before a byte had passed."""

    client: int


@dataclass(frozen=True, slots=True)
class ClientGone:
    """A client's connection is over."""

    client: int


@dataclass(frozen=True, slots=True)
class PatienceOver:
    """A client has waited long enough, and none of its bytes flows yet."""

    client: int


@dataclass(frozen=True, slots=True)
class CloseAsked:
    """The tunnel shall close. `grace`: clients that are being served may end by themselves first."""

    grace: bool = False


@dataclass(frozen=True, slots=True)
class GraceOver:
    """The clients had their time."""


Event = ChainBuilt | BuildFailed | ChainLost | ClientCame | ClientGone | PatienceOver | CloseAsked | GraceOver


@dataclass(frozen=True, slots=True)
class Build:
    """Build a way, after a pause that grows with the failures in a row."""

    failures: int = 0


@dataclass(frozen=True, slots=True)
class Hurry:
    """End the pause before the build under way: now it is the only hope."""


@dataclass(frozen=True, slots=True)
class Serve:
    """Carry a client's bytes over a chain."""

    client: int
    chain: int


@dataclass(frozen=True, slots=True)
class End:
    """End a client's connection at once."""

    client: int


@dataclass(frozen=True, slots=True)
class Release:
    """Take a chain down."""

    chain: int


@dataclass(frozen=True, slots=True)
class StopListening:
    """Take no more clients."""


@dataclass(frozen=True, slots=True)
class Finish:
    """It is over."""


Action = Build | Hurry | Serve | End | Release | StopListening | Finish
Step = tuple["Life", tuple[Action, ...]]


@dataclass(frozen=True, slots=True)
class Life:
    """A tunnel at a moment.

    Attributes:
        clients: Chains by client, `NO_CHAIN` for those who wait.
        failures: Builds that failed in a row.
        flaps: Ways in a row that did not last.
        reconnects: How often there was no way left, or the standby took over.
    """

    wants_standby: bool
    state: TunnelState = TunnelState.CONNECTING
    active: int = NO_CHAIN
    standby: int = NO_CHAIN
    is_building: bool = False
    failures: int = 0
    flaps: int = 0
    reconnects: int = 0
    trouble: str = ""
    clients: Mapping[int, int] = field(default_factory=dict)

    @property
    def waiting(self) -> tuple[int, ...]:
        """Return the clients without a chain."""
        return tuple(client for client, chain in self.clients.items() if chain == NO_CHAIN)

    @property
    def is_ending(self) -> bool:
        """Tell whether it takes no more clients."""
        return self.state in (TunnelState.DRAINING, TunnelState.CLOSED)


def begin(*, wants_standby: bool) -> Step:
    """Return a new life, and what it begins with."""
    return _build_more(Life(wants_standby))


def advance(life: Life, event: Event) -> Step:  # noqa: PLR0911, C901 - a table of events
    """Return what a life becomes by an event, and what is to be done."""
    match event:
        case ClientGone(client):
            return _without(life, client)
        case _ if life.state is TunnelState.CLOSED:
            return life, _turned_away(event)
        case ChainBuilt(chain):
            return _built(life, chain)
        case BuildFailed(trouble, is_final):
            return _failed(life, trouble, is_final=is_final)
        case ChainLost():
            return _lost(life, event)
        case ClientCame(client):
            return _came(life, client)
        case PatienceOver(client):
            return life, (End(client),) if client in life.clients else ()
        case CloseAsked(grace):
            return _close(life, grace=grace)
        case GraceOver():
            return _finish(life) if life.state is TunnelState.DRAINING else (life, ())


def _turned_away(event: Event) -> tuple[Action, ...]:
    """Return what becomes of those who come when all is over."""
    match event:
        case ChainBuilt(chain):
            return (Release(chain),)
        case ClientCame(client):
            return (End(client),)
    return ()


def _built(life: Life, chain: int) -> Step:
    life = replace(life, is_building=False, failures=0)
    if life.is_ending:
        return life, (Release(chain),)
    if life.active:
        return replace(life, standby=chain), ()
    return _activate(life, chain)


def _activate(life: Life, chain: int) -> Step:
    """Make a chain the active one: it serves all who wait."""
    serves = tuple(Serve(client, chain) for client in life.waiting)
    clients = {client: at or chain for client, at in life.clients.items()}
    life = replace(life, state=TunnelState.READY, active=chain, clients=clients, trouble="")
    life, builds = _build_more(life)
    return life, (*serves, *builds)


def _build_more(life: Life) -> Step:
    """Begin a build if a way is missing and none is under way."""
    is_missing = not life.active or (life.wants_standby and not life.standby)
    if life.is_building or life.is_ending or not is_missing:
        return life, ()
    return replace(life, is_building=True), (Build(life.failures + life.flaps),)


def _failed(life: Life, trouble: str, *, is_final: bool) -> Step:
    life = replace(life, is_building=False, failures=life.failures + 1)
    if life.is_ending:
        return life, ()
    if life.active:
        # Only the standby is missing. What can't be mended ends the tunnel when it needs another way:
        # until then nobody's connection is cut for it.
        return _build_more(life)
    life = replace(life, trouble=trouble)
    return _finish(life) if is_final else _build_more(life)


def _lost(life: Life, event: ChainLost) -> Step:
    """Let the standby take over, or rebuild. Who was served by the lost chain is told by its own channel."""
    chain = event.chain
    if chain not in (life.active, life.standby):
        return life, ()
    life = replace(life, flaps=life.flaps + 1 if event.was_fresh else 0)
    if chain == life.standby:
        return _build_more(replace(life, standby=NO_CHAIN))
    if life.state is TunnelState.DRAINING:
        return replace(life, active=NO_CHAIN), ()
    life = replace(life, active=NO_CHAIN, failures=0, reconnects=life.reconnects + 1)
    if life.standby:
        return _activate(replace(life, standby=NO_CHAIN), life.standby)
    life = replace(life, state=TunnelState.REBUILDING, trouble=event.trouble)
    if life.is_building:
        return life, (Hurry(),)
    return _build_more(life)


def _came(life: Life, client: int) -> Step:
    if life.is_ending:
        return life, (End(client),)
    life = replace(life, clients={**life.clients, client: life.active})
    return life, (Serve(client, life.active),) if life.active else ()


def _without(life: Life, client: int) -> Step:
    life = replace(life, clients={other: at for other, at in life.clients.items() if other != client})
    if life.state is TunnelState.DRAINING and not life.clients:
        return _finish(life)
    return life, ()


def _close(life: Life, *, grace: bool) -> Step:
    if life.state is TunnelState.DRAINING:
        return life, ()
    waiting = life.waiting
    if not grace or len(waiting) == len(life.clients):
        return _finish(life)
    return replace(life, state=TunnelState.DRAINING), (StopListening(), *(End(client) for client in waiting))


def _finish(life: Life) -> Step:
    ends = (End(client) for client in life.clients)
    releases = (Release(chain) for chain in (life.active, life.standby) if chain)
    closed = replace(life, state=TunnelState.CLOSED, active=NO_CHAIN, standby=NO_CHAIN)
    return closed, (StopListening(), *ends, *releases, Finish())
