# SPDX-License-Identifier: Apache-2.0
"""VPCs, gateways, translation and what stays of them, tried with real packets. No machine is needed."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from sandbox import process
from sandbox.machines.host import HostSubstrate
from sandbox.network import namespaces, sockets
from sandbox.substrate import SubstrateError
from tests.sandbox.networks import CLOSED, machine, vpc
from tests.sandbox.packets import can_connect, connection, echoes, ip, listening

pytestmark = pytest.mark.sandbox

LAN = "slwt-lan"
LAN_HOST, LAN_PEER = "192.0.2.201", "192.0.2.202"


def public(substrate: HostSubstrate, number: int) -> str:
    """Return a public address of the region."""
    return str(substrate.addresses.pool[number])


@pytest.fixture
def lan(able_host: None) -> Iterator[str]:
    """A neighbour on the host's network; it stands for the real internet too."""
    ip("netns", "add", LAN)
    try:
        ip("link", "add", "slwt0", "type", "veth", "peer", "name", "eth0", "netns", LAN)
        ip("addr", "add", LAN_HOST, "peer", f"{LAN_PEER}/32", "dev", "slwt0")
        ip("link", "set", "dev", "slwt0", "up")
        for line in (
            "link set dev lo up", "link set dev eth0 up", f"addr add {LAN_PEER} peer {LAN_HOST}/32 dev eth0",
            f"route add default via {LAN_HOST}",
        ):  # fmt: skip
            ip("-n", LAN, *line.split())
        yield LAN
    finally:
        namespaces.remove(LAN)


def test_vpcs_may_overlap_and_do_not_see_each_other(substrate: HostSubstrate) -> None:
    first = vpc(machine("a1", "10.0.1.10"), machine("b1", "10.0.1.11"), name="vpc-1")
    second = vpc(machine("a2", "10.0.1.10"), machine("c2", "10.0.1.12"), name="vpc-2")
    substrate.apply_network((first, second))
    place = substrate.names.machine_namespace
    with listening(place("i-b1"), 80) as one, listening(place("i-c2"), 80) as two:
        assert can_connect(place("i-a1"), "10.0.1.11", 80)
        assert not can_connect(place("i-a1"), "10.0.1.12", 80)
        assert can_connect(place("i-a2"), "10.0.1.12", 80)
        assert not can_connect(place("i-a2"), "10.0.1.11", 80)
    assert (one.callers, two.callers) == (["10.0.1.10"], ["10.0.1.10"])


def test_subnets_of_a_vpc_reach_each_other_by_private_address(substrate: HostSubstrate) -> None:
    substrate.apply_network((vpc(machine("a", "10.0.1.10"), machine("b", "10.0.2.10", subnet="subnet-b")),))
    place = substrate.names.machine_namespace
    with listening(place("i-b"), 80) as heard:
        assert can_connect(place("i-a"), "10.0.2.10", 80)
    assert heard.callers == ["10.0.1.10"]


def test_operator_reaches_a_public_address_and_is_seen_as_the_operator(substrate: HostSubstrate) -> None:
    outside = public(substrate, 1)
    substrate.apply_network((vpc(machine("a", "10.0.1.10", public=outside)),))
    with listening(substrate.names.machine_namespace("i-a"), 80) as heard:
        assert can_connect(None, outside, 80)
    assert heard.callers == [substrate.operator_address]


def test_private_addresses_are_not_in_the_hosts_routing(substrate: HostSubstrate) -> None:
    substrate.apply_network((vpc(machine("a", "10.0.1.10", public=public(substrate, 1))),))
    assert "10.0.1." not in ip("-4", "route", "show", "table", "all")


def test_public_address_moves_to_another_machine(substrate: HostSubstrate) -> None:
    outside = public(substrate, 2)
    place = substrate.names.machine_namespace
    for owner, other in (("a", "b"), ("b", "a")):
        addresses = {"a": "10.0.1.10", "b": "10.0.1.11"}
        substrate.apply_network(
            (vpc(machine(owner, addresses[owner], public=outside), machine(other, addresses[other])),)
        )
        with listening(place(f"i-{owner}"), 80):
            assert can_connect(None, outside, 80)
    substrate.apply_network((vpc(machine("b", "10.0.1.11")),))
    with listening(place("i-b"), 80):
        assert not can_connect(None, outside, 80)


