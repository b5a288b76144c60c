# SPDX-License-Identifier: Apache-2.0
"""VPC endpoints: the way to a service of AWS without the internet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources.ec2_kinds import Description, Ec2Resource, Kind, picked, update_tags
from sandbox.cloudformation.resources.failures import wait_until

NO_ENDPOINT = "InvalidVpcEndpointId.NotFound"
_LISTS = ("RouteTableIds", "SubnetIds", "SecurityGroupIds")
_FIXED = ("VpcId", "ServiceName", "VpcEndpointType")
# AWS's word for a policy that is not given.
_EVERYTHING = {
    "Version": "2008-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}],
}


class VpcEndpoint(Ec2Resource):
    """AWS::EC2::VPCEndpoint, of the types Gateway and Interface."""

    type_name = "AWS::EC2::VPCEndpoint"
    properties = frozenset({*_FIXED, *_LISTS, "PolicyDocument", "PrivateDnsEnabled", "Tags"})
    kind = Kind("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointIds", NO_ENDPOINT, "vpc-endpoint")

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the endpoint."""
        answer = call.client("ec2").create_vpc_endpoint(
            **picked(dict(properties), *_FIXED, *_LISTS, "PrivateDnsEnabled"),
            **_policy(properties),
            TagSpecifications=self.kind.specification(call, properties),
        )
        return self.physical(call, answer["VpcEndpoint"]["VpcEndpointId"])

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change tables, subnets, groups, policy, private names and tags."""
        changes = _list_changes(before, after) | _policy_change(before, after)
        if before.get("PrivateDnsEnabled", False) != after.get("PrivateDnsEnabled", False):
            changes["PrivateDnsEnabled"] = after.get("PrivateDnsEnabled", False)
        if changes:
            call.client("ec2").modify_vpc_endpoint(VpcEndpointId=physical_id, **changes)
        update_tags(call, physical_id, before=before, after=after)
        return self.physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the endpoint and wait until its interfaces are gone."""
        del properties
        if self.kind.described(call, physical_id) is not None:
            call.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[physical_id])
        wait_until(call, lambda: self.kind.described(call, physical_id) is None)

    def shown(self, call: Call, description: Description) -> dict[str, Any]:
        """Return the endpoint as the template has it."""
        del call
        groups = [group["GroupId"] for group in description.get("Groups", ())]
        return {
            **picked(description, *_FIXED, "RouteTableIds", "SubnetIds"),
            **({"SecurityGroupIds": groups} if groups else {}),
            "PrivateDnsEnabled": description["PrivateDnsEnabled"],
            "PolicyDocument": json.loads(description["PolicyDocument"]),
        }

    def attributes(self, call: Call, description: Description) -> dict[str, Any]:
        """Return the id, the interfaces and the names."""
        del call
        entries = description.get("DnsEntries", ())
        return {
            "Id": description["VpcEndpointId"],
            "NetworkInterfaceIds": description.get("NetworkInterfaceIds", []),
            "DnsEntries": [f"{entry['HostedZoneId']}:{entry['DnsName']}" for entry in entries],
            "CreationTimestamp": f"{description['CreationTimestamp']:%a %b %d %H:%M:%S UTC %Y}",
        }


def _policy(properties: Properties) -> dict[str, str]:
    document = properties.get("PolicyDocument")
    if document is None:
        return {}
    return {"PolicyDocument": json.dumps(document) if isinstance(document, Mapping) else document}


def _policy_change(before: Properties, after: Properties) -> dict[str, Any]:
    if before.get("PolicyDocument") == after.get("PolicyDocument"):
        return {}
    return _policy(after) or _policy({"PolicyDocument": _EVERYTHING})


def _list_changes(before: Properties, after: Properties) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name in _LISTS:
        old, new = set(before.get(name, ())), set(after.get(name, ()))
        if added := sorted(new - old):
            changes[f"Add{name}"] = added
        if removed := sorted(old - new):
            changes[f"Remove{name}"] = removed
    return changes


HANDLERS = (VpcEndpoint(),)
