# SPDX-License-Identifier: Apache-2.0
"""The wanted network follows the API: addresses, ways out, and rules that are live when the call returns."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.substrate import AclRule, AttachedMachine, FirewallRule, VpcState


@pytest.fixture(name="network")
def fixture_network(local: Any) -> dict[str, str]:
    """Return a VPC with a public and a private subnet."""
    ec2 = local.client("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.90.0.0/16")["Vpc"]["VpcId"]
    gateway_id = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    table_id = ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table_id, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway_id)
    subnets = {}
    for name, cidr in (("public", "10.90.0.0/24"), ("private", "10.90.16.0/28")):
        subnets[name] = ec2.create_subnet(VpcId=vpc_id, CidrBlock=cidr)["Subnet"]["SubnetId"]
    ec2.associate_route_table(RouteTableId=table_id, SubnetId=subnets["public"])
    ec2.modify_subnet_attribute(SubnetId=subnets["public"], MapPublicIpOnLaunch={"Value": True})
    return {"vpc": vpc_id, "gateway": gateway_id, "table": table_id, **subnets}


def vpc_of(substrate: Any, network: dict[str, str]) -> VpcState:
    """Return the applied state of the VPC."""
    return next(vpc for vpc in substrate.networks if vpc.vpc_id == network["vpc"])


def machine_of(substrate: Any, instance_id: str) -> AttachedMachine:
    """Return the applied place of a machine."""
    return next(
        machine
        for vpc in substrate.networks
        for machine in vpc.machines
        if machine.instance_id == instance_id
    )


def way_out(substrate: Any, network: dict[str, str], name: str) -> str | None:
    """Return the applied way out of a subnet."""
    subnets = {subnet.subnet_id: subnet.internet for subnet in vpc_of(substrate, network).subnets}
    return subnets[network[name]]


def test_addresses_are_those_aws_would_give(local: Any, substrate: Any, network: dict[str, str]) -> None:
    public = machine_of(substrate, local.launch(SubnetId=network["public"]))
    private = machine_of(substrate, local.launch(SubnetId=network["private"]))
    assert public.private_address == "10.90.0.4"
    assert private.private_address == "10.90.16.4"
    assert private.public_address is None
    assert ip_address(public.public_address or "") in ip_network("198.18.0.0/15")


def test_a_full_subnet_says_so(local: Any, network: dict[str, str]) -> None:
    ec2 = local.client("ec2")
    # A /28 has 16 addresses, of which AWS keeps 5.
    arguments = {"ImageId": local.ami_id, "SubnetId": network["private"]}
    ec2.run_instances(MinCount=11, MaxCount=11, **arguments)
    with pytest.raises(ClientError, match="InsufficientFreeAddressesInSubnet"):
        ec2.run_instances(MinCount=1, MaxCount=1, **arguments)


@pytest.mark.parametrize("address", ["10.90.16.3", "10.90.16.15", "10.91.0.4"])
def test_reserved_and_foreign_addresses_are_refused(
    local: Any, network: dict[str, str], address: str
) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        local.launch(SubnetId=network["private"], PrivateIpAddress=address)


def test_a_public_address_can_be_asked_for(local: Any, network: dict[str, str]) -> None:
    nic = {"DeviceIndex": 0, "SubnetId": network["private"], "AssociatePublicIpAddress": True}
    assert "PublicIpAddress" in local.instance(local.launch(NetworkInterfaces=[nic]))
    nic = {"DeviceIndex": 0, "SubnetId": network["public"], "AssociatePublicIpAddress": False}
    assert "PublicIpAddress" not in local.instance(local.launch(NetworkInterfaces=[nic]))


def test_the_way_out_follows_routes_and_gateway(local: Any, substrate: Any, network: dict[str, str]) -> None:
    ec2 = local.client("ec2")
    local.launch(SubnetId=network["public"])
    assert way_out(substrate, network, "public") == "gateway"
    assert way_out(substrate, network, "private") is None
    ec2.detach_internet_gateway(InternetGatewayId=network["gateway"], VpcId=network["vpc"])
    assert way_out(substrate, network, "public") is None


def test_a_nat_gateway_carries_a_private_subnet(local: Any, substrate: Any, network: dict[str, str]) -> None:
    ec2 = local.client("ec2")
    address = ec2.allocate_address(Domain="vpc")
    nat = ec2.create_nat_gateway(SubnetId=network["public"], AllocationId=address["AllocationId"])
    table_id = ec2.create_route_table(VpcId=network["vpc"])["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table_id, SubnetId=network["private"])
    ec2.create_route(
        RouteTableId=table_id,
        DestinationCidrBlock="0.0.0.0/0",
        NatGatewayId=nat["NatGateway"]["NatGatewayId"],
    )
    local.launch(SubnetId=network["private"])
    assert way_out(substrate, network, "private") == address["PublicIp"]
    nic = ec2.describe_network_interfaces(Filters=[{"Name": "subnet-id", "Values": [network["public"]]}])
    assert nic["NetworkInterfaces"][0]["PrivateIpAddress"].startswith("10.90.0.")


def test_an_elastic_address_stays_over_a_stop(local: Any, substrate: Any, network: dict[str, str]) -> None:
    ec2 = local.client("ec2")
    instance_id = local.launch(SubnetId=network["public"])
    address = ec2.allocate_address(Domain="vpc")
    association = ec2.associate_address(InstanceId=instance_id, AllocationId=address["AllocationId"])
    assert machine_of(substrate, instance_id).public_address == address["PublicIp"]
    ec2.stop_instances(InstanceIds=[instance_id])
    local.await_state(instance_id, "stopped")
    ec2.start_instances(InstanceIds=[instance_id])
    seen = local.await_state(instance_id, "running")
    assert seen["PublicIpAddress"] == address["PublicIp"]
    ec2.disassociate_address(AssociationId=association["AssociationId"])
    assert machine_of(substrate, instance_id).public_address not in (None, address["PublicIp"])


def test_rules_are_live_when_the_call_returns(local: Any, substrate: Any, network: dict[str, str]) -> None:
    ec2 = local.client("ec2")
    group_id = ec2.create_security_group(GroupName="g", Description="g", VpcId=network["vpc"])["GroupId"]
    instance_id = local.launch(SubnetId=network["public"], SecurityGroupIds=[group_id])
    assert machine_of(substrate, instance_id).firewall.ingress == ()
    permission = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "192.0.2.7/32"}],
    }
    ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=[permission])
    rule = FirewallRule("tcp", 22, 22, ("192.0.2.7/32",))
    assert machine_of(substrate, instance_id).firewall.ingress == (rule,)
    ec2.revoke_security_group_ingress(GroupId=group_id, IpPermissions=[permission])
    assert machine_of(substrate, instance_id).firewall.ingress == ()
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    assert machine_of(substrate, instance_id).firewall.egress == (
        FirewallRule("-1", None, None, ("0.0.0.0/0",)),
    )
    ec2.revoke_security_group_egress(GroupId=group_id, IpPermissions=[everything])
    assert machine_of(substrate, instance_id).firewall.egress == ()


def test_a_group_reference_follows_its_members(local: Any, substrate: Any, network: dict[str, str]) -> None:
    ec2 = local.client("ec2")
    groups = {
        name: ec2.create_security_group(GroupName=name, Description=name, VpcId=network["vpc"])["GroupId"]
        for name in ("balancer", "web")
    }
    permission = {
        "IpProtocol": "tcp",
        "FromPort": 80,
        "ToPort": 80,
        "UserIdGroupPairs": [{"GroupId": groups["balancer"]}],
    }
    ec2.authorize_security_group_ingress(GroupId=groups["web"], IpPermissions=[permission])
    web = local.launch(SubnetId=network["private"], SecurityGroupIds=[groups["web"]])
    assert machine_of(substrate, web).firewall.ingress == ()
    balancer = local.launch(SubnetId=network["public"], SecurityGroupIds=[groups["balancer"]])
    assert machine_of(substrate, web).firewall.ingress == (FirewallRule("tcp", 80, 80, ("10.90.0.4/32",)),)
    ec2.modify_instance_attribute(InstanceId=balancer, Groups=[groups["web"]])
    assert machine_of(substrate, web).firewall.ingress == ()


def test_the_default_group_admits_its_own_members(
    local: Any, substrate: Any, network: dict[str, str]
) -> None:
    first, second = (machine_of(substrate, local.launch(SubnetId=network["private"])) for _ in range(2))
    first = machine_of(substrate, first.instance_id)
    cidrs = tuple(sorted(f"{each.private_address}/32" for each in (first, second)))
    assert first.firewall.ingress == (FirewallRule("-1", None, None, cidrs),)


def test_network_acls(local: Any, substrate: Any, network: dict[str, str]) -> None:
    ec2 = local.client("ec2")
    instance_id = local.launch(SubnetId=network["private"])
    last = AclRule(32767, "-1", None, None, "0.0.0.0/0", False)
    allow_all = AclRule(100, "-1", None, None, "0.0.0.0/0", True)
    assert machine_of(substrate, instance_id).firewall.acl_ingress == (allow_all, last)
    acl_id = ec2.create_network_acl(VpcId=network["vpc"])["NetworkAcl"]["NetworkAclId"]
    ec2.create_network_acl_entry(
        NetworkAclId=acl_id,
        RuleNumber=90,
        Protocol="6",
        RuleAction="allow",
        Egress=False,
        CidrBlock="10.90.0.0/16",
        PortRange={"From": 443, "To": 443},
    )
    associations = ec2.describe_network_acls(
        Filters=[{"Name": "association.subnet-id", "Values": [network["private"]]}]
    )["NetworkAcls"][0]["Associations"]
    association_id = next(
        each["NetworkAclAssociationId"] for each in associations if each["SubnetId"] == network["private"]
    )
    ec2.replace_network_acl_association(AssociationId=association_id, NetworkAclId=acl_id)
    firewall = machine_of(substrate, instance_id).firewall
    assert firewall.acl_ingress == (AclRule(90, "tcp", 443, 443, "10.90.0.0/16", True), last)
    assert firewall.acl_egress == (last,)


def test_a_group_in_use_stays(local: Any, network: dict[str, str]) -> None:
    ec2 = local.client("ec2")
    group_id = ec2.create_security_group(GroupName="g", Description="g", VpcId=network["vpc"])["GroupId"]
    instance_id = local.launch(SubnetId=network["public"], SecurityGroupIds=[group_id])
    with pytest.raises(ClientError, match="DependencyViolation"):
        ec2.delete_security_group(GroupId=group_id)
    ec2.terminate_instances(InstanceIds=[instance_id])
    local.await_state(instance_id, "terminated")
    ec2.delete_security_group(GroupId=group_id)


def test_prefix_lists_are_refused_by_name(local: Any, network: dict[str, str]) -> None:
    ec2 = local.client("ec2")
    group_id = ec2.create_security_group(GroupName="g", Description="g", VpcId=network["vpc"])["GroupId"]
    permission = {"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-1"}]}
    with pytest.raises(ClientError, match=r"UnsupportedOperation.*prefix lists"):
        ec2.authorize_security_group_egress(GroupId=group_id, IpPermissions=[permission])


def test_an_instance_in_the_default_vpc_has_the_internet(local: Any, substrate: Any) -> None:
    machine = machine_of(substrate, local.launch())
    subnets = {subnet.subnet_id: subnet.internet for vpc in substrate.networks for subnet in vpc.subnets}
    assert subnets[machine.subnet_id] == "gateway"
    assert machine.public_address is not None
