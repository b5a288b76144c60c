# SPDX-License-Identifier: Apache-2.0
"""Make a network and a config bucket with plain calls, for tests that are not about stacks.

It is shaped as networks/sandbox.yaml says, and everything passes its network ACLs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.state_dir import CHECKOUT

NETWORK_TAG = "slipway:network"
TIER_TAG = "slipway:tier"
NETWORK = "sandbox"
CONFIG_BUCKET = "slipway-sandbox-config"


@dataclass(frozen=True, slots=True)
class SubnetPlan:
    """A subnet to have."""

    tier: str
    zone: str
    cidr: str


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """A VPC to have."""

    cidr: str
    subnets: tuple[SubnetPlan, ...]


def load_plan(region: str) -> NetworkPlan:
    """Read the network's file."""
    document: Mapping[str, Any] = yaml.safe_load((CHECKOUT / "networks" / "sandbox.yaml").read_text("utf-8"))
    zones = [f"{region}{letter}" for letter in document["zones"]]
    subnets = [
        SubnetPlan(tier, zone, str(ipaddress.ip_network(cidr)))
        for tier, cidrs in document["subnets"].items()
        for zone, cidr in zip(zones, cidrs, strict=True)
    ]
    return NetworkPlan(str(ipaddress.ip_network(document["cidr"])), tuple(subnets))


def make_plain_network(endpoint: str, region: str = "us-east-1") -> None:
    """Make what is missing."""
    plan = load_plan(region)
    session = boto3.session.Session("sandbox", "sandbox", region_name=region)
    config = Config(retries={"total_max_attempts": 1})
    ec2 = session.client("ec2", endpoint_url=endpoint, config=config)
    if not ec2.describe_vpcs(Filters=[{"Name": f"tag:{NETWORK_TAG}", "Values": [NETWORK]}])["Vpcs"]:
        _make_network(ec2, plan)
    _make_bucket(session.client("s3", endpoint_url=endpoint, config=config))


def _make_network(ec2: Any, plan: NetworkPlan) -> None:
    vpc_id = ec2.create_vpc(CidrBlock=plan.cidr, TagSpecifications=_tags("vpc", NETWORK))["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    gateway = ec2.create_internet_gateway(TagSpecifications=_tags("internet-gateway", NETWORK))
    gateway_id = gateway["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    tables = {}
    for tier in dict.fromkeys(subnet.tier for subnet in plan.subnets):
        tags = _tags("route-table", f"{NETWORK}-{tier}", tier)
        tables[tier] = ec2.create_route_table(VpcId=vpc_id, TagSpecifications=tags)["RouteTable"][
            "RouteTableId"
        ]
    ec2.create_route(RouteTableId=tables["public"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway_id)
    for subnet in plan.subnets:
        _make_subnet(ec2, vpc_id, subnet, table=tables[subnet.tier])


def _make_subnet(ec2: Any, vpc_id: str, subnet: SubnetPlan, *, table: str) -> None:
    made = ec2.create_subnet(
        VpcId=vpc_id,
        CidrBlock=subnet.cidr,
        AvailabilityZone=subnet.zone,
        TagSpecifications=_tags("subnet", f"{NETWORK}-{subnet.tier}-{subnet.zone[-1]}", subnet.tier),
    )
    subnet_id = made["Subnet"]["SubnetId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet_id)
    if subnet.tier == "public":
        ec2.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": True})


def _tags(kind: str, name: str, tier: str | None = None) -> list[dict[str, Any]]:
    tags = {"Name": name, NETWORK_TAG: NETWORK} | ({TIER_TAG: tier} if tier else {})
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


def _make_bucket(s3: Any) -> None:
    try:
        s3.head_bucket(Bucket=CONFIG_BUCKET)
        return
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
    s3.create_bucket(Bucket=CONFIG_BUCKET)
    s3.put_bucket_versioning(Bucket=CONFIG_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_public_access_block(
        Bucket=CONFIG_BUCKET,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
