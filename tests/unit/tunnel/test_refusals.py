# SPDX-License-Identifier: Apache-2.0
"""What ends a tunnel for good, and what is said about it."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

import asyncssh
import pytest

from orchestrator.domain.tunnel import TunnelState
from orchestrator.errors import (
    DatabaseUnreachable,
    DoorError,
    HostKeyChanged,
    KeyRefused,
    MachineMissing,
    PortBusy,
    TokenExpired,
)
from orchestrator.ports.doors import Login, Routes, Tunnel, TunnelOptions
from orchestrator.ssh.tunnel import AsyncTunnels
from tests.unit.tunnel.ssh_world import SshWorld, client, echo, until

ALONE = TunnelOptions(has_standby=False)
QUICK = replace(ALONE, connect_timeout_s=0.3)


def refusal(routes: Routes, options: TunnelOptions = ALONE) -> DoorError:
    with pytest.raises(DoorError) as caught, AsyncTunnels().open(routes, options):
        raise AssertionError("it opened")
    return caught.value


def ended_by(tunnel: Tunnel) -> DoorError:
    with pytest.raises(DoorError) as caught:
        tunnel.wait(20)
    assert tunnel.status().state is TunnelState.CLOSED
    with pytest.raises(ConnectionRefusedError), client(tunnel.address):
        pass
    return caught.value


def test_a_busy_port_is_named_with_its_holder_before_anything_else(world: SshWorld) -> None:
    routes = world.routes()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refusal(routes, replace(ALONE, local_port=port))
    assert (type(error), error.what, routes.finds) == (PortBusy, f"listen on 127.0.0.1:{port}", [])
    assert error.cause.endswith(f"(process {os.getpid()}) listens there")


def test_a_login_that_is_refused_is_tried_once_more(world: SshWorld) -> None:
    world.first.lets_in = False
    routes = world.routes(world.first)
    error = refusal(routes)
    assert (type(error), error.what, routes.logins) == (KeyRefused, "ssh operator@i-app1", 2)


def test_another_machine_may_let_us_in(world: SshWorld) -> None:
    world.first.lets_in = False
    with AsyncTunnels().open(world.routes(), ALONE) as tunnel:
        assert [hop.name for hop in tunnel.status().hops] == ["i-bastion", "i-app2"]


def test_a_door_of_the_bastion_that_does_not_lead_there(world: SshWorld) -> None:
    world.bastion.opens = set()
    error = refusal(world.routes(world.first))
    assert (type(error), error.cause) == (KeyRefused, "the machine before it does not let us go on to it")


def test_a_changed_host_key_stops_everything_and_is_shown(world: SshWorld) -> None:
    published = world.first.key.get_fingerprint()
    world.first.change_key()
    routes = world.routes()
    error = refusal(routes)
    assert (type(error), error.what, error.state) == (
        HostKeyChanged,
        "ssh operator@i-app1",
        "nothing was sent to it",
    )
    assert error.cause == f"it shows {world.first.key.get_fingerprint()}, but has published {published}"
    assert (world.second.logins, routes.logins) == (0, 1)


def test_a_host_key_of_another_kind_is_a_changed_one(world: SshWorld) -> None:
    world.first.stop()
    world.first.key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    world.first.start()
    assert type(refusal(world.routes(world.first))) is HostKeyChanged


def test_the_kind_of_key_that_was_published_is_asked_for(world: SshWorld) -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    world.first.more_keys.append(rsa)
    world.first.stop()
    world.first.published = (rsa.export_public_key().decode().strip(),)
    world.first.start()
    with AsyncTunnels().open(world.routes(world.first), ALONE) as tunnel, client(tunnel.address) as one:
        assert echo(one, b"x") == b"x"


def test_a_machine_without_published_keys_is_not_talked_to(world: SshWorld) -> None:
    routes = world.routes()
    routes.routes = [world.route(world.bastion.hop(), replace(world.first.hop(), host_keys=()))]
    error = refusal(routes)
    assert (type(error), error.cause) == (MachineMissing, "it has not published its host keys")
    assert world.first.logins == 0


def test_no_machine_answers(world: SshWorld) -> None:
    world.first.stop()
    world.second.stop()
    error = refusal(world.routes(), QUICK)
    assert (type(error), error.what) == (MachineMissing, "ssh operator@i-app2")


def test_a_bastion_that_hangs_is_asked_once_for_all_machines_behind_it(world: SshWorld) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hop = replace(world.bastion.hop(), port=silent.getsockname()[1])
        routes = world.routes()
        routes.routes = [world.route(hop, machine.hop()) for machine in (world.first, world.second)]
        error = refusal(routes, QUICK)
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert (type(error), error.what) == (MachineMissing, "ssh operator@i-bastion")
    assert error.cause.endswith("does not answer: no answer in time")


def test_no_machine_runs(world: SshWorld) -> None:
    routes = world.routes()
    routes.routes = []
    error = refusal(routes)
    assert (type(error), error.cause) == (MachineMissing, "no machine runs")


def test_a_target_that_does_not_answer(world: SshWorld) -> None:
    world.target.stop()
    error = refusal(world.routes(world.first))
    assert (type(error), error.what) == (
        DatabaseUnreachable,
        f"connect to 127.0.0.1:{world.target.port}",
    )
    assert error.cause.startswith("i-app1 can't connect to it: ")


def test_a_door_that_is_for_another_target(world: SshWorld) -> None:
    world.first.opens = {("127.0.0.1", 1)}
    error = refusal(world.routes(world.first))
    assert (type(error), error.cause) == (
        DatabaseUnreachable,
        "the door through i-app1 is not for this endpoint",
    )


def test_a_key_that_is_blocked_ends_the_tunnel_after_a_while(world: SshWorld) -> None:
    with AsyncTunnels(refusal_s=0.3).open(world.routes(world.first), ALONE) as tunnel:
        world.first.lets_in = False
        logins = world.first.logins
        world.first.cut()
        assert type(ended_by(tunnel)) is KeyRefused
        assert world.first.logins >= logins + 2


def test_a_machine_that_learns_of_us_late_lets_us_in(world: SshWorld) -> None:
    with AsyncTunnels().open(world.routes(world.first), ALONE) as tunnel:
        world.first.lets_in = False
        logins = world.first.logins
        world.first.cut()
        until(lambda: world.first.logins >= logins + 2)
        world.first.lets_in = True
        with client(tunnel.address) as one:
            assert echo(one, b"x") == b"x"


def test_a_host_key_that_changes_later_ends_the_tunnel(world: SshWorld) -> None:
    routes = world.routes(world.first)
    with AsyncTunnels().open(routes, ALONE) as tunnel:
        with client(tunnel.address) as one:
            assert echo(one, b"x") == b"x"
            world.first.change_key()
            with pytest.raises(ConnectionResetError):
                one.recv(1)
        assert type(ended_by(tunnel)) is HostKeyChanged


def test_expired_credentials_end_the_tunnel_when_it_needs_a_new_way(world: SshWorld) -> None:
    routes = world.routes()
    with AsyncTunnels().open(routes, TunnelOptions()) as tunnel:
        until(lambda: bool(tunnel.status().standby))
        routes.error = TokenExpired("sign in", "the session is over")
        with client(tunnel.address) as one:
            finds = len(routes.finds)
            world.second.cut()
            until(lambda: len(routes.finds) > finds)
            assert echo(one, b"the active way stays") == b"the active way stays"
            world.first.cut()
        assert ended_by(tunnel) is routes.error


def test_a_wait_that_is_not_over(world: SshWorld) -> None:
    with AsyncTunnels().open(world.routes(world.first), ALONE) as tunnel:
        assert tunnel.wait(0.01) is False
    assert tunnel.wait() is True


def test_a_bug_in_the_routes_is_told(world: SshWorld) -> None:
    class Broken:
        find = world.routes().find

        def login(self) -> Login:
            raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError), AsyncTunnels().open(Broken(), ALONE):
        pass
