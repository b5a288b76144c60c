# SPDX-License-Identifier: Apache-2.0
"""What every engine of tunnels does, and where one of them can't."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.domain.tunnel import TunnelState
from orchestrator.errors import (
    DatabaseUnreachable,
    DoorError,
    HostKeyChanged,
    KeyRefused,
    MachineMissing,
    PortBusy,
)
from orchestrator.ports.doors import TunnelOptions, Tunnels
from orchestrator.ssh.tunnel import AsyncTunnels
from orchestrator.ssh.tunnel.sshtunnel_engine import SshtunnelTunnels
from tests.unit.tunnel.ssh_world import SshWorld, chance, client, echo, read_all, until

ALONE = TunnelOptions(has_standby=False)
ENGINES = [pytest.param(AsyncTunnels, id="asyncssh"), pytest.param(SshtunnelTunnels, id="sshtunnel")]


@pytest.fixture
def world() -> Iterator[SshWorld]:
    built = SshWorld()
    try:
        yield built
    finally:
        built.close()


@pytest.fixture(params=ENGINES)
def tunnels(request: pytest.FixtureRequest) -> Tunnels:
    made: Callable[[], Tunnels] = request.param
    return made()


def refusal(tunnels: Tunnels, world: SshWorld, options: TunnelOptions = ALONE) -> DoorError:
    with pytest.raises(DoorError) as caught, tunnels.open(world.routes(world.first), options):
        raise AssertionError("it opened")
    assert caught.value.cause
    return caught.value


def is_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def held() -> set[str]:
    """Return the sockets and the like of this process."""
    links = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            links.add(str(entry.readlink()))
        except FileNotFoundError:
            continue
    return {link for link in links if link.startswith(("socket:", "anon_inode:"))}


class TestTunnels:
    def test_limits_are_sentences(self, tunnels: Tunnels) -> None:
        assert [limit for limit in tunnels.limits if not limit.endswith(".")] == []

    def test_serves_on_any_free_port(self, tunnels: Tunnels, world: SshWorld) -> None:
        with tunnels.open(world.routes(world.first), ALONE) as tunnel, client(tunnel.address) as one:
            assert echo(one, b"SELECT 1") == b"SELECT 1"
            status = tunnel.status()
            assert (tunnel.address[0], status.state, status.open_connections) == (
                "127.0.0.1",
                TunnelState.READY,
                1,
            )
            assert [hop.name for hop in status.hops] == ["i-bastion", "i-app1"]
            # The client may have its answer a moment before it is counted.
            until(lambda: tunnel.status().received_bytes == 8)
            assert tunnel.status().sent_bytes == 8

    def test_serves_on_the_port_it_is_told(self, tunnels: Tunnels, world: SshWorld) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with tunnels.open(world.routes(world.first), replace(ALONE, local_port=port)) as tunnel:
            assert tunnel.address == ("127.0.0.1", port)

    def test_a_busy_port(self, tunnels: Tunnels, world: SshWorld) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            error = refusal(tunnels, world, replace(ALONE, local_port=taken.getsockname()[1]))
        assert type(error) is PortBusy
        assert world.bastion.logins == 0

    def test_streams_arrive_whole(self, tunnels: Tunnels, world: SshWorld) -> None:
        def stream(seed: int) -> bool:
            data = chance(seed).randbytes(200_000 * seed)
            with client(tunnel.address) as one:
                sender = threading.Thread(target=one.sendall, args=(data,))
                sender.start()
                received = bytearray()
                while len(received) < len(data):
                    received += one.recv(seed * 10_000)
                sender.join()
            return bytes(received) == data

        with tunnels.open(world.routes(world.first), ALONE) as tunnel, ThreadPoolExecutor(4) as pool:
            assert list(pool.map(stream, range(1, 9))) == [True] * 8

    def test_a_half_close_ends_one_half(self, tunnels: Tunnels, world: SshWorld) -> None:
        data = chance(1).randbytes(500_000)
        with tunnels.open(world.routes(world.first), ALONE) as tunnel, client(tunnel.address) as one:
            sender = threading.Thread(target=lambda: (one.sendall(data), one.shutdown(socket.SHUT_WR)))
            sender.start()
            got = read_all(one)
            sender.join()
        assert (got[:-32] == data, got[-32:]) == (True, hashlib.sha256(data).digest())

    def test_a_hundred_clients_at_once(self, tunnels: Tunnels, world: SshWorld) -> None:
        def talk(number: int) -> bool:
            word = b"%d" % number
            with client(tunnel.address) as one:
                barrier.wait()
                return echo(one, word) == word

        barrier = threading.Barrier(100)
        with tunnels.open(world.routes(world.first), ALONE) as tunnel, ThreadPoolExecutor(100) as pool:
            assert list(pool.map(talk, range(100))) == [True] * 100

    def test_a_lost_way_ends_connections_and_is_made_again(self, tunnels: Tunnels, world: SshWorld) -> None:
        routes = world.routes(world.first)
        with tunnels.open(routes, ALONE) as tunnel:
            address, logins = tunnel.address, routes.logins
            with client(address) as old:
                assert echo(old, b"one") == b"one"
                world.first.stop()
                assert is_ended(old)
                until(lambda: tunnel.status().state is TunnelState.REBUILDING)
                world.first.start()
            with client(address) as new:
                assert echo(new, b"two") == b"two"
            assert (tunnel.address, tunnel.status().reconnects) == (address, 1)
            assert routes.logins > logins

    def test_waits_for_its_end(self, tunnels: Tunnels, world: SshWorld) -> None:
        with tunnels.open(world.routes(world.first), ALONE) as tunnel:
            assert tunnel.wait(0.01) is False
        assert (tunnel.wait(1), tunnel.status().state) == (True, TunnelState.CLOSED)

    def test_a_host_key_that_changes_later_ends_it(self, tunnels: Tunnels, world: SshWorld) -> None:
        with tunnels.open(world.routes(world.first), ALONE) as tunnel:
            world.first.change_key()
            with pytest.raises(HostKeyChanged):
                tunnel.wait(30)

    def test_leaves_nothing(self, tunnels: Tunnels, world: SshWorld) -> None:
        threads, before = set(threading.enumerate()), held()
        with tunnels.open(world.routes(world.first), ALONE) as tunnel, client(tunnel.address) as one:
            assert echo(one, b"x") == b"x"
        until(lambda: set(threading.enumerate()) <= threads)
        until(lambda: held() <= before)
        with pytest.raises(ConnectionRefusedError), client(tunnel.address):
            pass

    def test_a_login_that_is_refused(self, tunnels: Tunnels, world: SshWorld) -> None:
        world.first.lets_in = False
        assert type(refusal(tunnels, world)) is KeyRefused

    def test_a_changed_host_key(self, tunnels: Tunnels, world: SshWorld) -> None:
        published = world.first.key.get_fingerprint()
        world.first.change_key()
        error = refusal(tunnels, world)
        assert type(error) is HostKeyChanged
        assert (published in error.cause, world.first.key.get_fingerprint() in error.cause) == (True, True)
        assert world.first.logins == 0

    def test_no_machine_runs(self, tunnels: Tunnels, world: SshWorld) -> None:
        routes = world.routes(world.first)
        routes.routes = []
        with pytest.raises(MachineMissing), tunnels.open(routes, ALONE):
            pass

    def test_no_machine_answers(self, tunnels: Tunnels, world: SshWorld) -> None:
        world.first.stop()
        assert type(refusal(tunnels, world, replace(ALONE, connect_timeout_s=2))) is MachineMissing

    def test_a_target_that_does_not_answer(self, tunnels: Tunnels, world: SshWorld) -> None:
        world.target.stop()
        assert type(refusal(tunnels, world)) is DatabaseUnreachable

    def test_a_door_that_is_for_another_target(self, tunnels: Tunnels, world: SshWorld) -> None:
        world.first.opens = {("127.0.0.1", 1)}
        assert type(refusal(tunnels, world)) is DatabaseUnreachable