@pytest.mark.parametrize(
    ("internet", "has_public", "seen_as"),
    [
        pytest.param("gateway", True, "own", id="public-address"),
        pytest.param("gateway", False, None, id="gateway-without-address"),
        pytest.param("nat", False, "nat", id="nat-gateway"),
        pytest.param(None, False, None, id="isolated"),
        pytest.param(None, True, None, id="address-without-gateway"),
    ],
)
def test_way_out_is_the_subnets(
    substrate: HostSubstrate, internet: str | None, has_public: bool, seen_as: str | None
) -> None:
    own, nat = public(substrate, 3), public(substrate, 4)
    way = nat if internet == "nat" else internet
    substrate.apply_network(
        (vpc(machine("a", "10.0.1.10", public=own if has_public else None), internet=way),)
    )
    with listening(None, 0, substrate.operator_address) as heard:
        reached = can_connect(
            substrate.names.machine_namespace("i-a"), substrate.operator_address, heard.port
        )
    assert reached is (seen_as is not None)
    assert heard.callers == ([{"own": own, "nat": nat}[seen_as]] if seen_as else [])


def test_nobody_comes_in_by_the_address_of_a_nat_gateway(substrate: HostSubstrate) -> None:
    nat = public(substrate, 5)
    substrate.apply_network((vpc(machine("a", "10.0.1.10"), internet=nat),))
    with listening(substrate.names.machine_namespace("i-a"), 22):
        assert not can_connect(None, nat, 22)


@pytest.mark.parametrize("shares_vpc", [True, False], ids=["same-vpc", "other-vpc"])
def test_machines_reach_each_other_by_public_address(substrate: HostSubstrate, shares_vpc: bool) -> None:
    left = machine("a", "10.0.1.10", public=public(substrate, 6))
    right = machine("b", "10.0.1.11", public=public(substrate, 7))
    separate = (vpc(left, name="vpc-1"), vpc(right, name="vpc-2"))
    substrate.apply_network((vpc(left, right),) if shares_vpc else separate)
    place = substrate.names.machine_namespace
    with listening(place("i-b"), 80) as heard:
        assert can_connect(place("i-a"), public(substrate, 7), 80)
    assert heard.callers == [public(substrate, 6)]


def test_region_service_is_reached_with_a_way_out_only(substrate: HostSubstrate) -> None:
    nat = public(substrate, 8)
    substrate.apply_network(
        (vpc(machine("a", "10.0.1.10"), machine("b", "10.0.2.10", subnet="subnet-b"), internet=nat),)
    )
    place = substrate.names.machine_namespace
    with substrate.listen_region(0) as service:
        port = service.getsockname()[1]
        with connection(place("i-a"), substrate.region_address, port):
            service.settimeout(2)
            accepted, caller = service.accept()
            accepted.close()
        assert caller[0] == nat
        with pytest.raises(OSError, match="timed out|unreachable"):
            connection(place("i-b"), substrate.region_address, port)


def test_machine_reaches_the_world_as_the_host(substrate: HostSubstrate, lan: str) -> None:
    substrate.apply_network((vpc(machine("a", "10.0.1.10", public=public(substrate, 9))),))
    with listening(lan, 80) as heard:
        assert can_connect(substrate.names.machine_namespace("i-a"), LAN_PEER, 80)
    assert heard.callers == [LAN_HOST]


def test_the_lan_does_not_reach_machines(substrate: HostSubstrate, lan: str) -> None:
    outside = public(substrate, 10)
    substrate.apply_network((vpc(machine("a", "10.0.1.10", public=outside)),))
    with listening(substrate.names.machine_namespace("i-a"), 80):
        assert can_connect(None, outside, 80)
        assert not can_connect(lan, outside, 80)


def test_regions_do_not_reach_each_other(substrate: HostSubstrate, empty_substrate: HostSubstrate) -> None:
    substrate.apply_network((vpc(machine("a", "10.0.1.10", public=public(substrate, 11))),))
    there = public(empty_substrate, 11)
    empty_substrate.apply_network((vpc(machine("b", "10.0.1.10", public=there)),))
    with listening(empty_substrate.names.machine_namespace("i-b"), 80):
        assert can_connect(None, there, 80)
        assert not can_connect(substrate.names.machine_namespace("i-a"), there, 80)


