# SPDX-License-Identifier: Apache-2.0
"""The demo's query through the tunnel, and what it does not let pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from orchestrator.errors import DatabaseUnreachable, DoorError, KeyRefused, RemoteError, Stranded, WaitTimeout
from orchestrator.ports import Routes, Tunnel, TunnelOptions
from orchestrator.workflows.demo import Queried, query
from tests.fakes import FakeClock, FakeReporter
from tests.fakes.tunnels import FakeTunnels
from tests.unit.db_tunnel.tunnel_world import TunnelLab

PROHIBITED = "the door through i-gate1 is not for this endpoint"


class NetworkOfTheDemo(FakeTunnels):
    """Lets nobody reach the database from a bastion, unless it is open; machines may be slow to let us in."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.errors: list[DoorError] = []
        self.is_open = False
        self.tried: list[tuple[str, ...]] = []

    @contextmanager
    def open(self, routes: Routes, options: TunnelOptions) -> Iterator[Tunnel]:
        hops = tuple(hop.name for hop in routes.find()[0].hops)
        self.tried.append(hops)
        if self.errors:
            raise self.errors.pop()
        if len(hops) == 1 and not self.is_open:
            raise DatabaseUnreachable("connect to the database", PROHIBITED)
        with super().open(routes, options) as tunnel:
            yield tunnel


@pytest.fixture(name="lab")
def fixture_lab() -> TunnelLab:
    lab = TunnelLab()
    lab.tunnels = NetworkOfTheDemo(lab.clock)
    lab.client.output = "CONCAT_WS\n8.0.mysql_aurora.3.08.0 1\n"
    return lab


def tried(lab: TunnelLab) -> list[tuple[str, ...]]:
    assert isinstance(lab.tunnels, NetworkOfTheDemo)
    return lab.tunnels.tried


def test_a_query_goes_through_both_hops_and_the_bastion_alone_is_refused(lab: TunnelLab) -> None:
    found = query(lab.world, FakeReporter())
    [whole, alone] = tried(lab)
    assert whole[0] == "i-gate1" and len(whole) == 2
    assert alone == ("i-gate1",)
    assert found == Queried("8.0.mysql_aurora.3.08.0", " and ".join(whole), 0.0, PROHIBITED)
    assert found.lines()[1] == f"the bastion alone can't reach it: {PROHIBITED}"


def test_a_machine_that_does_not_know_us_yet_is_asked_again(lab: TunnelLab) -> None:
    assert isinstance(lab.tunnels, NetworkOfTheDemo)
    lab.tunnels.errors = [KeyRefused("ssh", "not yet")] * 3
    assert query(lab.world, FakeReporter()).seconds == 3.0
    lab.tunnels.errors = [KeyRefused("ssh", "never")] * 1000
    with pytest.raises(WaitTimeout):
        query(lab.world, FakeReporter())


def test_a_client_that_fails_ends_the_demo(lab: TunnelLab) -> None:
    lab.client.status = 1
    with pytest.raises(RemoteError) as caught:
        query(lab.world, FakeReporter())
    assert (caught.value.status, caught.value.output) == (1, ("a warning of the client",))


def test_a_reader_that_takes_writes_is_no_reader(lab: TunnelLab) -> None:
    lab.client.output = "CONCAT_WS\n8.0.mysql_aurora.3.08.0 0\n"
    with pytest.raises(Stranded, match="takes writes"):
        query(lab.world, FakeReporter())


def test_a_bastion_that_reaches_the_database_is_found_out(lab: TunnelLab) -> None:
    assert isinstance(lab.tunnels, NetworkOfTheDemo)
    lab.tunnels.is_open = True
    with pytest.raises(Stranded, match="bastion"):
        query(lab.world, FakeReporter())
