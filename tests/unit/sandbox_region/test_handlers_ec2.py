# SPDX-License-Identifier: Apache-2.0
"""CloudFormation's resources of EC2 that make a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from sandbox.cloudformation.handler import Call

from .round_trip import REMOVED, Trip, handler_calls, made, travel

World = Mapping[str, str]
TAGS = [{"Key": "Name", "Value": "one"}, {"Key": "Tier", "Value": "public"}]
OTHER_TAGS = [{"Key": "Name", "Value": "two"}]
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}],
}
HTTPS = {
    "IpProtocol": "tcp",
    "FromPort": 443,
    "ToPort": 443,
    "CidrIp": "192.0.2.0/24",
    "Description": "visitors",
}
SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}


@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    yield from handler_calls()


@pytest.fixture(name="world", scope="module")
def fixture_world(call: Call) -> Iterator[World]:
    """Return the ids of a network with a public and a private subnet, made and removed by handlers."""
    with ExitStack() as stack:

        def make(type_name: str, **properties: Any) -> str:
            return stack.enter_context(made(call, f"AWS::EC2::{type_name}", properties)).physical_id

        vpc = make("VPC", CidrBlock="10.40.0.0/16")
        spare_vpc = make("VPC", CidrBlock="10.41.0.0/16")
        gateway, other_gateway = make("InternetGateway"), make("InternetGateway")
        make("VPCGatewayAttachment", VpcId=vpc, InternetGatewayId=gateway)
        subnets = {
            name: make("Subnet", VpcId=vpc, CidrBlock=cidr, AvailabilityZone=zone)
            for name, cidr, zone in (
                ("public", "10.40.0.0/24", "us-east-1a"),
                ("private", "10.40.1.0/24", "us-east-1b"),
            )
        }
        table, other_table = make("RouteTable", VpcId=vpc), make("RouteTable", VpcId=vpc)
        address = make("EIP", Domain="vpc")
        nat = make("NatGateway", SubnetId=subnets["public"], AllocationId=_allocation(call, address))
        acl = make("NetworkAcl", VpcId=vpc)
        groups = {
            name: make("SecurityGroup", GroupDescription=name, VpcId=vpc) for name in ("group", "other_group")
        }
        yield {
            "vpc": vpc,
            "spare_vpc": spare_vpc,
            "gateway": gateway,
            "other_gateway": other_gateway,
            "table": table,
            "other_table": other_table,
            "nat": nat,
            "acl": acl,
            **subnets,
            **groups,
        }


def _allocation(call: Call, address: str) -> str:
    answer = call.client("ec2").describe_addresses(PublicIps=[address])
    return str(answer["Addresses"][0]["AllocationId"])


TRIPS: dict[str, Callable[[World], Trip]] = {
    "vpc": lambda world: Trip(
        "AWS::EC2::VPC",
        {
            "CidrBlock": "10.50.0.0/16",
            "EnableDnsHostnames": True,
            "EnableDnsSupport": True,
            "InstanceTenancy": "default",
            "Tags": TAGS,
        },
        changes=(
            {"EnableDnsHostnames": False},
            {"EnableDnsSupport": False},
            {"Tags": OTHER_TAGS},
            {"EnableDnsSupport": REMOVED, "Tags": REMOVED},
        ),
        without=frozenset({"VpcEncryptionControl"}),
    ),
    "subnet": lambda world: Trip(
        "AWS::EC2::Subnet",
        {
            "VpcId": world["vpc"],
            "CidrBlock": "10.40.2.0/24",
            "AvailabilityZone": "us-east-1c",
            "MapPublicIpOnLaunch": True,
            "Tags": TAGS,
        },
        changes=({"MapPublicIpOnLaunch": False}, {"Tags": OTHER_TAGS}, {"MapPublicIpOnLaunch": True}),
    ),
    "internet gateway": lambda world: Trip(
        "AWS::EC2::InternetGateway", {"Tags": TAGS}, changes=({"Tags": OTHER_TAGS}, {"Tags": REMOVED})
    ),
    "attachment": lambda world: Trip(
        "AWS::EC2::VPCGatewayAttachment",
        {"VpcId": world["spare_vpc"], "InternetGatewayId": world["other_gateway"]},
    ),
    "address": lambda world: Trip(
        "AWS::EC2::EIP", {"Domain": "vpc", "Tags": TAGS}, changes=({"Tags": OTHER_TAGS},)
    ),
    "route table": lambda world: Trip(
        "AWS::EC2::RouteTable", {"VpcId": world["vpc"], "Tags": TAGS}, changes=({"Tags": OTHER_TAGS},)
    ),
    "route": lambda world: Trip(
        "AWS::EC2::Route",
        {
            "RouteTableId": world["table"],
            "DestinationCidrBlock": "0.0.0.0/0",
            "GatewayId": world["gateway"],
        },
        changes=(
            {"GatewayId": REMOVED, "NatGatewayId": world["nat"]},
            {"NatGatewayId": REMOVED, "GatewayId": world["gateway"]},
        ),
    ),
    "route table association": lambda world: Trip(
        "AWS::EC2::SubnetRouteTableAssociation",
        {"RouteTableId": world["table"], "SubnetId": world["public"]},
    ),
    "network acl": lambda world: Trip(
        "AWS::EC2::NetworkAcl", {"VpcId": world["vpc"], "Tags": TAGS}, changes=({"Tags": OTHER_TAGS},)
    ),
    "network acl entry": lambda world: Trip(
        "AWS::EC2::NetworkAclEntry",
        {
            "NetworkAclId": world["acl"],
            "RuleNumber": 100,
            "Egress": False,
            "Protocol": 6,
            "RuleAction": "allow",
            "CidrBlock": "10.40.0.0/16",
            "PortRange": {"From": 443, "To": 443},
        },
        changes=(
            {"RuleAction": "deny", "CidrBlock": "0.0.0.0/0"},
            {"PortRange": {"From": 1024, "To": 65535}},
            {"Protocol": 17},
            {"Protocol": 1, "PortRange": REMOVED, "Icmp": {"Type": 8, "Code": -1}},
            {"Protocol": -1, "Icmp": REMOVED},
        ),
    ),
    "network acl entry for egress": lambda world: Trip(
        "AWS::EC2::NetworkAclEntry",
        {
            "NetworkAclId": world["acl"],
            "RuleNumber": 100,
            "Egress": True,
            "Protocol": -1,
            "RuleAction": "allow",
            "CidrBlock": "0.0.0.0/0",
        },
    ),
    "network acl association": lambda world: Trip(
        "AWS::EC2::SubnetNetworkAclAssociation",
        {"NetworkAclId": world["acl"], "SubnetId": world["private"]},
    ),
    "gateway endpoint": lambda world: Trip(
        "AWS::EC2::VPCEndpoint",
        {
            "VpcId": world["vpc"],
            "ServiceName": "com.amazonaws.us-east-1.s3",
            "VpcEndpointType": "Gateway",
            "RouteTableIds": [world["table"]],
            "PolicyDocument": TRUST,
            "Tags": TAGS,
        },
        changes=(
            {"RouteTableIds": [world["other_table"], world["table"]]},
            {"RouteTableIds": [world["other_table"]], "Tags": OTHER_TAGS},
            {"PolicyDocument": REMOVED},
        ),
    ),
    "interface endpoint": lambda world: Trip(
        "AWS::EC2::VPCEndpoint",
        {
            "VpcId": world["vpc"],
            "ServiceName": "com.amazonaws.us-east-1.ssm",
            "VpcEndpointType": "Interface",
            "SubnetIds": [world["public"]],
            "SecurityGroupIds": [world["group"]],
            "PrivateDnsEnabled": True,
        },
        changes=(
            {"SubnetIds": [world["public"], world["private"]]},
            {"SubnetIds": [world["private"]], "SecurityGroupIds": [world["other_group"]]},
            {"PrivateDnsEnabled": False},
            {"PolicyDocument": TRUST},
        ),
    ),
    "security group": lambda world: Trip(
        "AWS::EC2::SecurityGroup",
        {
            "GroupName": "balancer",
            "GroupDescription": "the balancer",
            "VpcId": world["vpc"],
            "SecurityGroupIngress": [
                HTTPS,
                SSH | {"SourceSecurityGroupId": world["group"], "Description": "bastion"},
            ],
            "SecurityGroupEgress": [
                SSH | {"DestinationSecurityGroupId": world["other_group"], "Description": "on"}
            ],
            "Tags": TAGS,
        },
        changes=(
            {"SecurityGroupIngress": [HTTPS | {"CidrIp": "0.0.0.0/0"}]},
            {"SecurityGroupIngress": [HTTPS | {"CidrIp": "0.0.0.0/0", "Description": "all"}]},
            {"SecurityGroupEgress": [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]},
            {
                "SecurityGroupEgress": [
                    SSH | {"DestinationSecurityGroupId": world["group"], "Description": "a"}
                ]
            },
            {
                "SecurityGroupEgress": [
                    SSH | {"DestinationSecurityGroupId": world["group"], "Description": "b"}
                ]
            },
            {"SecurityGroupEgress": REMOVED, "SecurityGroupIngress": REMOVED, "Tags": OTHER_TAGS},
        ),
    ),
    "ingress from addresses": lambda world: Trip(
        "AWS::EC2::SecurityGroupIngress",
        {"GroupId": world["group"], **HTTPS},
        changes=({"Description": "guests"}, {"Description": REMOVED}),
    ),
    "ingress from a group": lambda world: Trip(
        "AWS::EC2::SecurityGroupIngress",
        {
            "GroupId": world["group"],
            "SourceSecurityGroupId": world["other_group"],
            "Description": "a",
            **SSH,
        },
        changes=({"Description": "b"}, {"Description": REMOVED}),
    ),
    "egress to a group": lambda world: Trip(
        "AWS::EC2::SecurityGroupEgress",
        {
            "GroupId": world["group"],
            "DestinationSecurityGroupId": world["other_group"],
            "Description": "a",
            **SSH,
        },
        changes=({"Description": "b"},),
    ),
}


@pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS.keys())
def test_every_property_comes_back(call: Call, world: World, trip: Callable[[World], Trip]) -> None:
    travel(call, trip(world))
