# SPDX-License-Identifier: Apache-2.0
"""The network: a VPC with a public, an application and a data subnet in every zone, and its ways in and out.

Public subnets hold what the internet may reach (the balancer, bastions) and the NAT gateways; application
subnets hold the fleets, which reach the internet through NAT; data subnets hold the database and have no way
out at all. Subnets give no machine a public address: launch templates decide that.
"""

from __future__ import annotations

from typing import Any

from troposphere import GetAtt, Join, Ref, Sub, Tags, Template
from troposphere.ec2 import (
    EIP,
    VPC,
    InternetGateway,
    NatGateway,
    Route,
    RouteTable,
    Subnet,
    SubnetRouteTableAssociation,
    VPCGatewayAttachment,
)

from orchestrator.config.network import Nat
from stacks import network_acls, network_endpoints
from stacks.inputs import NetworkInputs
from stacks.network_acls import TIERS
from stacks.parts import add_outputs
from stacks.stack import NetworkStack, Stack

ANYWHERE = "0.0.0.0/0"
ATTACHMENT = "GatewayAttachment"


def synthesise(inputs: NetworkInputs) -> Stack:
    """Return the network's stack."""
    template = Template(f"The network {inputs.name}: VPC, subnets, routes, network ACLs, endpoints.")
    _add_vpc(template, inputs)
    subnets = {tier: _add_subnets(template, inputs, tier) for tier in TIERS}
    tables = _add_route_tables(template, inputs)
    network_acls.add(template, inputs.network)
    network_endpoints.add(template, inputs, route_tables=[Ref(table) for table in tables])
    lists = {
        f"{tier.capitalize()}Subnets": Join(",", [Ref(each) for each in subnets[tier]]) for tier in TIERS
    }
    add_outputs(template, {"VpcId": Ref("Vpc"), **lists})
    return Stack(NetworkStack.NETWORK, inputs.name, template, ())


def _tags(inputs: NetworkInputs, name: str, **more: str) -> Tags:
    # What is looked up by these tags must find nothing but this, so they do not come from the stack's own.
    tier = {f"slipway:{key}": value for key, value in more.items()}
    return Tags({"Name": name, "slipway:network": inputs.name} | tier)


def _add_vpc(template: Template, inputs: NetworkInputs) -> None:
    template.add_resource(
        VPC(
            "Vpc",
            CidrBlock=str(inputs.network.cidr),
            EnableDnsHostnames=True,
            EnableDnsSupport=True,
            Tags=_tags(inputs, inputs.name),
        )
    )
    template.add_resource(InternetGateway("InternetGateway", Tags=_tags(inputs, inputs.name)))
    template.add_resource(
        VPCGatewayAttachment(ATTACHMENT, VpcId=Ref("Vpc"), InternetGatewayId=Ref("InternetGateway"))
    )


def _add_subnets(template: Template, inputs: NetworkInputs, tier: str) -> list[Subnet]:
    cidrs = getattr(inputs.network.subnets, tier)
    return [
        template.add_resource(
            Subnet(
                f"{tier.capitalize()}Subnet{zone.upper()}",
                VpcId=Ref("Vpc"),
                CidrBlock=str(cidr),
                AvailabilityZone=Sub(f"${{AWS::Region}}{zone}"),
                MapPublicIpOnLaunch=False,
                Tags=_tags(inputs, f"{inputs.name}-{tier}-{zone}", tier=tier),
            )
        )
        for zone, cidr in zip(inputs.network.zones, cidrs, strict=True)
    ]


def _add_route_tables(template: Template, inputs: NetworkInputs) -> list[RouteTable]:
    network = inputs.network
    public = _add_table(template, inputs, "public", zones=network.zones)
    template.add_resource(
        Route(
            "PublicRoute",
            RouteTableId=Ref(public),
            DestinationCidrBlock=ANYWHERE,
            GatewayId=Ref("InternetGateway"),
            DependsOn=ATTACHMENT,
        )
    )
    data = _add_table(template, inputs, "data", zones=network.zones)
    # What shares a route table: the zones, and the one with their NAT gateway.
    groups: list[tuple[tuple[str, ...], str, str]] = [(network.zones, "", network.zones[0])]
    if network.nat is Nat.PER_ZONE:
        groups = [((zone,), zone.upper(), zone) for zone in network.zones]
    application = []
    for zones, suffix, nat_zone in groups:
        table = _add_table(template, inputs, "application", zones=zones, suffix=suffix)
        application.append(table)
        if network.nat is not Nat.NONE:
            _add_way_out(template, inputs, table, zone=nat_zone)
    return [public, *application, data]


def _add_table(
    template: Template, inputs: NetworkInputs, tier: str, *, zones: tuple[str, ...], suffix: str = ""
) -> RouteTable:
    name = "-".join(part for part in (inputs.name, tier, suffix.lower()) if part)
    title = f"{tier.capitalize()}RouteTable{suffix}"
    table = RouteTable(title, VpcId=Ref("Vpc"), Tags=_tags(inputs, name, tier=tier))
    template.add_resource(table)
    for zone in zones:
        subnet = f"{tier.capitalize()}Subnet{zone.upper()}"
        template.add_resource(
            SubnetRouteTableAssociation(f"{subnet}Routes", SubnetId=Ref(subnet), RouteTableId=Ref(table))
        )
    return table


def _add_way_out(template: Template, inputs: NetworkInputs, table: Any, *, zone: str) -> None:
    suffix = zone.upper()
    name = f"{inputs.name}-nat-{zone}"
    address = template.add_resource(
        EIP(f"NatAddress{suffix}", Domain="vpc", Tags=_tags(inputs, name), DependsOn=ATTACHMENT)
    )
    gateway = template.add_resource(
        NatGateway(
            f"NatGateway{suffix}",
            AllocationId=GetAtt(address, "AllocationId"),
            SubnetId=Ref(f"PublicSubnet{suffix}"),
            Tags=_tags(inputs, name),
        )
    )
    template.add_resource(
        Route(
            table.title.replace("RouteTable", "Route"),
            RouteTableId=Ref(table),
            DestinationCidrBlock=ANYWHERE,
            NatGatewayId=Ref(gateway),
        )
    )
