# SPDX-License-Identifier: Apache-2.0
"""The life of a tunnel, whatever happens in whatever order."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.domain.tunnel import TunnelState
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
    Life,
    PatienceOver,
    Release,
    Serve,
    StopListening,
    advance,
    begin,
)


def run(*events: Event, wants_standby: bool = True) -> tuple[Life, tuple[Action, ...]]:
    """Return the life after some events, and what the last of them made it do."""
    life, actions = begin(wants_standby=wants_standby)
    for event in events:
        life, actions = advance(life, event)
    return life, actions


READY = (ChainBuilt(1), ChainBuilt(2))


def test_it_begins_with_a_way() -> None:
    assert run() == (Life(True, is_building=True), (Build(),))


@pytest.mark.parametrize(
    ("events", "actions"),
    [
        pytest.param([ChainBuilt(1)], (Build(),), id="then a standby"),
        pytest.param([ClientCame(7), ChainBuilt(1)], (Serve(7, 1), Build()), id="who waited is served"),
        pytest.param([*READY, ClientCame(7)], (Serve(7, 1),), id="by the active way"),
        pytest.param([*READY, ChainLost(1, "x")], (Build(),), id="the standby takes over"),
        pytest.param([*READY, ChainLost(2, "x")], (Build(),), id="a lost standby is replaced"),
        pytest.param([ChainBuilt(1), ChainLost(1, "x")], (Hurry(),), id="the build under way must hurry"),
        pytest.param([*READY, ChainLost(1, "x", was_fresh=True)], (Build(1),), id="after a way that flaps"),
        pytest.param([BuildFailed("x"), BuildFailed("x")], (Build(2),), id="failures make pauses"),
        pytest.param([ClientCame(7), PatienceOver(7)], (End(7),), id="patience is bounded"),
        pytest.param([ClientCame(7), ClientGone(7), PatienceOver(7)], (), id="unless the client is gone"),
        pytest.param(
            [ClientCame(7), BuildFailed("x", is_final=True)],
            (StopListening(), End(7), Finish()),
            id="what can't be mended ends it",
        ),
        pytest.param(
            [*READY, ChainLost(2, "x"), BuildFailed("x", is_final=True)],
            (Build(1),),
            id="unless there is a way",
        ),
        pytest.param(
            [*READY, ClientCame(7), CloseAsked()],
            (StopListening(), End(7), Release(1), Release(2), Finish()),
            id="closing at once",
        ),
        pytest.param([*READY, ClientCame(7), CloseAsked(grace=True)], (StopListening(),), id="with grace"),
        pytest.param(
            [*READY, CloseAsked(grace=True)],
            (StopListening(), Release(1), Release(2), Finish()),
            id="that nobody needs",
        ),
        pytest.param(
            [*READY, ClientCame(7), CloseAsked(grace=True), ClientGone(7)],
            (StopListening(), Release(1), Release(2), Finish()),
            id="until the last one is gone",
        ),
        pytest.param(
            [*READY, ClientCame(7), CloseAsked(grace=True), GraceOver()],
            (StopListening(), End(7), Release(1), Release(2), Finish()),
            id="or the time is up",
        ),
        pytest.param([CloseAsked(), ChainBuilt(3)], (Release(3),), id="a way that comes too late"),
        pytest.param([CloseAsked(), ClientCame(7)], (End(7),), id="a client that comes too late"),
    ],
)
def test_what_is_done(events: list[Event], actions: tuple[Action, ...]) -> None:
    assert run(*events)[1] == actions


def test_what_is_told_while_there_is_no_way() -> None:
    life, _ = run(ChainBuilt(1), ChainLost(1, "i-1 is gone"))
    assert (life.state, life.trouble, life.reconnects) == (TunnelState.REBUILDING, "i-1 is gone", 1)
    life, _ = advance(life, BuildFailed("no machine"))
    assert life.trouble == "no machine"
    life, _ = advance(life, ChainBuilt(2))
    assert (life.state, life.trouble, life.reconnects) == (TunnelState.READY, "", 1)


class AnyLife(RuleBasedStateMachine):
    """An engine that does what it is told, in a world that does what it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.builds = 0
        self.chains: set[int] = set()  # that exist
        self.clients: dict[int, int | None] = {}  # who is there, by what serves them
        self.is_listening = True
        self.is_finished = False

    @initialize(wants_standby=st.booleans())
    def open(self, wants_standby: bool) -> None:
        self.life, actions = begin(wants_standby=wants_standby)
        self.do(actions)

    def happens(self, event: Event) -> None:
        before = self.life
        self.life, actions = advance(before, event)
        if before.state is TunnelState.CLOSED:
            assert self.life.state is TunnelState.CLOSED
        self.do(actions)

    def do(self, actions: tuple[Action, ...]) -> None:  # noqa: C901 - a table of actions
        for action in actions:
            match action:
                case Build():
                    self.builds += 1
                    assert self.builds == 1
                case Serve(client, chain):
                    assert chain in self.chains
                    self.clients[client] = chain
                case End(client):
                    self.clients.pop(client)  # a KeyError: ended twice, or nobody's
                    self.life, more = advance(self.life, ClientGone(client))
                    self.do(more)
                case Release(chain):
                    self.chains.remove(chain)
                case StopListening():
                    self.is_listening = False
                case Finish():
                    assert not self.is_finished
                    self.is_finished = True
                case Hurry():
                    assert self.builds == 1

    def next(self) -> int:
        self.number += 1
        return self.number

    @precondition(lambda self: self.builds)
    @rule()
    def a_way_is_built(self) -> None:
        self.builds = 0
        chain = self.next()
        self.chains.add(chain)
        self.happens(ChainBuilt(chain))

    @precondition(lambda self: self.builds)
    @rule(is_final=st.booleans())
    def no_way_is_built(self, is_final: bool) -> None:
        self.builds = 0
        self.happens(BuildFailed("why", is_final))

    @precondition(lambda self: self.chains)
    @rule(data=st.data(), was_fresh=st.booleans())
    def a_way_is_lost(self, data: st.DataObject, was_fresh: bool) -> None:
        chain = data.draw(st.sampled_from(sorted(self.chains)))
        self.chains.remove(chain)
        self.happens(ChainLost(chain, "why", was_fresh))
        for client, at in list(self.clients.items()):
            if at == chain and data.draw(st.booleans()):  # not a byte had passed
                self.clients[client] = None
                self.happens(ClientCame(client))
            elif at == chain:
                del self.clients[client]
                self.happens(ClientGone(client))

    @precondition(lambda self: self.is_listening)
    @rule()
    def a_client_comes(self) -> None:
        client = self.next()
        self.clients[client] = None
        self.happens(ClientCame(client))

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), is_patient=st.booleans())
    def a_client_goes_or_has_waited(self, data: st.DataObject, is_patient: bool) -> None:
        client = data.draw(st.sampled_from(sorted(self.clients)))
        if is_patient or self.clients[client] is not None:
            del self.clients[client]
            self.happens(ClientGone(client))
        else:
            self.happens(PatienceOver(client))
            assert client not in self.clients

    @rule(grace=st.booleans())
    def it_shall_close(self, grace: bool) -> None:
        if not self.is_finished:
            self.happens(CloseAsked(grace))

    @precondition(lambda self: self.life.state is TunnelState.DRAINING)
    @rule()
    def grace_is_over(self) -> None:
        self.happens(GraceOver())

    @invariant()
    def ready_means_that_there_is_a_way(self) -> None:
        assert (self.life.state is TunnelState.READY) <= (self.life.active in self.chains)

    @invariant()
    def the_standby_is_another_way(self) -> None:
        assert not self.life.standby or (
            self.life.standby != self.life.active and {self.life.active, self.life.standby} <= self.chains
        )

    @invariant()
    def no_way_is_forgotten(self) -> None:
        assert self.chains == {self.life.active, self.life.standby} - {0}

    @invariant()
    def nobody_waits_while_there_is_a_way_or_without_hope(self) -> None:
        waiting = [client for client, at in self.clients.items() if at is None]
        assert not waiting or (self.builds == 1 and self.life.active == 0)

    @invariant()
    def who_is_there_is_known(self) -> None:
        assert set(self.life.clients) == set(self.clients)

    @invariant()
    def the_end_is_whole(self) -> None:
        is_closed = self.life.state is TunnelState.CLOSED
        assert is_closed == self.is_finished
        assert not is_closed or not (self.chains or self.clients or self.is_listening)

    @invariant()
    def what_is_missing_is_being_built(self) -> None:
        if self.life.state in (TunnelState.CONNECTING, TunnelState.REBUILDING):
            assert self.builds == 1


TestAnyLife = AnyLife.TestCase
