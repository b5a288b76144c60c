# SPDX-License-Identifier: Apache-2.0
"""The endpoints of a network: AWS services that are reached without NAT."""

from __future__ import annotations

from ipaddress import collapse_addresses
from typing import Any

from troposphere import GetAtt, Ref, Sub, Tags, Template
from troposphere.ec2 import SecurityGroup, SecurityGroupRule, VPCEndpoint

from stacks.inputs import NetworkInputs
from stacks.policy import allow, document
from stacks.stack import logical

HTTPS = 443
# A group without any rule for what leaves gets one that allows everything; this one allows nothing.
NOWHERE = SecurityGroupRule(
    Description="Nothing: what is here only answers", IpProtocol="-1", CidrIp="127.0.0.1/32"
)


def add(template: Template, inputs: NetworkInputs, *, route_tables: list[Any]) -> None:
    """Add the endpoints that the network's file asks for."""
    if inputs.network.s3_endpoint:
        template.add_resource(
            VPCEndpoint(
                "S3Endpoint",
                VpcId=Ref("Vpc"),
                VpcEndpointType="Gateway",
                ServiceName=Sub("com.amazonaws.${AWS::Region}.s3"),
                RouteTableIds=route_tables,
            )
        )
    if inputs.network.interface_endpoints:
        _add_group(template, inputs)
    for service in inputs.network.interface_endpoints:
        template.add_resource(_interface(inputs, service))


def _add_group(template: Template, inputs: NetworkInputs) -> None:
    tiers = inputs.network.subnets
    template.add_resource(
        SecurityGroup(
            "EndpointSecurityGroup",
            VpcId=Ref("Vpc"),
            GroupDescription=f"Interface endpoints of {inputs.name}",
            SecurityGroupIngress=[
                SecurityGroupRule(
                    Description="Machines and bastions to the endpoints",
                    IpProtocol="tcp",
                    FromPort=HTTPS,
                    ToPort=HTTPS,
                    CidrIp=str(cidr),
                )
                for cidr in collapse_addresses((*tiers.public, *tiers.application))
            ],
            SecurityGroupEgress=[NOWHERE],
            Tags=Tags(Name=f"{inputs.name}-endpoints"),
        )
    )


def _interface(inputs: NetworkInputs, service: str) -> VPCEndpoint:
    """Make an endpoint that serves this account's principals only: nobody's data leaves with other keys."""
    condition = {"StringEquals": {"aws:PrincipalAccount": inputs.account_id}}
    zones = [zone.upper() for zone in inputs.network.zones]
    return VPCEndpoint(
        f"{logical(service)}Endpoint",
        VpcId=Ref("Vpc"),
        VpcEndpointType="Interface",
        ServiceName=Sub(f"com.amazonaws.${{AWS::Region}}.{service}"),
        PrivateDnsEnabled=True,
        SubnetIds=[Ref(f"ApplicationSubnet{zone}") for zone in zones],
        SecurityGroupIds=[GetAtt("EndpointSecurityGroup", "GroupId")],
        PolicyDocument=document(allow([f"{service}:*"], ["*"], principal={"AWS": "*"}, condition=condition)),
    )
