# SPDX-License-Identifier: Apache-2.0
"""What a tunnel carries: every byte, in order, both ways, to the end."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.domain.tunnel import TunnelState
from orchestrator.ports.doors import Tunnel, TunnelOptions
from orchestrator.ssh.tunnel import AsyncTunnels
from tests.unit.tunnel.ssh_world import SshWorld, chance, client, echo, read_all, until

ALONE = TunnelOptions(has_standby=False)


@pytest.fixture
def tunnel(world: SshWorld) -> Iterator[Tunnel]:
    with AsyncTunnels().open(world.routes(world.first), ALONE) as opened:
        yield opened


def test_a_double_tunnel_serves(tunnel: Tunnel) -> None:
    with client(tunnel.address) as one:
        assert echo(one, b"SELECT 1") == b"SELECT 1"
        status = tunnel.status()
        assert (status.state, [hop.name for hop in status.hops]) == (
            TunnelState.READY,
            ["i-bastion", "i-app1"],
        )
        assert (status.open_connections, status.sent_bytes, status.received_bytes) == (1, 8, 8)


def test_a_half_close_ends_one_half(tunnel: Tunnel) -> None:
    data = chance(5).randbytes(3_000_000)
    with client(tunnel.address) as one:
        sender = threading.Thread(target=lambda: (one.sendall(data), one.shutdown(socket.SHUT_WR)))
        sender.start()
        got = read_all(one)
        sender.join()
    assert (got[:-32] == data, got[-32:]) == (True, hashlib.sha256(data).digest())


def test_a_half_close_without_a_word_is_carried_too(tunnel: Tunnel) -> None:
    with client(tunnel.address) as one:
        one.shutdown(socket.SHUT_WR)
        assert read_all(one) == hashlib.sha256(b"").digest()


def test_a_hundred_clients_at_once(tunnel: Tunnel) -> None:
    def talk(number: int) -> bool:
        word = str(number).encode() * 100
        with client(tunnel.address) as one:
            barrier.wait()
            return echo(one, word) == word

    barrier = threading.Barrier(100)
    with ThreadPoolExecutor(100) as pool:
        assert list(pool.map(talk, range(100))) == [True] * 100


@pytest.mark.parametrize("seed", range(24))
def test_streams_arrive_whole(tunnel: Tunnel, seed: int) -> None:
    """Random sizes and pauses; the sender half-closes, the reader pauses too."""
    dice = chance(seed)
    pieces = [dice.randbytes(dice.choice([1, 7, 1000, 32_768, 40_000, 300_000])) for _ in range(12)]

    def send() -> None:
        for piece in pieces:
            one.sendall(piece)
            time.sleep(dice.choice([0, 0, 0.002]))
        one.shutdown(socket.SHUT_WR)

    with client(tunnel.address) as one:
        sender = threading.Thread(target=send)
        sender.start()
        received = bytearray()
        while chunk := one.recv(512 + seed * 4096):
            received += chunk
        sender.join()
    sent = b"".join(pieces)
    assert bytes(received) == sent + hashlib.sha256(sent).digest()


def test_a_slow_reader_holds_back_only_itself(tunnel: Tunnel) -> None:
    data = chance(1).randbytes(40_000_000)
    with client(tunnel.address) as slow, client(tunnel.address) as quick:
        sender = threading.Thread(target=lambda: (slow.sendall(data), slow.shutdown(socket.SHUT_WR)))
        sender.start()
        until(lambda: tunnel.status().sent_bytes > 1_000_000)
        for number in range(50):
            word = b"%d" % number
            assert echo(quick, word) == word
        assert sender.is_alive()  # what nobody reads is not taken either
        assert tunnel.status().sent_bytes < len(data)
        got = read_all(slow)
        sender.join()
    assert (got[:-32] == data, got[-32:]) == (True, hashlib.sha256(data).digest())


def test_what_the_target_said_before_it_closed_is_read_whole(world: SshWorld, tunnel: Tunnel) -> None:
    """The client reads late, and has sent something that nobody took: no reset may eat the rest."""
    world.target.says = chance(2).randbytes(400_000)
    accepted = world.target.accepted
    with client(tunnel.address) as one:
        until(lambda: world.target.accepted > accepted and not world.target.writers)
        # What the last hop has not read by then is lost to a reset of the target's, as without a tunnel.
        until(lambda: tunnel.status().received_bytes == len(world.target.says))
        one.sendall(b"too late")
        assert read_all(one) == world.target.says


def test_a_client_that_goes_away_closes_the_connection_to_the_target(world: SshWorld, tunnel: Tunnel) -> None:
    with client(tunnel.address) as one:
        assert echo(one, b"x") == b"x"
        assert len(world.target.writers) == 1
    until(lambda: not world.target.writers and not tunnel.status().open_connections)
    assert tunnel.status().served_connections == 1
