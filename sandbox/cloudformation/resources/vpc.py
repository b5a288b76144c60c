# SPDX-License-Identifier: Apache-2.0
"""VPCs, their subnets and internet gateways.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_EC2.html
"""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources.ec2_kinds import Description, Ec2Resource, Kind, picked, update_tags
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by

NO_VPC = "InvalidVpcID.NotFound"
NO_SUBNET = "InvalidSubnetID.NotFound"
NO_GATEWAY = "InvalidInternetGatewayID.NotFound"
_DNS = {"EnableDnsSupport": True, "EnableDnsHostnames": False}


class Vpc(Ec2Resource):
    """AWS::EC2::VPC."""

    type_name = "AWS::EC2::VPC"
    properties = frozenset({"CidrBlock", "EnableDnsHostnames", "EnableDnsSupport", "InstanceTenancy", "Tags"})
    kind = Kind("describe_vpcs", "Vpcs", "VpcIds", NO_VPC, "vpc")

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the VPC."""
        answer = call.client("ec2").create_vpc(
            **picked(dict(properties), "CidrBlock", "InstanceTenancy"),
            TagSpecifications=self.kind.specification(call, properties),
        )
        vpc_id = answer["Vpc"]["VpcId"]
        with undone_by(lambda: self.delete(call, vpc_id, properties)):
            _set_dns(call, vpc_id, properties)
            return self.physical(call, vpc_id)

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change DNS support and tags."""
        _set_dns(call, physical_id, after)
        update_tags(call, physical_id, before=before, after=after)
        return self.physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the VPC."""
        del properties
        with absent_is_fine(NO_VPC):
            call.client("ec2").delete_vpc(VpcId=physical_id)

    def shown(self, call: Call, description: Description) -> dict[str, Any]:
        """Return addresses, tenancy and DNS support."""
        vpc_id = description["VpcId"]
        dns = {name: _dns_attribute(call, vpc_id, name) for name in _DNS}
        return picked(description, "CidrBlock", "InstanceTenancy") | dns

    def attributes(self, call: Call, description: Description) -> dict[str, Any]:
        """Return the ids of what comes with a VPC."""
        vpc_id = description["VpcId"]
        ec2 = call.client("ec2")
        in_vpc = {"Name": "vpc-id", "Values": [vpc_id]}
        groups = ec2.describe_security_groups(Filters=[in_vpc, {"Name": "group-name", "Values": ["default"]}])
        lists = ec2.describe_network_acls(Filters=[in_vpc, {"Name": "default", "Values": ["true"]}])
        blocks = description.get("CidrBlockAssociationSet", ())
        return {
            "VpcId": vpc_id,
            "CidrBlock": description["CidrBlock"],
            "CidrBlockAssociations": [block["AssociationId"] for block in blocks],
            "DefaultSecurityGroup": groups["SecurityGroups"][0]["GroupId"],
            "DefaultNetworkAcl": lists["NetworkAcls"][0]["NetworkAclId"],
            "Ipv6CidrBlocks": [],
        }


class Subnet(Ec2Resource):
    """AWS::EC2::Subnet."""

    type_name = "AWS::EC2::Subnet"
    properties = frozenset({"VpcId", "CidrBlock", "AvailabilityZone", "MapPublicIpOnLaunch", "Tags"})
    kind = Kind("describe_subnets", "Subnets", "SubnetIds", NO_SUBNET, "subnet")

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the subnet."""
        answer = call.client("ec2").create_subnet(
            **picked(dict(properties), "VpcId", "CidrBlock", "AvailabilityZone"),
            TagSpecifications=self.kind.specification(call, properties),
        )
        subnet_id = answer["Subnet"]["SubnetId"]
        with undone_by(lambda: self.delete(call, subnet_id, properties)):
            _set_public_addresses(call, subnet_id, properties)
            return self.physical(call, subnet_id)

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change whether machines get public addresses, and tags."""
        _set_public_addresses(call, physical_id, after)
        update_tags(call, physical_id, before=before, after=after)
        return self.physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the subnet."""
        del properties
        with absent_is_fine(NO_SUBNET):
            call.client("ec2").delete_subnet(SubnetId=physical_id)

    def shown(self, call: Call, description: Description) -> dict[str, Any]:
        """Return where the subnet is."""
        del call
        return picked(description, "VpcId", "CidrBlock", "AvailabilityZone") | {
            "MapPublicIpOnLaunch": description["MapPublicIpOnLaunch"]
        }

    def attributes(self, call: Call, description: Description) -> dict[str, Any]:
        """Return the subnet's ids and its association with a network ACL."""
        subnet_id = description["SubnetId"]
        association = network_acl_association(call, subnet_id) or {}
        names = ("SubnetId", "VpcId", "CidrBlock", "AvailabilityZone", "AvailabilityZoneId")
        return picked(description, *names) | {
            "NetworkAclAssociationId": association.get("NetworkAclAssociationId", ""),
            "Ipv6CidrBlocks": [],
            "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"},
        }


