# SPDX-License-Identifier: Apache-2.0
"""The region's public addresses: a /22 of the benchmarking range per checkout, routed by no real network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network

_POOL = IPv4Network("198.18.0.0/15")
_SLICE_PREFIX = 22

METADATA = "169.254.169.254"
RESOLVER = "169.254.169.253"
TIME = "169.254.169.123"
LINK_LOCAL_SERVICES = (METADATA, RESOLVER, TIME)

# Both ends of every link between a VPC's router and the region; the same on each, as the links are point to
# point.
REGION_END = "169.254.0.1"
ROUTER_END = "169.254.0.2"


@dataclass(frozen=True, slots=True)
class RegionAddresses:
    """Who is who in the region's public range: the lower half is its own, the upper is for machines."""

    public_range: IPv4Network

    @property
    def region(self) -> str:
        """Where machines with a way out of their VPC reach the region's own services."""
        return str(self.public_range[1])

    @property
    def operator(self) -> str:
        """The host, as machines see it."""
        return str(self.public_range[2])

    @property
    def pool(self) -> IPv4Network:
        """The addresses that may be given to machines and NAT gateways."""
        return list(self.public_range.subnets(prefixlen_diff=1))[1]


def choose_range(prefix: str, taken: Iterable[IPv4Network]) -> IPv4Network:
    """Return the /22 that `prefix` hashes to, or the next one that overlaps no network in `taken`."""
    slices = list(_POOL.subnets(new_prefix=_SLICE_PREFIX))
    used = [network for network in taken if network.prefixlen > 0]
    start = int(prefix.rsplit("-", 1)[-1], 16) % len(slices)
    for candidate in slices[start:] + slices[:start]:
        if not any(candidate.overlaps(network) for network in used):
            return candidate
    raise LookupError(f"every /{_SLICE_PREFIX} of {_POOL} is routed on this host already")


def gateway(cidr: str) -> str:
    """Return the address of a subnet's router, as AWS places it: the first after the network's own."""
    return str(IPv4Network(cidr)[1])


def prefix_length(cidr: str) -> int:
    """Return the prefix length of a CIDR."""
    return IPv4Network(cidr).prefixlen


def is_ipv4(cidr: str) -> bool:
    """Return whether a rule's CIDR is one our machines can ever match; they have no IPv6."""
    return ":" not in cidr
