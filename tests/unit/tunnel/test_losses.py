# SPDX-License-Identifier: Apache-2.0
"""What a tunnel does when machines on the way are lost."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from orchestrator.domain.tunnel import TunnelState, TunnelStatus
from orchestrator.ports.doors import Tunnel, TunnelOptions
from orchestrator.ssh.tunnel import AsyncTunnels
from tests.unit.tunnel.ssh_world import SshWorld, client, echo

ALONE = TunnelOptions(has_standby=False)
_LIMIT_S = 20.0


def until(tunnel: Tunnel, is_so: Callable[[TunnelStatus], bool]) -> TunnelStatus:
    deadline = time.monotonic() + _LIMIT_S
    while not is_so(status := tunnel.status()):
        assert time.monotonic() < deadline, status
        time.sleep(0.005)
    return status


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


def test_the_standby_takes_over_through_the_other_machine(world: SshWorld) -> None:
    with AsyncTunnels().open(world.routes(), TunnelOptions()) as tunnel:
        assert until(tunnel, lambda status: bool(status.standby)).standby == "i-app2"
        world.first.stop()
        with client(tunnel.address) as new:
            assert echo(new, b"two") == b"two"
        status = until(tunnel, lambda status: status.reconnects == 1)
        assert [hop.name for hop in status.hops] == ["i-bastion", "i-app2"]
