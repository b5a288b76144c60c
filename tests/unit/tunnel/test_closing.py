# SPDX-License-Identifier: Apache-2.0
"""What is left of a tunnel: nothing, however it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.domain.tunnel import TunnelState
from orchestrator.ports.doors import Login, TunnelOptions
from orchestrator.ssh.tunnel import AsyncTunnels
from tests.unit.tunnel.ssh_world import SshWorld, client, echo, until

ALONE = TunnelOptions(has_standby=False)
_CLOSE_LIMIT_S = 3.0  # it takes milliseconds; a hang would take ten seconds and more


def sockets() -> set[str]:
    links = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            links.add(str(entry.readlink()))
        except FileNotFoundError:
            continue  # that of the listing itself
    return {link for link in links if link.startswith(("socket:", "anon_inode:"))}


def tunnel_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tunnel")]


@pytest.fixture
def leaves_nothing(world: SshWorld) -> Iterator[None]:
    """Compare what this process holds before and after; the world's own ends of connections go with ours."""
    before = sockets()
    yield
    until(lambda: sockets() <= before)
    until(lambda: not tunnel_threads())


@pytest.mark.usefixtures("leaves_nothing")
def test_closing_ends_open_connections_at_once(world: SshWorld) -> None:
    with ExitStack() as stack:
        with AsyncTunnels().open(world.routes(), TunnelOptions()) as tunnel:
            ones = [stack.enter_context(client(tunnel.address)) for _ in range(20)]
            assert [echo(one, b"x") for one in ones] == [b"x"] * 20
        for one in ones:
            with pytest.raises(ConnectionResetError):
                one.recv(1)
    status = tunnel.status()
    assert (status.state, status.open_connections, status.hops) == (TunnelState.CLOSED, 0, ())
    assert (status.served_connections, status.failed_connections) == (20, 0)
    with pytest.raises(ConnectionRefusedError), client(tunnel.address):
        pass


@pytest.mark.usefixtures("leaves_nothing")
def test_closing_does_not_wait_for_hops_that_hang(world: SshWorld) -> None:
    outer, inner = world.hole(world.bastion), world.hole(world.first)
    routes = world.routes()
    routes.routes = [world.route(world.bastion.hop(outer.port), world.first.hop(inner.port))]
    with AsyncTunnels().open(routes, TunnelOptions()) as tunnel, client(tunnel.address) as one:
        assert echo(one, b"x") == b"x"
        outer.open()
        inner.open()
        with client(tunnel.address) as waiting:
            one.sendall(b"x" * 1_000_000)
            assert tunnel.status().open_connections >= 1
            asked = time.monotonic()
            waiting.settimeout(0.01)
        hung = asked
    assert time.monotonic() - hung < _CLOSE_LIMIT_S
    world.close_holes()


@pytest.mark.usefixtures("leaves_nothing")
def test_closing_does_not_wait_for_a_look_up_that_hangs(world: SshWorld) -> None:
    release = threading.Event()
    routes = world.routes(world.first)

    def login() -> Login:
        release.wait(20)
        raise AssertionError("nobody should hear of this")

    with AsyncTunnels().open(routes, ALONE):
        routes.login = login  # type: ignore[method-assign]
        finds = len(routes.finds)
        world.first.cut()
        until(lambda: len(routes.finds) > finds)
        asked = time.monotonic()
    assert time.monotonic() - asked < _CLOSE_LIMIT_S
    release.set()


@pytest.mark.usefixtures("leaves_nothing")
def test_an_opening_that_fails_leaves_nothing(world: SshWorld) -> None:
    world.first.lets_in = False
    with pytest.raises(Exception, match="i-app1"), AsyncTunnels().open(world.routes(world.first), ALONE):
        pass


@pytest.mark.usefixtures("leaves_nothing")
def test_an_error_of_who_uses_the_tunnel_closes_it(world: SshWorld) -> None:
    with pytest.raises(KeyboardInterrupt), AsyncTunnels().open(world.routes(world.first), ALONE):
        raise KeyboardInterrupt


@pytest.mark.usefixtures("leaves_nothing")
def test_connections_may_have_a_time_of_grace(world: SshWorld) -> None:
    with ExitStack() as stack:
        with AsyncTunnels(grace_s=20).open(world.routes(world.first), ALONE) as tunnel:
            one = stack.enter_context(client(tunnel.address))
            assert echo(one, b"x") == b"x"

            def end() -> None:
                until(lambda: tunnel.status().state is TunnelState.DRAINING)
                answers.append(echo(one, b"still here"))
                one.close()

            answers: list[bytes] = []
            ending = threading.Thread(target=end)
            ending.start()
        ending.join()
    assert (answers, tunnel.status().served_connections) == ([b"still here"], 1)


@pytest.mark.usefixtures("leaves_nothing")
def test_grace_is_bounded(world: SshWorld) -> None:
    with ExitStack() as stack:
        with AsyncTunnels(grace_s=0.1).open(world.routes(world.first), ALONE) as tunnel:
            one = stack.enter_context(client(tunnel.address))
            assert echo(one, b"x") == b"x"
        with pytest.raises(ConnectionResetError):
            one.recv(1)


@pytest.mark.usefixtures("leaves_nothing")
def test_an_attempt_that_hangs_does_not_keep_the_tunnel(world: SshWorld) -> None:
    hole = world.hole(world.first)
    routes = world.routes()
    routes.routes = [world.route(world.bastion.hop(), world.first.hop(hole.port))]
    with AsyncTunnels().open(routes, replace(ALONE, keepalive_s=0.1)) as tunnel:
        hole.open()
        until(lambda: tunnel.status().state is TunnelState.REBUILDING)
        asked = time.monotonic()
    assert time.monotonic() - asked < _CLOSE_LIMIT_S
    world.close_holes()