class InternetGateway(Ec2Resource):
    """AWS::EC2::InternetGateway."""

    type_name = "AWS::EC2::InternetGateway"
    properties = frozenset({"Tags"})
    kind = Kind(
        "describe_internet_gateways",
        "InternetGateways",
        "InternetGatewayIds",
        NO_GATEWAY,
        "internet-gateway",
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the gateway."""
        answer = call.client("ec2").create_internet_gateway(
            TagSpecifications=self.kind.specification(call, properties)
        )
        return self.physical(call, answer["InternetGateway"]["InternetGatewayId"])

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the gateway."""
        del properties
        with absent_is_fine(NO_GATEWAY):
            call.client("ec2").delete_internet_gateway(InternetGatewayId=physical_id)

    def shown(self, call: Call, description: Description) -> dict[str, Any]:
        """Return nothing: a gateway has tags only."""
        del call, description
        return {}

    def attributes(self, call: Call, description: Description) -> dict[str, Any]:
        """Return the id."""
        del call
        return picked(description, "InternetGatewayId")


class VpcGatewayAttachment:
    """AWS::EC2::VPCGatewayAttachment, of an internet gateway. A VPC has one at most: its id is the VPC's."""

    type_name = "AWS::EC2::VPCGatewayAttachment"
    properties = frozenset({"VpcId", "InternetGatewayId"})
    _prefix = "IGW|"

    def create(self, call: Call, properties: Properties) -> Physical:
        """Attach the gateway."""
        call.client("ec2").attach_internet_gateway(
            VpcId=properties["VpcId"], InternetGatewayId=properties["InternetGatewayId"]
        )
        return self._physical(self._prefix + properties["VpcId"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return which gateway the VPC has."""
        vpc_id = physical_id.removeprefix(self._prefix)
        gateway_id = _attached_gateway(call, vpc_id)
        return {"VpcId": vpc_id, "InternetGatewayId": gateway_id} if gateway_id else None

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Attach another gateway."""
        if before["InternetGatewayId"] != after["InternetGatewayId"]:
            self.delete(call, physical_id, before)
            self.create(call, after)
        return self._physical(physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Detach the gateway, if it is still the one."""
        vpc_id = physical_id.removeprefix(self._prefix)
        gateway_id = properties["InternetGatewayId"]
        if _attached_gateway(call, vpc_id) == gateway_id:
            call.client("ec2").detach_internet_gateway(VpcId=vpc_id, InternetGatewayId=gateway_id)

    def _physical(self, physical_id: str) -> Physical:
        return Physical(physical_id, {"AttachmentType": "IGW"})


def network_acl_association(call: Call, subnet_id: str) -> Description | None:
    """Return the association of a subnet with its network ACL; every subnet has exactly one."""
    answer = call.client("ec2").describe_network_acls(
        Filters=[{"Name": "association.subnet-id", "Values": [subnet_id]}]
    )
    associations = [each for acl in answer["NetworkAcls"] for each in acl["Associations"]]
    return next((each for each in associations if each["SubnetId"] == subnet_id), None)


def _set_dns(call: Call, vpc_id: str, properties: Properties) -> None:
    for name, default in _DNS.items():
        value = properties.get(name, default)
        call.client("ec2").modify_vpc_attribute(VpcId=vpc_id, **{name: {"Value": value}})


def _dns_attribute(call: Call, vpc_id: str, name: str) -> bool:
    attribute = name[0].lower() + name[1:]
    answer = call.client("ec2").describe_vpc_attribute(VpcId=vpc_id, Attribute=attribute)
    return bool(answer[name]["Value"])


def _set_public_addresses(call: Call, subnet_id: str, properties: Properties) -> None:
    value = {"Value": properties.get("MapPublicIpOnLaunch", False)}
    call.client("ec2").modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch=value)


def _attached_gateway(call: Call, vpc_id: str) -> str | None:
    attached = {"Name": "attachment.vpc-id", "Values": [vpc_id]}
    answer = call.client("ec2").describe_internet_gateways(Filters=[attached])
    return next((each["InternetGatewayId"] for each in answer["InternetGateways"]), None)


HANDLERS = (Vpc(), Subnet(), InternetGateway(), VpcGatewayAttachment())
