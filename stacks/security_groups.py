# SPDX-License-Identifier: Apache-2.0
"""The security groups: who may talk to whom.

What comes in is admitted by group, what goes out is limited to the subnets of a tier. So no two groups name
each other, and every rule stands in its group: CloudFormation can tell a rule that was opened by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, collapse_addresses
from typing import Any

from troposphere import GetAtt, Tags, Template
from troposphere.ec2 import SecurityGroup, SecurityGroupRule

from orchestrator.config.fleets import Fleet
from orchestrator.config.network import Network
from stacks.inputs import NetworkInputs
from stacks.network_acls import ANYWHERE, HTTP, HTTPS, MYSQL, SSH
from stacks.network_endpoints import NOWHERE
from stacks.parts import skip_checks
from stacks.stack import logical

BALANCER, DATABASE, DATABASE_CLIENT = (
    "BalancerSecurityGroup",
    "DatabaseSecurityGroup",
    "DatabaseClientSecurityGroup",
)

_REDIRECTED = "Browsers begin with http; the listener only redirects them to TLS."


def group_name(fleet: str) -> str:
    """Return the logical id and the output of a fleet's group."""
    return f"{logical(fleet)}SecurityGroup"


def add(template: Template, inputs: NetworkInputs, *, vpc_id: Any) -> list[str]:
    """Add all groups and return their logical ids, which are the outputs' names too."""
    network, fleets = inputs.network, inputs.fleets()
    bastions = [name for name, fleet in fleets.items() if fleet.is_public]
    groups = {
        BALANCER: ("balancer", _to_balancer(), _from_balancer(network, fleets.values())),
        DATABASE_CLIENT: ("database-client", [], _by_address(network.subnets.data, MYSQL, "The database")),
        DATABASE: (
            "database",
            [_from_group(DATABASE_CLIENT, MYSQL, "Machines that use the database")],
            [NOWHERE],
        ),
        **{
            group_name(name): (name, _to_fleet(network, fleet, bastions), _from_fleet(network, fleet))
            for name, fleet in fleets.items()
        },
    }
    for title, (name, incoming, outgoing) in groups.items():
        template.add_resource(
            SecurityGroup(
                title,
                VpcId=vpc_id,
                GroupDescription=f"{inputs.name}: {name}",
                SecurityGroupIngress=incoming,
                SecurityGroupEgress=outgoing,
                Tags=Tags(Name=f"{inputs.name}-{name}"),
            )
        )
    template.resources[BALANCER].Metadata = skip_checks(CKV_AWS_260=_REDIRECTED)
    return list(groups)


def _to_balancer() -> list[SecurityGroupRule]:
    return [
        *_by_address(ANYWHERE, HTTPS, "The internet"),
        *_by_address(ANYWHERE, HTTP, "The internet, to be redirected to TLS"),
    ]


def _from_balancer(network: Network, fleets: Iterable[Fleet]) -> list[SecurityGroupRule]:
    if not any(fleet.is_balanced for fleet in fleets):
        return [NOWHERE]
    return _by_address(network.subnets.application, HTTP, "Machines behind the balancer")


def _to_fleet(network: Network, fleet: Fleet, bastions: list[str]) -> list[SecurityGroupRule]:
    if fleet.is_public:
        rules = _by_address(network.ssh_from, SSH, "Operators")
    else:
        rules = [_from_group(group_name(name), SSH, f"Operators, through {name}") for name in bastions]
    if fleet.is_balanced:
        rules.append(_from_group(BALANCER, HTTP, "The balancer"))
    return rules


def _from_fleet(network: Network, fleet: Fleet) -> list[SecurityGroupRule]:
    """Limit what machines send; names, time and metadata are link-local and beyond any group's reach."""
    rules = [
        *_by_address(ANYWHERE, HTTPS, "AWS and packages"),
        *_by_address(ANYWHERE, HTTP, "Package mirrors, which sign what they serve"),
    ]
    if fleet.is_public:
        rules += _by_address([network.cidr], SSH, "Machines of this network")
    return rules


def _from_group(title: str, port: int, who: str) -> SecurityGroupRule:
    return _rule(port, who, SourceSecurityGroupId=GetAtt(title, "GroupId"))


def _by_address(cidrs: Iterable[IPv4Network], port: int, who: str) -> list[SecurityGroupRule]:
    return [_rule(port, who, CidrIp=str(cidr)) for cidr in collapse_addresses(cidrs)]


def _rule(port: int, text: str, **peer: Any) -> SecurityGroupRule:
    return SecurityGroupRule(Description=text, IpProtocol="tcp", FromPort=port, ToPort=port, **peer)
