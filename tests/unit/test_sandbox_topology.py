# SPDX-License-Identifier: Apache-2.0
"""Names, addresses and the plan of links: pure."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.names import RegionNames, interface, of_checkout
from sandbox.network import topology
from sandbox.network.addresses import RegionAddresses, choose_range, gateway
from sandbox.network.topology import Commands, Place
from sandbox.substrate import AttachedMachine, Firewall, SubnetState

NAMES = RegionNames("slw-0123abcd", Path("/checkout/.sandbox"), Path("/cache"))
ADDRESSES = RegionAddresses(IPv4Network("198.18.4.0/22"))
SUBNET = SubnetState("subnet-1", "10.0.1.0/24", "gateway")
PLACE = Place(
    "vpc-1",
    SUBNET,
    AttachedMachine("i-1", "subnet-1", "10.0.1.9", "02:00:00:00:00:09", None, Firewall()),
)


def plan() -> list[Commands]:
    """Return all that a region with one machine is made of."""
    return [
        *topology.region_links(NAMES, ADDRESSES, mtu=1400),
        *topology.router_links(NAMES, "vpc-1", mtu=1400),
        *topology.subnet_links(NAMES, "vpc-1", SUBNET, mtu=1400),
        *topology.machine_links(NAMES, PLACE, mtu=1400),
    ]


def test_names_differ_by_checkout_and_fit_the_kernel(tmp_path: Path) -> None:
    left, right = of_checkout(tmp_path / "a", {}), of_checkout(tmp_path / "b", {})
    assert left.prefix != right.prefix
    assert len(left.host_link) <= 15
    assert left.state_dir == tmp_path / "a" / ".sandbox"
    assert left.cache_dir == Path("/root/.cache/slipway")
    assert of_checkout(tmp_path, {"XDG_CACHE_HOME": "/c"}).cache_dir == Path("/c/slipway")


@given(st.text(min_size=1))
def test_interface_names_fit_the_kernel(owner_id: str) -> None:
    name = interface("m", owner_id)
    assert len(name) <= 15
    assert name != interface("s", owner_id)


def test_only_one_link_is_on_the_host() -> None:
    on_host = [line for group in plan() if group.namespace is None for line in group.lines]
    assert [line for line in on_host if line.startswith("link add")] == [
        "link add name slw-0123abcd mtu 1400 type veth peer name host mtu 1400 netns slw-0123abcd-region"
    ]
    assert not [line for line in on_host if "10.0." in line]


def test_every_link_has_the_hosts_mtu() -> None:
    added = [line for group in plan() for line in group.lines if line.startswith("link add")]
    assert len(added) == 4
    for line in added:
        assert line.count("mtu 1400") == line.count("name ")


def test_no_line_leaves_ip_to_guess_what_is_a_name() -> None:
    """`ip link set ma up` means "master up"."""
    for group in plan():
        for line in group.lines:
            assert not line.startswith("link set ") or line.startswith("link set dev ")
            assert not line.startswith("link add ") or line.startswith("link add name ")


def test_machine_gets_its_own_addresses_and_its_subnets_router() -> None:
    outside, inside = topology.machine_links(NAMES, PLACE, mtu=1400)
    assert "address 02:00:00:00:00:09 netns slw-0123abcd-machine-i-1" in outside.lines[0]
    assert inside.lines[-2:] == (
        "addr add 10.0.1.9/24 dev eth0",
        "route add default via 10.0.1.1 dev eth0",
    )


def test_gateway_is_the_first_address() -> None:
    assert gateway("10.20.16.0/20") == "10.20.16.1"


def test_gateway_has_one_hardware_address_of_its_own() -> None:
    address = topology.gateway_mac("subnet-1")
    first_octet = int(address.split(":")[0], 16)
    assert first_octet & 0b11 == 0b10  # locally administered, not a group
    assert address == topology.gateway_mac("subnet-1") != topology.gateway_mac("subnet-2")
    assert f"address {address}" in topology.subnet_links(NAMES, "vpc-1", SUBNET, mtu=1400)[0].lines[0]


def test_region_keeps_the_lower_half_of_its_range() -> None:
    assert (ADDRESSES.region, ADDRESSES.operator) == ("198.18.4.1", "198.18.4.2")
    assert ADDRESSES.pool == IPv4Network("198.18.6.0/23")


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        pytest.param([], "198.18.4.0/22", id="own"),
        pytest.param(["0.0.0.0/0", "10.0.0.0/8"], "198.18.4.0/22", id="others-do-not-matter"),
        pytest.param(["198.18.4.0/22"], "198.18.8.0/22", id="next"),
        pytest.param(["198.18.6.7/32", "198.18.8.0/21"], "198.18.16.0/22", id="part-of-it"),
        pytest.param(["198.18.0.0/16"], "198.19.0.0/22", id="half"),
    ],
)
def test_range_is_the_next_free_one(taken: list[str], expected: str) -> None:
    chosen = choose_range("slw-00000001", [IPv4Network(network) for network in taken])
    assert chosen == IPv4Network(expected)


def test_range_wraps_around_and_ends() -> None:
    upper = [IPv4Network("198.18.4.0/22"), IPv4Network("198.18.8.0/21"), IPv4Network("198.18.16.0/20")]
    rest = [IPv4Network("198.18.32.0/19"), IPv4Network("198.18.64.0/18"), IPv4Network("198.18.128.0/17")]
    all_but_first = [*upper, *rest, IPv4Network("198.19.0.0/16")]
    assert choose_range("slw-00000001", all_but_first) == IPv4Network("198.18.0.0/22")
    with pytest.raises(LookupError, match="routed on this host already"):
        choose_range("slw-00000001", [IPv4Network("198.18.0.0/15")])
