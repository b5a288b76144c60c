# SPDX-License-Identifier: Apache-2.0
"""Plan the region's links: which `ip` commands make or remove each part, in which namespace.

    host --veth-- region --veth-- router of a VPC --bridge of a subnet--veth-- machine

Pure: values in, command lines out. `dev` is always spelled out: `ip link set ma up` reads `ma` as `master`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sandbox.names import RegionNames, interface
from sandbox.network.addresses import (
    LINK_LOCAL_SERVICES,
    REGION_END,
    ROUTER_END,
    RegionAddresses,
    gateway,
    prefix_length,
)
from sandbox.substrate import AttachedMachine, SubnetState

UPLINK = "up"
MACHINE_LINK = "eth0"
_HOST_END = "host"

FORWARDING_SYSCTLS = {
    "net.ipv6.conf.default.disable_ipv6": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
    # "Port unreachable" must not be held back: a client of a service that is down should hear of it at once.
    "net.ipv4.icmp_ratelimit": "0",
    "net.ipv4.ip_forward": "1",
}
MACHINE_SYSCTLS = {
    "net.ipv6.conf.default.disable_ipv6": "1",
    # Machines have no CAP_NET_RAW (raw frames would pass beside the firewall), so ping uses datagram sockets.
    "net.ipv4.ping_group_range": "0 2147483647",
}


@dataclass(frozen=True, slots=True)
class Commands:
    """Lines for one `ip -batch`, run in `namespace` (the host's own if None)."""

    namespace: str | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one machine is attached; a machine whose place differs is attached anew."""

    vpc_id: str
    subnet: SubnetState
    machine: AttachedMachine


def region_links(names: RegionNames, addresses: RegionAddresses, *, mtu: int) -> tuple[Commands, ...]:
    """Join the host and the region: the only part of the network that the host's own routing sees."""
    region, operator = addresses.region, addresses.operator
    host_link = names.host_link
    return (
        Commands(
            None,
            (
                f"link add name {host_link} mtu {mtu} type veth"
                f" peer name {_HOST_END} mtu {mtu} netns {names.region_namespace}",
                f"link set dev {host_link} up",
                f"addr add {operator} peer {region}/32 dev {host_link}",
                f"route add {addresses.public_range} via {region} dev {host_link} src {operator}",
            ),
        ),
        Commands(
            names.region_namespace,
            (
                "link set dev lo up",
                f"link set dev {_HOST_END} up",
                f"addr add {region} peer {operator}/32 dev {_HOST_END}",
                f"route add default via {operator} dev {_HOST_END}",
                # An address nobody has must not bounce between the host and the region.
                f"route replace unreachable {addresses.public_range}",
            ),
        ),
    )


def router_links(names: RegionNames, vpc_id: str, *, mtu: int) -> tuple[Commands, ...]:
    """Join a VPC's router to the region, and give it AWS's link-local service addresses."""
    router, region_end = names.router_namespace(vpc_id), interface("v", vpc_id)
    services = tuple(f"addr replace {address}/32 dev lo" for address in LINK_LOCAL_SERVICES)
    return (
        Commands(
            names.region_namespace,
            (
                f"link add name {region_end} mtu {mtu} type veth peer name {UPLINK} mtu {mtu} netns {router}",
                f"link set dev {region_end} up",
                f"addr add {REGION_END}/32 dev {region_end}",
            ),
        ),
        Commands(
            router,
            (
                "link set dev lo up",
                *services,
                f"link set dev {UPLINK} up",
                f"addr add {ROUTER_END}/32 dev {UPLINK}",
                f"route add default via {REGION_END} dev {UPLINK} onlink",
            ),
        ),
    )


def subnet_links(names: RegionNames, vpc_id: str, subnet: SubnetState, *, mtu: int) -> tuple[Commands, ...]:
    """Give a subnet its bridge on the VPC's router."""
    bridge = interface("s", subnet.subnet_id)
    address = f"{gateway(subnet.cidr)}/{prefix_length(subnet.cidr)}"
    return (
        Commands(
            names.router_namespace(vpc_id),
            (
                # Without an address of its own a bridge takes its lowest port's, and so another one when that
                # machine goes: the others would go on sending to a gateway that no longer answers.
                f"link add name {bridge} mtu {mtu} address {gateway_mac(subnet.subnet_id)}"
                " type bridge mcast_snooping 0",
                f"link set dev {bridge} up",
                f"addr add {address} dev {bridge}",
            ),
        ),
    )


def machine_links(names: RegionNames, place: Place, *, mtu: int) -> tuple[Commands, ...]:
    """Attach a machine's namespace to its subnet's bridge."""
    machine, subnet = place.machine, place.subnet
    port = interface("m", machine.instance_id)
    inside = names.machine_namespace(machine.instance_id)
    return (
        Commands(
            names.router_namespace(place.vpc_id),
            (
                f"link add name {port} mtu {mtu} type veth"
                f" peer name {MACHINE_LINK} mtu {mtu} address {machine.mac_address} netns {inside}",
                f"link set dev {port} master {interface('s', subnet.subnet_id)} up",
            ),
        ),
        Commands(
            inside,
            (
                "link set dev lo up",
                f"link set dev {MACHINE_LINK} up",
                f"addr add {machine.private_address}/{prefix_length(subnet.cidr)} dev {MACHINE_LINK}",
                f"route add default via {gateway(subnet.cidr)} dev {MACHINE_LINK}",
            ),
        ),
    )


def gateway_mac(subnet_id: str) -> str:
    """Return the hardware address of a subnet's router: a locally administered one, always the same."""
    digest = hashlib.sha256(subnet_id.encode()).digest()[:5]
    return "06:" + digest.hex(":")


def remove_subnet(names: RegionNames, vpc_id: str, subnet_id: str) -> Commands:
    """Remove a subnet's bridge."""
    return Commands(names.router_namespace(vpc_id), (f"link del dev {interface('s', subnet_id)}",))


def remove_machine(names: RegionNames, place: Place) -> Commands:
    """Remove a machine's link; both ends go."""
    port = interface("m", place.machine.instance_id)
    return Commands(names.router_namespace(place.vpc_id), (f"link del dev {port}",))


def public_route(vpc_id: str, address: str) -> str:
    """Return the region's route to a public address of a VPC, without the verb."""
    return f"{address}/32 via {ROUTER_END} dev {interface('v', vpc_id)} onlink"
