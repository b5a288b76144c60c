# SPDX-License-Identifier: Apache-2.0
"""Who reaches whom, judged by security groups and network ACLs as AWS judges a packet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from tests.unit.stacks.network_templates import resources

# What Linux and balancers take as their own ports, at both ends.
CLIENT_PORTS = (1024, 65535)
TCP = ("tcp", 6)


@dataclass(frozen=True, slots=True)
class Place:
    """Something with an address; outside of the VPC it has no tier and no groups."""

    address: str
    tier: str = ""
    groups: tuple[str, ...] = ()


def reaches(network: str, source: Place, target: Place, port: int) -> bool:
    """Tell whether a connection from one place to another is made: what is sent and what is answered."""
    return (
        (not source.groups or _leaves(network, source, target, port))
        and (not target.groups or _enters(network, source, target, port))
        and passes(network, source, target, (port,))
        and passes(network, target, source, CLIENT_PORTS)
    )


def passes(network: str, source: Place, target: Place, ports: tuple[int, ...]) -> bool:
    """Tell whether the ACLs of both sides let packets to all these ports through."""
    return all(
        (not source.tier or _acl_allows(network, source.tier, target.address, port, is_egress=True))
        and (not target.tier or _acl_allows(network, target.tier, source.address, port, is_egress=False))
        for port in ports
    )


def rules(network: str, direction: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give all rules of all security groups of a network, with their group."""
    for kind in ("network", "security"):
        for title, group in resources(network, kind, "AWS::EC2::SecurityGroup").items():
            for rule in group["Properties"][f"SecurityGroup{direction}"]:
                yield title, rule


def _leaves(network: str, source: Place, target: Place, port: int) -> bool:
    return any(
        _covers(rule, target, port, peer="DestinationSecurityGroupId")
        for group, rule in rules(network, "Egress")
        if group in source.groups
    )


def _enters(network: str, source: Place, target: Place, port: int) -> bool:
    return any(
        _covers(rule, source, port, peer="SourceSecurityGroupId")
        for group, rule in rules(network, "Ingress")
        if group in target.groups
    )


def _covers(rule: dict[str, Any], other: Place, port: int, *, peer: str) -> bool:
    if rule["IpProtocol"] != "-1" and not rule["FromPort"] <= port <= rule["ToPort"]:
        return False
    if "CidrIp" in rule:
        return ip_address(other.address) in ip_network(rule["CidrIp"])
    return rule[peer]["Fn::GetAtt"][0] in other.groups


def _acl_allows(network: str, tier: str, address: str, port: int, *, is_egress: bool) -> bool:
    acl = {"Ref": f"{tier.capitalize()}Acl"}
    entries = [
        entry["Properties"]
        for entry in resources(network, "network", "AWS::EC2::NetworkAclEntry").values()
        if entry["Properties"]["NetworkAclId"] == acl and entry["Properties"]["Egress"] is is_egress
    ]
    for entry in sorted(entries, key=lambda each: each["RuleNumber"]):
        span = entry.get("PortRange")
        is_for = entry["Protocol"] in TCP and span and span["From"] <= port <= span["To"]
        if is_for and ip_address(address) in ip_network(entry["CidrBlock"]):
            return bool(entry["RuleAction"] == "allow")
    return False