def test_vpc_has_services_at_further_addresses(substrate: HostSubstrate) -> None:
    substrate.apply_network((vpc(machine("a", "10.0.1.10")),))
    client = substrate.names.machine_namespace("i-a")
    with (
        substrate.listen("vpc-1", "169.254.169.100", 8080, kind=socket.SOCK_STREAM) as service,
        connection(client, "169.254.169.100", 8080),
    ):
        service.settimeout(2)
        service.accept()[0].close()


def test_listening_in_an_unknown_vpc_is_refused(substrate: HostSubstrate) -> None:
    with pytest.raises(SubstrateError, match="does not exist"):
        substrate.listen("vpc-unknown", "169.254.169.254", 80, kind=socket.SOCK_STREAM)


def test_machine_that_moves_to_another_address_is_attached_anew(substrate: HostSubstrate) -> None:
    place = substrate.names.machine_namespace
    for address in ("10.0.1.10", "10.0.1.20"):
        substrate.apply_network((vpc(machine("a", address), machine("b", "10.0.1.11")),))
        with listening(place("i-a"), 80):
            assert can_connect(place("i-b"), address, 80)
    assert "10.0.1.10/" not in ip("-n", place("i-a"), "addr")


def test_a_new_process_takes_over_without_opening_a_firewall(substrate: HostSubstrate) -> None:
    """The daemon was killed: its successor keeps the namespaces of machines, and their connections."""
    wanted = (vpc(machine("a", "10.0.1.10"), machine("b", "10.0.1.11", firewall=CLOSED)),)
    place = substrate.names.machine_namespace
    substrate.apply_network(wanted)
    before = (sockets.NAMESPACES / place("i-a")).stat().st_ino
    with listening(place("i-a"), 80), connection(place("i-b"), "10.0.1.10", 80) as made:
        successor = HostSubstrate(substrate.names)
        assert successor.addresses == substrate.addresses
        successor.apply_network(wanted)
        assert echoes(made)
        assert can_connect(place("i-b"), "10.0.1.10", 80)
    assert (sockets.NAMESPACES / place("i-a")).stat().st_ino == before
    with listening(place("i-b"), 80):
        assert not can_connect(place("i-a"), "10.0.1.11", 80)


def test_a_failed_change_is_made_good_by_the_next_call(substrate: HostSubstrate) -> None:
    place = substrate.names.machine_namespace
    wanted = (vpc(machine("a", "10.0.1.10"), machine("b", "10.0.1.11")),)
    substrate.apply_network(wanted)
    ip("netns", "delete", place("i-b"))
    with pytest.raises(SubstrateError):
        substrate.apply_network((vpc(machine("a", "10.0.1.10"), machine("b", "10.0.1.12")),))
    substrate.apply_network(wanted)
    with listening(place("i-b"), 80):
        assert can_connect(place("i-a"), "10.0.1.11", 80)


def test_a_gateway_stays_where_machines_know_it_when_others_come_and_go(substrate: HostSubstrate) -> None:
    place = substrate.names.machine_namespace
    stays = machine("stays", "10.0.1.10")
    far = machine("far", "10.0.2.10", subnet="subnet-b")
    others = [machine(f"other{number}", f"10.0.1.{number}") for number in range(20, 24)]
    with_others = (vpc(stays, far, *others),)
    for wanted in (with_others, (vpc(stays, far),), with_others, (vpc(stays, far),)):
        substrate.apply_network(wanted)
        with listening(place("i-far"), 80):
            assert can_connect(place("i-stays"), "10.0.2.10", 80)


def test_destroying_leaves_nothing_even_without_state(empty_substrate: HostSubstrate) -> None:
    names = empty_substrate.names
    empty_substrate.apply_network((vpc(machine("a", "10.0.1.10", public=public(empty_substrate, 1))),))
    assert traces(names.prefix)
    (names.state_dir / "public-range").unlink()
    HostSubstrate(names).destroy_all()
    assert traces(names.prefix) == []
    assert ip("route", "show", str(empty_substrate.addresses.public_range)) == ""


def traces(prefix: str) -> list[str]:
    """Return the lines in which the host's network still speaks of the region."""
    rules = process.run(["nft", "list", "ruleset"], action="list rules")
    shown = "\n".join((rules, ip("netns"), ip("-brief", "link"), ip("route", "show", "table", "all")))
    spellings = (prefix, prefix.replace("-", "_"))
    return [line for line in shown.splitlines() if any(spelling in line for spelling in spellings)]
