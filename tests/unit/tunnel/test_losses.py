# SPDX-License-Identifier: Apache-2.0
"""What a tunnel does when machines on the way are lost."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.domain.tunnel import TunnelState, TunnelStatus
from orchestrator.errors import MachineMissing
from orchestrator.ports.doors import Tunnel, TunnelOptions
from orchestrator.ssh.tunnel import AsyncTunnels
from tests.unit.tunnel.ssh_world import SshWorld, client, echo, until

ALONE = TunnelOptions(has_standby=False)
# Three silent intervals are the limit: with these, little more than half a second.
WATCHFUL = replace(ALONE, keepalive_s=0.2)


def status_with(tunnel: Tunnel, is_so: Callable[[TunnelStatus], bool]) -> TunnelStatus:
    until(lambda: is_so(tunnel.status()))
    return tunnel.status()


def test_a_lost_way_is_made_again_and_the_port_stays(world: SshWorld) -> None:
    routes = world.routes(world.first)
    with AsyncTunnels().open(routes, ALONE) as tunnel:
        address = tunnel.address
        with client(address) as old:
            assert echo(old, b"one") == b"one"
            world.first.cut()
            with pytest.raises(ConnectionResetError):
                old.recv(1)
        with client(address) as new:
            assert echo(new, b"two") == b"two"
        status = tunnel.status()
        assert (tunnel.address, status.state, status.reconnects) == (address, TunnelState.READY, 1)
        assert routes.logins == 2


@pytest.mark.parametrize("lost", ["bastion", "first"])
def test_new_connections_wait_until_a_machine_is_back(world: SshWorld, lost: str) -> None:
    machine = getattr(world, lost)
    with AsyncTunnels().open(world.routes(world.first), ALONE) as tunnel:
        machine.stop()
        status = status_with(tunnel, lambda status: status.state is TunnelState.REBUILDING)
        assert (status.hops, status.trouble != "") == ((), True)
        with client(tunnel.address) as new:
            until(lambda: tunnel.status().open_connections == 1)
            machine.start()
            assert echo(new, b"patience") == b"patience"
        assert tunnel.status().trouble == ""


def test_patience_ends(world: SshWorld) -> None:
    with AsyncTunnels().open(world.routes(world.first), replace(ALONE, patience_s=0.2)) as tunnel:
        world.first.stop()
        status_with(tunnel, lambda status: status.state is TunnelState.REBUILDING)
        with pytest.raises(ConnectionResetError), client(tunnel.address) as new:
            new.recv(1)
        assert status_with(tunnel, lambda status: status.open_connections == 0).failed_connections == 1


def test_who_gave_up_waiting_does_not_bother_the_target(world: SshWorld) -> None:
    with AsyncTunnels().open(world.routes(world.first), ALONE) as tunnel:
        world.first.stop()
        status_with(tunnel, lambda status: status.state is TunnelState.REBUILDING)
        for _ in range(3):
            with client(tunnel.address):
                pass
        until(lambda: tunnel.status().open_connections == 3)
        accepted = world.target.accepted
        world.first.start()
        with client(tunnel.address) as new:
            assert echo(new, b"here") == b"here"
        assert world.target.accepted == accepted + 1


def test_the_standby_takes_over_through_the_other_machine(world: SshWorld) -> None:
    with AsyncTunnels().open(world.routes(), TunnelOptions()) as tunnel:
        assert status_with(tunnel, lambda status: bool(status.standby)).standby == "i-app2"
        world.first.stop()
        with client(tunnel.address) as new:
            assert echo(new, b"two") == b"two"
        status = status_with(tunnel, lambda status: status.reconnects == 1)
        assert [hop.name for hop in status.hops] == ["i-bastion", "i-app2"]


def test_the_standby_is_a_second_way_through_the_same_machine_if_there_is_one_only(world: SshWorld) -> None:
    with AsyncTunnels().open(world.routes(world.first), TunnelOptions()) as tunnel:
        assert status_with(tunnel, lambda status: bool(status.standby)).standby == "i-app1"


def test_a_lost_standby_is_replaced(world: SshWorld) -> None:
    with AsyncTunnels().open(world.routes(), TunnelOptions()) as tunnel:
        status_with(tunnel, lambda status: status.standby == "i-app2")
        with client(tunnel.address) as one:
            assert echo(one, b"a") == b"a"
            logins = world.second.logins
            world.second.cut()
            until(lambda: world.second.logins > logins)
            status = status_with(tunnel, lambda status: status.standby == "i-app2")
            assert (echo(one, b"b"), status.reconnects) == (b"b", 0)


def test_no_new_connection_fails_while_machines_die_one_after_the_other(world: SshWorld) -> None:
    def knock() -> None:
        while not is_over.is_set():
            began = len(stopped)
            try:
                with client(tunnel.address) as one:
                    served.append(echo(one, b"ping"))
            except ConnectionResetError:
                reset.append((began, len(stopped)))

    served: list[bytes] = []
    reset: list[tuple[int, int]] = []
    stopped: list[str] = []
    is_over = threading.Event()
    with AsyncTunnels().open(world.routes(), TunnelOptions()) as tunnel:
        status_with(tunnel, lambda status: status.standby == "i-app2")
        knocking = threading.Thread(target=knock)
        knocking.start()
        for machine in (world.first, world.second, world.first):
            reached = len(served)
            until(lambda reached=reached: len(served) > reached + 20)
            machine.stop()
            stopped.append(machine.name)
            machine.start()
            status_with(tunnel, lambda status: bool(status.standby) and bool(status.hops))
        is_over.set()
        knocking.join()
        assert tunnel.status().reconnects == len(stopped)
    assert set(served) == {b"ping"}
    # Who was talking when a machine died is reset. Nobody who came later is.
    assert [began for began, ended in reset if began == ended] == []


@pytest.mark.parametrize("inner", [False, True], ids=["first hop", "second hop"])
def test_a_black_hole_is_noticed(world: SshWorld, inner: bool) -> None:
    hole = world.hole(world.first if inner else world.bastion)
    hops = (world.bastion.hop(0 if inner else hole.port), world.first.hop(hole.port if inner else 0))
    routes = world.routes()
    routes.routes = [world.route(*hops)]
    with AsyncTunnels().open(routes, WATCHFUL) as tunnel, client(tunnel.address) as one:
        assert echo(one, b"x") == b"x"
        routes.routes = [world.route(world.bastion.hop(), world.second.hop())]
        hole.open()
        with pytest.raises(ConnectionResetError):
            one.recv(1)
        with client(tunnel.address) as new:
            assert echo(new, b"y") == b"y"


def test_a_silent_but_living_way_is_kept(world: SshWorld) -> None:
    with AsyncTunnels().open(world.routes(world.first), replace(ALONE, keepalive_s=0.02)) as tunnel:
        status = status_with(tunnel, lambda status: all(hop.latency_s is not None for hop in status.hops))
        time.sleep(0.3)  # many times the limit
        assert (tunnel.status().reconnects, len(status.hops)) == (0, 2)


def test_a_pause_of_this_process_is_not_taken_for_silence(world: SshWorld) -> None:
    with AsyncTunnels().open(world.routes(world.first), WATCHFUL) as tunnel, client(tunnel.address) as one:
        assert echo(one, b"x") == b"x"
        tunnel._loop.call_soon_threadsafe(time.sleep, 1.0)  # as when it is stopped, or the laptop sleeps
        assert echo(one, b"y") == b"y"
        time.sleep(0.3)
        assert (echo(one, b"z"), tunnel.status().reconnects) == (b"z", 0)


def test_machines_may_be_missing_for_a_while(world: SshWorld) -> None:
    routes = world.routes(world.first)
    with AsyncTunnels().open(routes, ALONE) as tunnel:
        routes.error = MachineMissing("look for a way", "no machine of app runs")
        world.first.cut()
        status = status_with(tunnel, lambda status: "no machine" in status.trouble)
        assert status.state is TunnelState.REBUILDING
        routes.error = None
        with client(tunnel.address) as new:
            assert echo(new, b"back") == b"back"


def test_a_lost_way_is_not_tried_first(world: SshWorld) -> None:
    routes = world.routes()
    with AsyncTunnels().open(routes, ALONE) as tunnel:
        world.first.cut()
        status = status_with(tunnel, lambda status: status.reconnects == 1 and bool(status.hops))
        assert [hop.name for hop in status.hops] == ["i-bastion", "i-app2"]
        assert routes.finds == [frozenset(), frozenset({"i-bastion", "i-app1"})]


def test_a_target_that_is_gone_ends_only_the_connection(world: SshWorld) -> None:
    with AsyncTunnels().open(world.routes(world.first), ALONE) as tunnel:
        world.target.stop()
        with pytest.raises(ConnectionResetError), client(tunnel.address) as one:
            one.recv(1)
        world.target.start(world.target.port)
        with client(tunnel.address) as two:
            assert echo(two, b"again") == b"again"
        assert tunnel.status().reconnects == 0


def test_a_way_that_is_slow_at_first_is_not_in_the_way_of_the_next(world: SshWorld) -> None:
    """A machine that answers nothing costs the limit of an attempt, not the tunnel."""
    silent = socket.create_server(("127.0.0.1", 0))
    with silent:
        hop = replace(world.first.hop(), port=silent.getsockname()[1])
        routes = world.routes(world.second)
        routes.routes.insert(0, world.route(world.bastion.hop(), hop))
        with AsyncTunnels().open(routes, replace(ALONE, connect_timeout_s=0.3)) as tunnel:
            assert [hop.name for hop in tunnel.status().hops] == ["i-bastion", "i-app2"]
