# SPDX-License-Identifier: Apache-2.0
"""CloudFormation's resources of EC2 that make a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloudformation.handler import Call, HandlerError
from sandbox.cloudformation.registry import handlers
from sandbox.simulated import SimulatedSubstrate
from sandbox.substrate import AclRule, AttachedMachine, FirewallRule

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


@pytest.fixture(name="substrate", scope="module")
def fixture_substrate() -> SimulatedSubstrate:
    return SimulatedSubstrate()


@pytest.fixture(name="call", scope="module")
def fixture_call(substrate: SimulatedSubstrate) -> Iterator[Call]:
    yield from handler_calls(substrate)


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
        acl, spare_acl = make("NetworkAcl", VpcId=vpc), make("NetworkAcl", VpcId=vpc)
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
            "address": address,
            "acl": acl,
            "spare_acl": spare_acl,
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


FLOW_LOG = {
    "ResourceType": "VPC",
    "TrafficType": "ALL",
    "MaxAggregationInterval": 60,
    "Tags": TAGS,
}


@pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS.keys())
def test_every_property_comes_back(call: Call, world: World, trip: Callable[[World], Trip]) -> None:
    travel(call, trip(world))


def test_a_flow_log_to_a_log_group_comes_back(call: Call, world: World) -> None:
    with made(call, "AWS::Logs::LogGroup", {"LogGroupName": "flow"}):
        role = "arn:aws:iam::123456789012:role/flow"
        place = {"LogDestinationType": "cloud-watch-logs", "LogGroupName": "flow"}
        given = {**FLOW_LOG, **place, "ResourceId": world["vpc"], "DeliverLogsPermissionArn": role}
        travel(call, Trip("AWS::EC2::FlowLog", given, changes=({"Tags": OTHER_TAGS},)))


def test_a_flow_log_to_a_folder_of_a_bucket_comes_back(call: Call, world: World) -> None:
    call.client("s3").create_bucket(Bucket="slipway-flow")
    given = {
        **FLOW_LOG,
        "ResourceId": world["vpc"],
        "LogDestinationType": "s3",
        "LogDestination": "arn:aws:s3:::slipway-flow/network",
        "LogFormat": "${srcaddr} ${dstaddr}",
        "DestinationOptions": {
            "FileFormat": "parquet",
            "HiveCompatiblePartitions": True,
            "PerHourPartition": True,
        },
    }
    travel(call, Trip("AWS::EC2::FlowLog", given))
    given["LogDestination"] = "arn:aws:s3:::slipway-no-such-bucket/network"
    with pytest.raises(HandlerError, match="does not exist"):
        handlers()["AWS::EC2::FlowLog"].create(call, given)


def _machine(call: Call, substrate: SimulatedSubstrate, world: World) -> AttachedMachine:
    answer = call.client("ec2").describe_instances(
        Filters=[
            {"Name": "subnet-id", "Values": [world["private"]]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
    )
    instance_id = answer["Reservations"][0]["Instances"][0]["InstanceId"]
    machines = (machine for vpc in substrate.networks for machine in vpc.machines)
    return next(machine for machine in machines if machine.instance_id == instance_id)


def test_machines_are_filtered_and_routed_as_the_resources_say(
    call: Call, substrate: SimulatedSubstrate, world: World
) -> None:
    ec2 = call.client("ec2")
    image = ec2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]

    def make(type_name: str, **properties: Any) -> str:
        return stack.enter_context(made(call, f"AWS::EC2::{type_name}", properties)).physical_id

    with ExitStack() as stack:
        out = {"RouteTableId": world["table"], "DestinationCidrBlock": "0.0.0.0/0"}
        make("Route", **out, GatewayId=world["gateway"])
        make("SubnetRouteTableAssociation", RouteTableId=world["table"], SubnetId=world["public"])
        make("Route", **(out | {"RouteTableId": world["other_table"]}), NatGatewayId=world["nat"])
        make("SubnetRouteTableAssociation", RouteTableId=world["other_table"], SubnetId=world["private"])
        entry = {"NetworkAclId": world["acl"], "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"}
        ping = {"Type": 8, "Code": -1}
        make("NetworkAclEntry", **entry, RuleNumber=1, Egress=False, Protocol=1, Icmp=ping)
        make("NetworkAclEntry", **entry, RuleNumber=1, Egress=True, Protocol=-1)
        make("SubnetNetworkAclAssociation", NetworkAclId=world["acl"], SubnetId=world["private"])
        group = make(
            "SecurityGroup",
            GroupDescription="api",
            VpcId=world["vpc"],
            SecurityGroupIngress=[HTTPS],
            SecurityGroupEgress=[HTTPS],
        )
        make("SecurityGroupIngress", GroupId=group, CidrIp="198.51.100.0/24", **SSH)
        launched = ec2.run_instances(
            ImageId=image,
            MinCount=1,
            MaxCount=1,
            SubnetId=world["private"],
            SecurityGroupIds=[group],
        )
        call.sleep(60)
        machine = _machine(call, substrate, world)
        https = FirewallRule("tcp", 443, 443, ("192.0.2.0/24",))
        assert machine.firewall.ingress == (FirewallRule("tcp", 22, 22, ("198.51.100.0/24",)), https)
        assert machine.firewall.egress == (https,)
        everything = AclRule(32767, "-1", None, None, "0.0.0.0/0", is_allow=False)
        ping_rule = AclRule(1, "icmp", 8, None, "0.0.0.0/0", is_allow=True)
        assert machine.firewall.acl_ingress == (ping_rule, everything)
        vpc = next(vpc for vpc in substrate.networks if vpc.vpc_id == world["vpc"])
        ways = {subnet.subnet_id: subnet.internet for subnet in vpc.subnets}
        assert ways == {world["public"]: "gateway", world["private"]: world["address"]}
        ec2.terminate_instances(InstanceIds=[launched["Instances"][0]["InstanceId"]])
        call.sleep(60)


def test_a_group_shows_rules_added_by_hand_but_not_rules_that_are_resources(call: Call, world: World) -> None:
    given = {"GroupDescription": "api", "VpcId": world["vpc"], "SecurityGroupIngress": [HTTPS]}
    with made(call, "AWS::EC2::SecurityGroup", given) as group:
        rule = {"GroupId": group.physical_id, "CidrIp": "198.51.100.0/24", **SSH}
        with made(call, "AWS::EC2::SecurityGroupIngress", rule):
            handler = handlers()["AWS::EC2::SecurityGroup"]
            seen = handler.read(call, group.physical_id) or {}
            assert seen["SecurityGroupIngress"] == [HTTPS]
            call.client("ec2").authorize_security_group_ingress(
                GroupId=group.physical_id,
                IpPermissions=[
                    {
                        "IpProtocol": "tcp",
                        "FromPort": 8080,
                        "ToPort": 8080,
                        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
                    }
                ],
            )
            seen = handler.read(call, group.physical_id) or {}
            ports = sorted(each["FromPort"] for each in seen["SecurityGroupIngress"])
            assert ports == [443, 8080]


@pytest.mark.parametrize(
    ("what", "type_name", "properties"),
    [
        ("a table that follows another", "SubnetRouteTableAssociation", ("table", "other_table")),
        ("an ACL in the place of another", "SubnetNetworkAclAssociation", ("acl", "spare_acl")),
    ],
)
def test_an_association_can_be_replaced_before_the_old_one_goes(
    call: Call, world: World, what: str, type_name: str, properties: tuple[str, str]
) -> None:
    del what
    name = "RouteTableId" if "Route" in type_name else "NetworkAclId"
    handler = handlers()[f"AWS::EC2::{type_name}"]
    given = [{name: world[each], "SubnetId": world["private"]} for each in properties]
    old = handler.create(call, given[0])
    new = handler.create(call, given[1])
    handler.delete(call, old.physical_id, given[0])
    assert handler.read(call, old.physical_id) is None
    assert handler.read(call, new.physical_id) == given[1]
    handler.delete(call, new.physical_id, given[1])


def test_what_is_in_use_is_not_deleted(call: Call, world: World) -> None:
    for type_name, name in (("VPC", "vpc"), ("Subnet", "public"), ("EIP", "address")):
        with pytest.raises(ClientError, match="DependencyViolation|InUse"):
            handlers()[f"AWS::EC2::{type_name}"].delete(call, world[name], {})
