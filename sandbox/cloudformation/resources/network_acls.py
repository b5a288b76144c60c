# SPDX-License-Identifier: Apache-2.0
"""Network ACLs, their entries, and the subnets that they guard."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources.ec2_kinds import Description, Ec2Resource, Kind, picked
from sandbox.cloudformation.resources.failures import absent_is_fine
from sandbox.cloudformation.resources.vpc import network_acl_association

NO_ACL = "InvalidNetworkAclID.NotFound"
NO_ENTRY = "InvalidNetworkAclEntry.NotFound"
ACLS = Kind("describe_network_acls", "NetworkAcls", "NetworkAclIds", NO_ACL, "network-acl")
# The API's names for the fields that the template names in its own way.
_ICMP = "IcmpTypeCode"
_FIELDS = ("Protocol", "RuleAction", "CidrBlock", "PortRange")


class NetworkAcl(Ec2Resource):
    """AWS::EC2::NetworkAcl."""

    type_name = "AWS::EC2::NetworkAcl"
    properties = frozenset({"VpcId", "Tags"})
    kind = ACLS

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the ACL, which denies everything."""
        answer = call.client("ec2").create_network_acl(
            VpcId=properties["VpcId"], TagSpecifications=self.kind.specification(call, properties)
        )
        return self.physical(call, answer["NetworkAcl"]["NetworkAclId"])

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the ACL."""
        del properties
        with absent_is_fine(NO_ACL):
            call.client("ec2").delete_network_acl(NetworkAclId=physical_id)

    def shown(self, call: Call, description: Description) -> dict[str, Any]:
        """Return the VPC; entries are resources of their own."""
        del call
        return picked(description, "VpcId")

    def attributes(self, call: Call, description: Description) -> dict[str, Any]:
        """Return the id."""
        del call
        return {"Id": description["NetworkAclId"]}


class NetworkAclEntry:
    """AWS::EC2::NetworkAclEntry, of IPv4: `<acl>|<rule number>|<is egress>`."""

    type_name = "AWS::EC2::NetworkAclEntry"
    properties = frozenset({"NetworkAclId", "RuleNumber", "Egress", "Icmp", *_FIELDS})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Add the entry."""
        call.client("ec2").create_network_acl_entry(**_entry(properties))
        return self._physical(properties)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the entry."""
        acl_id, number, is_egress = _parts(physical_id)
        acl = ACLS.described(call, acl_id)
        for entry in acl["Entries"] if acl else ():
            if (entry["RuleNumber"], entry["Egress"]) == (number, is_egress):
                icmp = {"Icmp": entry[_ICMP]} if entry.get(_ICMP) else {}
                shown = {**picked(entry, *_FIELDS), **icmp, "Protocol": int(entry["Protocol"])}
                return {"NetworkAclId": acl_id, "RuleNumber": number, "Egress": is_egress, **shown}
        return None

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Put another entry in its place."""
        del physical_id, before
        call.client("ec2").replace_network_acl_entry(**_entry(after))
        return self._physical(after)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the entry."""
        del properties
        acl_id, number, is_egress = _parts(physical_id)
        with absent_is_fine(NO_ENTRY, NO_ACL):
            call.client("ec2").delete_network_acl_entry(
                NetworkAclId=acl_id, RuleNumber=number, Egress=is_egress
            )

    def _physical(self, properties: Properties) -> Physical:
        is_egress = str(properties.get("Egress", False)).lower()
        entry_id = f"{properties['NetworkAclId']}|{properties['RuleNumber']}|{is_egress}"
        return Physical(entry_id, {"Id": entry_id})


class SubnetNetworkAclAssociation:
    """AWS::EC2::SubnetNetworkAclAssociation; a subnet without one is guarded by its VPC's default ACL."""

    type_name = "AWS::EC2::SubnetNetworkAclAssociation"
    properties = frozenset({"NetworkAclId", "SubnetId"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Let the ACL guard the subnet."""
        association = network_acl_association(call, properties["SubnetId"])
        if association is None:
            raise HandlerError(f"The subnet ID '{properties['SubnetId']}' does not exist")
        association_id = _associate(call, association, properties["NetworkAclId"])
        return Physical(association_id, {"AssociationId": association_id})

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return which ACL guards which subnet."""
        association = _association(call, physical_id)
        return picked(association, "NetworkAclId", "SubnetId") if association else None

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Refuse: both properties are create-only."""
        raise HandlerError(f"{self.type_name} can't be updated")

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Give the subnet its VPC's default ACL again."""
        del properties
        association = _association(call, physical_id)
        if association is None:
            return
        acl = ACLS.described(call, association["NetworkAclId"]) or {}
        filters = [
            {"Name": "vpc-id", "Values": [acl["VpcId"]]},
            {"Name": "default", "Values": ["true"]},
        ]
        default = call.client("ec2").describe_network_acls(Filters=filters)["NetworkAcls"][0]
        _associate(call, association, default["NetworkAclId"])


def _associate(call: Call, association: Description, acl_id: str) -> str:
    answer = call.client("ec2").replace_network_acl_association(
        AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl_id
    )
    return str(answer["NewAssociationId"])


def _association(call: Call, association_id: str) -> Description | None:
    wanted = {"Name": "association.association-id", "Values": [association_id]}
    answer = call.client("ec2").describe_network_acls(Filters=[wanted])
    associations = [each for acl in answer["NetworkAcls"] for each in acl["Associations"]]
    return next((each for each in associations if each["NetworkAclAssociationId"] == association_id), None)


def _entry(properties: Properties) -> dict[str, Any]:
    icmp = {_ICMP: properties["Icmp"]} if "Icmp" in properties else {}
    return {
        **picked(dict(properties), "NetworkAclId", "RuleNumber", *_FIELDS),
        **icmp,
        "Protocol": str(properties["Protocol"]),
        "Egress": properties.get("Egress", False),
    }


def _parts(physical_id: str) -> tuple[str, int, bool]:
    acl_id, number, is_egress = physical_id.split("|")
    return acl_id, int(number), is_egress == "true"


HANDLERS = (NetworkAcl(), NetworkAclEntry(), SubnetNetworkAclAssociation())
