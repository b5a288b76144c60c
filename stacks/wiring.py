# SPDX-License-Identifier: Apache-2.0
"""Read from templates how a network is wired: what filters, what routes, and which places there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from stacks.reachability import INTERNET, OPERATORS, OTHER_NETWORK, Place, Rule, Tier, Wiring
from stacks.stack import EnvironmentStack, NetworkStack, Stack

# Of a range for documentation: nobody's rule names it.
_SOMEWHERE = IPv4Address("198.51.100.7")
_TCP = {"tcp", "6", "-1"}

Resources = Mapping[str, Any]


def read(stacks: Iterable[Stack], *, operators: Iterable[IPv4Network]) -> Wiring:
    """Return the wiring of a network, with the places that its stacks and those of its environments make."""
    by_kind: dict[Any, list[dict[str, Any]]] = {}
    for stack in stacks:
        by_kind.setdefault(stack.kind, []).append(stack.template.to_dict())
    [network], [security] = by_kind[NetworkStack.NETWORK], by_kind[NetworkStack.SECURITY]
    tiers = {name: _tier(network["Resources"], name) for name in ("public", "application", "data")}
    groups = _of_type(security["Resources"], "AWS::EC2::SecurityGroup")
    outside = [Place(INTERNET, _SOMEWHERE), *(Place(OPERATORS, each[1]) for each in list(operators)[:1])]
    inside = [
        *_balancers(by_kind.get(NetworkStack.BALANCER, ()), tiers),
        *_fleets(by_kind.get(EnvironmentStack.FLEETS, ()), tiers),
        *_databases(by_kind.get(NetworkStack.DATABASE, ()), tiers),
    ]
    return Wiring(
        tiers=tiers,
        ingress={name: _group_rules(group, "Ingress") for name, group in groups.items()},
        egress={name: _group_rules(group, "Egress") for name, group in groups.items()},
        places=(*outside, *inside, Place(OTHER_NETWORK, _SOMEWHERE)),
    )


def _of_type(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in resources.items() if each["Type"] == kind}


def _tier(resources: Resources, name: str) -> Tier:
    subnets = {
        title: each
        for title, each in _of_type(resources, "AWS::EC2::Subnet").items()
        if {"Key": "slipway:tier", "Value": name} in each["Tags"]
    }
    first = next(iter(subnets))
    acl = _associated(resources, "AWS::EC2::SubnetNetworkAclAssociation", first, "NetworkAclId")
    table = _associated(resources, "AWS::EC2::SubnetRouteTableAssociation", first, "RouteTableId")
    entries = sorted(
        (
            each
            for each in _of_type(resources, "AWS::EC2::NetworkAclEntry").values()
            if _ref(each["NetworkAclId"]) == acl
        ),
        key=lambda each: int(each["RuleNumber"]),
    )
    return Tier(
        cidrs=tuple(IPv4Network(each["CidrBlock"]) for each in subnets.values()),
        acl_in=tuple(_acl_rule(each) for each in entries if not each["Egress"] and _is_tcp(each["Protocol"])),
        acl_out=tuple(_acl_rule(each) for each in entries if each["Egress"] and _is_tcp(each["Protocol"])),
        way_out=_way_out(resources, table),
    )


def _associated(resources: Resources, kind: str, subnet: str, name: str) -> str:
    return next(
        _ref(each[name]) for each in _of_type(resources, kind).values() if _ref(each["SubnetId"]) == subnet
    )


def _way_out(resources: Resources, table: str) -> str:
    for route in _of_type(resources, "AWS::EC2::Route").values():
        if _ref(route["RouteTableId"]) == table and route.get("DestinationCidrBlock") == "0.0.0.0/0":
            return "gateway" if "GatewayId" in route else "nat"
    return ""


def _is_tcp(protocol: Any) -> bool:
    return str(protocol) in _TCP


def _acl_rule(entry: Mapping[str, Any]) -> Rule:
    ports = entry.get("PortRange") or {"From": 0, "To": 65535}
    is_allow = entry["RuleAction"] == "allow"
    return Rule(int(ports["From"]), int(ports["To"]), IPv4Network(entry["CidrBlock"]), is_allow=is_allow)


def _group_rules(group: Mapping[str, Any], direction: str) -> tuple[Rule, ...]:
    peer = {"Ingress": "SourceSecurityGroupId", "Egress": "DestinationSecurityGroupId"}[direction]
    return tuple(
        Rule(
            int(each.get("FromPort", 0)),
            int(each.get("ToPort", 65535)),
            IPv4Network(each["CidrIp"]) if "CidrIp" in each else None,
            _ref(each[peer]) if peer in each else "",
        )
        for each in group.get(f"SecurityGroup{direction}", ())
        if _is_tcp(each["IpProtocol"])
    )


def _balancers(templates: Iterable[Mapping[str, Any]], tiers: Mapping[str, Tier]) -> Iterator[Place]:
    for template in templates:
        for each in _of_type(template["Resources"], "AWS::ElasticLoadBalancingV2::LoadBalancer").values():
            is_public = each.get("Scheme", "internet-facing") == "internet-facing"
            tier = _tier_of(each["Subnets"])
            yield _place("balancer", each["SecurityGroups"], tier, tiers, is_public=is_public)


def _fleets(templates: Iterable[Mapping[str, Any]], tiers: Mapping[str, Tier]) -> Iterator[Place]:
    """Give one place per fleet name: environments of a network share its security groups."""
    seen = set()
    for template in templates:
        groups = _of_type(template["Resources"], "AWS::AutoScaling::AutoScalingGroup")
        machines = _of_type(template["Resources"], "AWS::EC2::LaunchTemplate")
        for group in groups.values():
            launched = machines[_ref(group["LaunchTemplate"]["LaunchTemplateId"])]["LaunchTemplateData"]
            [interface] = launched["NetworkInterfaces"]
            name = str(group["AutoScalingGroupName"]).rpartition("-")[2]
            if name not in seen:
                seen.add(name)
                is_public = bool(interface.get("AssociatePublicIpAddress"))
                tier = _tier_of(group["VPCZoneIdentifier"])
                yield _place(name, interface["Groups"], tier, tiers, is_public=is_public)


def _databases(templates: Iterable[Mapping[str, Any]], tiers: Mapping[str, Tier]) -> Iterator[Place]:
    for template in templates:
        for each in _of_type(template["Resources"], "AWS::RDS::DBCluster").values():
            yield _place("database", each["VpcSecurityGroupIds"], "data", tiers)


def _place(
    name: str, groups: Iterable[Any], tier: str, tiers: Mapping[str, Tier], *, is_public: bool = False
) -> Place:
    # Mostly in another zone's subnet than its peers: between subnets ACLs count.
    cidrs = tiers[tier].cidrs
    index = sum(map(ord, name)) % len(cidrs)
    return Place(name, cidrs[index][10], frozenset(_ref(each) for each in groups), tier, is_public=is_public)


def _tier_of(subnets: Any) -> str:
    """Return the tier that a list of subnets refers to by the name of the network's output."""
    return _ref(subnets).removesuffix("Subnets").lower()


def _ref(value: Any) -> str:
    """Return the logical id, or the name of the output, that a value refers to."""
    if isinstance(value, str):
        return value
    for name, argument in value.items():
        if name == "Ref":
            return str(argument)
        if name == "Fn::GetAtt":
            return str(argument[0] if isinstance(argument, list) else argument.partition(".")[0])
        if name == "Fn::GetStackOutput":
            return str(argument["OutputName"])
        if name == "Fn::Split":
            return _ref(argument[1])
        if name == "Fn::Join":
            return _ref(argument[1][0])
    raise ValueError(f"refers to nothing: {value}")
