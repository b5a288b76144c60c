# SPDX-License-Identifier: Apache-2.0
"""What a tunnel carries: every byte, in order, both ways, to the end."""

from __future__ import annotations

import hashlib
import socket

from orchestrator.domain.tunnel import TunnelState
from orchestrator.ports.doors import TunnelOptions
from orchestrator.ssh.tunnel import AsyncTunnels
from tests.unit.tunnel.ssh_world import SshWorld, client, echo, read_all

ALONE = TunnelOptions(has_standby=False)


def test_a_double_tunnel_serves(world: SshWorld) -> None:
    with AsyncTunnels().open(world.routes(world.first), ALONE) as tunnel, client(tunnel.address) as one:
        assert echo(one, b"SELECT 1") == b"SELECT 1"
        status = tunnel.status()
        assert (status.state, [hop.name for hop in status.hops]) == (
            TunnelState.READY,
            ["i-bastion", "i-app1"],
        )
        assert (status.open_connections, status.sent_bytes, status.received_bytes) == (1, 8, 8)


def test_a_half_close_ends_one_half(world: SshWorld) -> None:
    data = b"x" * 300_000
    with AsyncTunnels().open(world.routes(world.first), ALONE) as tunnel, client(tunnel.address) as one:
        one.sendall(b"y" * 10)
        one.shutdown(socket.SHUT_WR)
        assert read_all(one) == b"y" * 10 + hashlib.sha256(b"y" * 10).digest()
    assert len(data) == 300_000
