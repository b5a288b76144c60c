# SPDX-License-Identifier: Apache-2.0
"""The network ACLs: what may cross into and out of each tier, whatever a security group says.

ACLs know no connections, so answers need rules of their own: ports above 1023 towards whoever asked.
https://docs.aws.amazon.com/vpc/latest/userguide/nacl-ephemeral-ports.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, collapse_addresses

from troposphere import Ref, Tags, Template
from troposphere.ec2 import (
    ICMP,
    NetworkAcl,
    NetworkAclEntry,
    PortRange,
    SubnetNetworkAclAssociation,
)

from orchestrator.config.network import Network

TIERS = ("public", "application", "data")
HTTP, HTTPS, SSH, MYSQL = 80, 443, 22, 3306
EPHEMERAL = (1024, 65535)
TCP_NUMBER, ICMP_NUMBER = 6, 1
# Without these messages large packets get lost where a link takes small ones only.
UNREACHABLE = ICMP(Type=3, Code=-1)
ANYWHERE = (IPv4Network("0.0.0.0/0"),)


@dataclass(frozen=True, slots=True)
class Rule:
    """An allowed flow to some TCP ports, or the ICMP messages that any flow needs. All else is denied."""

    number: int
    cidr: str
    ports: tuple[int, int] | None


def add(template: Template, network: Network) -> None:
    """Add one ACL for each tier, and put its subnets under it."""
    for tier in TIERS:
        prefix = tier.capitalize()
        template.add_resource(NetworkAcl(f"{prefix}Acl", VpcId=Ref("Vpc"), Tags=Tags(Name=tier)))
        for direction, rules in (("In", incoming(network, tier)), ("Out", outgoing(network, tier))):
            for rule in rules:
                template.add_resource(_entry(f"{prefix}Acl", direction, rule))
        for zone in network.zones:
            subnet = f"{prefix}Subnet{zone.upper()}"
            template.add_resource(
                SubnetNetworkAclAssociation(
                    f"{subnet}Acl", SubnetId=Ref(subnet), NetworkAclId=Ref(f"{prefix}Acl")
                )
            )


def incoming(network: Network, tier: str) -> list[Rule]:
    """Return what may come into the subnets of a tier."""
    tiers = network.subnets
    by_tier = {
        # The internet to the balancer, machines to the NAT gateways, operators to bastions.
        "public": [
            *_rules(100, ANYWHERE, HTTPS),
            *_rules(110, ANYWHERE, HTTP),
            *_rules(200, network.ssh_from, SSH),
            *_returns(ANYWHERE),
        ],
        # The balancer and bastions to machines; machines and bastions to the interface endpoints.
        "application": [
            *_rules(100, tiers.public, HTTP),
            *_rules(200, tiers.public, SSH),
            *_rules(300, (*tiers.public, *tiers.application), HTTPS),
            *_returns(ANYWHERE),
        ],
        "data": _rules(100, tiers.application, MYSQL),
    }
    return list(by_tier[tier])


def outgoing(network: Network, tier: str) -> list[Rule]:
    """Return what may leave the subnets of a tier."""
    tiers = network.subnets
    to_anywhere = [*_rules(100, ANYWHERE, HTTPS), *_rules(110, ANYWHERE, HTTP)]
    by_tier = {
        "public": [*to_anywhere, *_rules(200, tiers.application, SSH), *_returns(ANYWHERE)],
        "application": [
            *to_anywhere,
            *_rules(200, tiers.data, MYSQL),
            *_returns((*tiers.public, *tiers.application)),
        ],
        "data": _rules(100, tiers.application, EPHEMERAL),
    }
    return list(by_tier[tier])


def _rules(first_number: int, sources: Iterable[IPv4Network], ports: int | tuple[int, int]) -> Iterator[Rule]:
    """Number the rules of one purpose from a number of its own, so that another purpose keeps its numbers."""
    span = (ports, ports) if isinstance(ports, int) else ports
    for offset, cidr in enumerate(collapse_addresses(sources)):
        yield Rule(first_number + offset, str(cidr), span)


def _returns(askers: Sequence[IPv4Network]) -> Iterator[Rule]:
    yield from _rules(900, askers, EPHEMERAL)
    yield Rule(990, "0.0.0.0/0", None)


def _entry(acl: str, direction: str, rule: Rule) -> NetworkAclEntry:
    if rule.ports is None:
        flow = {"Protocol": ICMP_NUMBER, "Icmp": UNREACHABLE}
    else:
        flow = {"Protocol": TCP_NUMBER, "PortRange": PortRange(From=rule.ports[0], To=rule.ports[1])}
    return NetworkAclEntry(
        f"{acl}{direction}{rule.number}",
        NetworkAclId=Ref(acl),
        RuleNumber=rule.number,
        Egress=direction == "Out",
        RuleAction="allow",
        CidrBlock=rule.cidr,
        **flow,
    )
