# SPDX-License-Identifier: Apache-2.0
"""Tell from a network's templates who can open a TCP connection to whom, and at which ports.

Security groups, network ACLs in both directions, routes and public addresses are read from the templates as
AWS gets them, so what is told here changes with them. It is proved with packets by tests on real machines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

INTERNET = "internet"
OPERATORS = "ssh_from"
OTHER_NETWORK = "other network"
# Where answers go: the ports from which connections are opened.
_EPHEMERAL = 40000
# A port that no rule names.
_UNNAMED = 8000

Matrix = Mapping[tuple[str, str], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a security group or an ACL lets through, or an ACL's rule that stops it."""

    first_port: int
    last_port: int
    cidr: IPv4Network | None = None
    group: str = ""
    is_allow: bool = True

    def covers(self, port: int, address: IPv4Address, groups: frozenset[str]) -> bool:
        """Whether the rule is about a peer and a port."""
        if not self.first_port <= port <= self.last_port:
            return False
        return address in self.cidr if self.cidr else self.group in groups


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere connections begin or end. Outside of the network there are neither groups nor a tier."""

    name: str
    address: IPv4Address
    groups: frozenset[str] = frozenset()
    tier: str = ""
    is_public: bool = False


@dataclass(frozen=True, slots=True)
class Tier:
    """The subnets of a tier: their ACL, and how they reach addresses outside (gateway, nat or nothing)."""

    cidrs: tuple[IPv4Network, ...]
    acl_in: tuple[Rule, ...]
    acl_out: tuple[Rule, ...]
    way_out: str


@dataclass(frozen=True, slots=True)
class Wiring:
    """A network as its templates describe it."""

    tiers: Mapping[str, Tier]
    ingress: Mapping[str, tuple[Rule, ...]]
    egress: Mapping[str, tuple[Rule, ...]]
    places: tuple[Place, ...]

    @property
    def ports(self) -> tuple[int, ...]:
        """Every single port that a security group names, and one that none does."""
        rules = (rule for each in (*self.ingress.values(), *self.egress.values()) for rule in each)
        named = {rule.first_port for rule in rules if rule.first_port == rule.last_port}
        return tuple(sorted({*named, _UNNAMED}))


def matrix(wiring: Wiring) -> Matrix:
    """Return the ports of each pair of places."""
    return {
        (source.name, target.name): tuple(
            port for port in wiring.ports if can_connect(wiring, source, target, port)
        )
        for source in wiring.places
        for target in wiring.places
        if source.tier or target.tier
    }


def can_connect(wiring: Wiring, source: Place, target: Place, port: int) -> bool:
    """Whether a TCP connection is opened and answered."""
    if OTHER_NETWORK in (source.name, target.name):
        # No peering and no route leads there, and private addresses end at the internet gateway.
        return False
    return (
        _has_route(wiring, source, target)
        and _admits(wiring.egress, source, port, target)
        and _admits(wiring.ingress, target, port, source)
        and all(_acls_pass(wiring, one, other, port) for one, other in _legs(wiring, source, target))
    )


def _has_route(wiring: Wiring, source: Place, target: Place) -> bool:
    if source.tier and target.tier:
        return True  # the local route of the VPC
    if target.tier:
        return target.is_public and wiring.tiers[target.tier].way_out == "gateway"
    way_out = wiring.tiers[source.tier].way_out
    return way_out == "nat" or (way_out == "gateway" and source.is_public)


def _admits(rules: Mapping[str, tuple[Rule, ...]], place: Place, port: int, peer: Place) -> bool:
    if not place.tier:
        return True
    return any(rule.covers(port, peer.address, peer.groups) for name in place.groups for rule in rules[name])


def _legs(wiring: Wiring, source: Place, target: Place) -> Iterator[tuple[Place, Place]]:
    """Give the ways between subnets: through a NAT gateway there are two."""
    if source.tier and not target.tier and wiring.tiers[source.tier].way_out == "nat":
        gateway = Place("nat", wiring.tiers["public"].cidrs[0][5], tier="public")
        # To the gateway's subnet the connection still looks as if it came from the machine.
        yield source, Place(target.name, target.address)
        yield Place("nat in", source.address), gateway
        yield gateway, target
    else:
        yield source, target


def _acls_pass(wiring: Wiring, source: Place, target: Place, port: int) -> bool:
    """Whether the stateless ACLs let the connection go and its answers come back."""
    checks = []
    if source.tier:
        tier = wiring.tiers[source.tier]
        checks += [(tier.acl_out, port, target.address), (tier.acl_in, _EPHEMERAL, target.address)]
    if target.tier:
        tier = wiring.tiers[target.tier]
        checks += [(tier.acl_in, port, source.address), (tier.acl_out, _EPHEMERAL, source.address)]
    return all(_first_verdict(rules, number, address) for rules, number, address in checks)


def _first_verdict(rules: Iterable[Rule], port: int, address: IPv4Address) -> bool:
    found = next((rule for rule in rules if rule.covers(port, address, frozenset())), None)
    return found is not None and found.is_allow
