# SPDX-License-Identifier: Apache-2.0
"""What happens to a tunnel when what it goes through breaks, on real machines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from orchestrator.domain.tunnel import TunnelState
from orchestrator.errors import DoorError, HostKeyChanged, KeyRefused
from orchestrator.ports.doors import Tunnel, TunnelOptions, Tunnels
from tests.sandbox.doors.engine.chain import Chain, ChainRoutes, until
from tests.sandbox.doors.engine.conftest import APPS, BASTION
from tests.sandbox.doors.engine.targets import is_served
from tests.sandbox.doors.engine.traffic import Bulk, Newcomers, hanging, idle_connections

pytestmark = pytest.mark.sandbox

NOTICE_S = 10.0
BUSY_S = 3.0  # so much later this process may see what a tunnel has noticed in time
BLACK_HOLE_S = 30.0
END_OF_PATIENCE_S = 5.0
# Newcomers come one after the other. With a second way ready, only who is just being served can be cut off.
CUT_OFF, CUT_OFF_WITH_STANDBY = 4, 1

_log = logging.getLogger(__name__)


@dataclass
class Breakage:
    """What a fault did to the clients of a tunnel."""

    tunnel: Tunnel
    has_stream_ended: bool
    hanging: int
    newcomers: Newcomers


@contextmanager
def broken(
    tunnels: Tunnels, routes: ChainRoutes, options: TunnelOptions, fault: Callable[[], None]
) -> Iterator[Breakage]:
    """Break something under a stream of 512 MiB, 50 idle connections and new ones all the time."""
    with tunnels.open(routes, options) as tunnel, idle_connections(tunnel.address) as idle:
        if options.has_standby and not tunnels.limits:
            until(lambda: tunnel.status().standby)
        bulk = Bulk(tunnel.address)
        bulk.under_way()
        with Newcomers(tunnel.address).coming() as newcomers:
            fault()
            has_ended, left = bulk.ended(), hanging(idle)
            until(tunnel.status, lambda status: status.state is TunnelState.READY and status.reconnects > 0)
            served = newcomers.served
            until(lambda: newcomers.served, lambda count: count > served + 5)
        _log.info("%s; longest wait %.2f s", newcomers, newcomers.longest_s)
        yield Breakage(tunnel, has_ended and bulk.received < bulk.size, left, newcomers)


def way(tunnel: Tunnel) -> tuple[str, ...]:
    """Return the names of the hops in use."""
    return tuple(hop.name for hop in tunnel.status().hops)


def test_a_killed_sshd_in_the_middle_ends_connections_at_once_and_new_ones_are_served(
    tunnels: Tunnels, chain: Chain, streams: ChainRoutes, options: TunnelOptions
) -> None:
    with broken(tunnels, streams, options, lambda: chain.kill_sshd(APPS[0])) as seen:
        assert (seen.has_stream_ended, seen.hanging) == (True, 0)
        assert seen.newcomers.failed <= (CUT_OFF if tunnels.limits else CUT_OFF_WITH_STANDBY)


def test_a_killed_sshd_on_the_bastion_ends_connections_at_once_and_new_ones_are_served(
    tunnels: Tunnels, chain: Chain, streams: ChainRoutes, options: TunnelOptions
) -> None:
    with broken(tunnels, streams, options, lambda: chain.kill_sshd(BASTION)) as seen:
        assert (seen.has_stream_ended, seen.hanging) == (True, 0)
        assert seen.newcomers.failed <= CUT_OFF
        assert way(seen.tunnel)[0] == BASTION


def test_a_replaced_machine_in_the_middle_is_gone_around(
    tunnels: Tunnels, chain: Chain, streams: ChainRoutes, options: TunnelOptions
) -> None:
    with broken(tunnels, streams, options, lambda: chain.replace(APPS[0], "i-app-3")) as seen:
        assert (seen.has_stream_ended, seen.hanging) == (True, 0)
        assert seen.newcomers.failed <= (CUT_OFF if tunnels.limits else CUT_OFF_WITH_STANDBY)
        assert way(seen.tunnel)[1] in (APPS[1], "i-app-3")


def test_a_replaced_bastion_is_found_by_its_new_address_and_keys(
    tunnels: Tunnels, chain: Chain, streams: ChainRoutes, options: TunnelOptions
) -> None:
    with broken(tunnels, streams, options, lambda: chain.replace(BASTION, "i-bastion-2")) as seen:
        assert (seen.has_stream_ended, seen.hanging) == (True, 0)
        assert seen.newcomers.failed <= CUT_OFF
        assert way(seen.tunnel)[0] == "i-bastion-2"


def test_a_network_that_swallows_everything_is_noticed_and_outlived(
    tunnels: Tunnels, chain: Chain, streams: ChainRoutes, options: TunnelOptions
) -> None:
    with tunnels.open(streams, options) as tunnel, idle_connections(tunnel.address) as idle:
        address = tunnel.address
        with chain.cut_off(BASTION):
            begun = time.monotonic()
            until(
                tunnel.status, lambda status: status.state is not TunnelState.READY, limit_s=NOTICE_S + BUSY_S
            )
            assert hanging(idle, BUSY_S) == 0
            if not tunnels.limits:  # once is enough for what only takes time
                time.sleep(max(0.0, BLACK_HOLE_S - (time.monotonic() - begun)))
        assert is_served(address)
        assert (tunnel.address, tunnel.status().state) == (address, TunnelState.READY)


def test_another_host_key_is_refused_before_anything_is_said(
    tunnels: Tunnels, chain: Chain, streams: ChainRoutes, options: TunnelOptions
) -> None:
    chain.inside(BASTION, "rm /etc/ssh/ssh_host_*; systemctl restart ssh")
    until(lambda: journal_of_sshd(chain, BASTION)[-1:], lambda lines: "listening" in "".join(lines))
    before = journal_of_sshd(chain, BASTION)
    try:
        with pytest.raises(HostKeyChanged), tunnels.open(streams, options):
            pytest.fail("it let us through")
        new = until(
            lambda: journal_of_sshd(chain, BASTION)[len(before) :],
            lambda lines: "[preauth]" in "".join(lines),
        )
        assert [line for line in new if "user" in line] == [], "it was told who we are"
    finally:
        chain.learn(BASTION)
    with tunnels.open(streams, options) as tunnel:
        assert is_served(tunnel.address)


def test_a_host_key_that_changes_while_the_tunnel_is_open_is_not_accepted_either(
    tunnels: Tunnels, chain: Chain, streams: ChainRoutes, options: TunnelOptions
) -> None:
    with tunnels.open(streams, replace(options, patience_s=1.0)) as tunnel:
        chain.inside(BASTION, "rm /etc/ssh/ssh_host_*; ssh-keygen -A")
        chain.kill_sshd(BASTION)
        try:
            # Whether it waits for better news or gives up, nobody is carried through the wrong machine.
            until(lambda: _has_lost(tunnel))
            assert not is_served(tunnel.address, timeout_s=END_OF_PATIENCE_S)
        finally:
            chain.learn(BASTION)


@pytest.mark.parametrize("refusing", [(BASTION,), APPS], ids=["bastion", "middle"])
def test_a_revoked_key_is_refused(
    refusing: tuple[str, ...], tunnels: Tunnels, chain: Chain, streams: ChainRoutes, options: TunnelOptions
) -> None:
    key = (chain.folder / "operator.pub").read_text()
    for name in refusing:
        chain.inside(name, "cat > /etc/ssh/revoked", stdin=key)
    try:
        with pytest.raises(KeyRefused) as caught, tunnels.open(streams, options):
            pytest.fail("it let us through")
        assert any(name in str(caught.value) for name in refusing)
    finally:
        for name in refusing:
            chain.inside(name, ": > /etc/ssh/revoked")


def test_a_machine_whose_log_has_no_room_carries_on(
    tunnels: Tunnels, chain: Chain, streams: ChainRoutes, options: TunnelOptions
) -> None:
    with chain.full_log(APPS[0]), chain.full_log(BASTION), tunnels.open(streams, options) as tunnel:
        bulk = Bulk(tunnel.address, size=64 << 20)
        assert bulk.ended(60.0)
        assert bulk.received == bulk.size
        assert is_served(tunnel.address)


def _has_lost(tunnel: Tunnel) -> bool:
    try:
        return tunnel.wait(0) or tunnel.status().state is not TunnelState.READY
    except DoorError:
        return True


def journal_of_sshd(chain: Chain, name: str) -> list[str]:
    """Return what sshd of a machine has logged."""
    return chain.inside(name, "journalctl --identifier sshd --output cat").splitlines()
