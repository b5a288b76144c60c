# SPDX-License-Identifier: Apache-2.0
"""Elastic addresses and NAT gateways."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.ec2_kinds import Description, Ec2Resource, Kind, picked, update_tags
from sandbox.cloudformation.resources.failures import (
    absent_is_fine,
    undone_by,
    unless_absent,
    wait_until,
    wait_while_wanted,
)

NO_ADDRESS = "InvalidAddress.NotFound"
NO_ALLOCATION = "InvalidAllocationID.NotFound"
NO_NAT_GATEWAY = "NatGatewayNotFound"


class ElasticAddress:
    """AWS::EC2::EIP: Ref gives the address, and the allocation is an attribute."""

    type_name = "AWS::EC2::EIP"
    properties = frozenset({"Domain", "Tags"})
    kind = Kind("describe_addresses", "Addresses", "PublicIps", NO_ADDRESS, "elastic-ip")

    def create(self, call: Call, properties: Properties) -> Physical:
        """Allocate an address."""
        answer = call.client("ec2").allocate_address(
            Domain="vpc", TagSpecifications=self.kind.specification(call, properties)
        )
        return self._physical(call, answer["PublicIp"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the address's tags."""
        description = self.kind.described(call, physical_id)
        if description is None:
            return None
        return {"Domain": description["Domain"]} | tagging.shown(description.get("Tags", ()))

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change the tags."""
        physical = self._physical(call, physical_id)
        update_tags(call, physical.attributes["AllocationId"], before=before, after=after)
        return physical

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Release the address."""
        del properties
        description = self.kind.described(call, physical_id)
        if description is not None:
            with absent_is_fine(NO_ALLOCATION, NO_ADDRESS):
                call.client("ec2").release_address(AllocationId=description["AllocationId"])

    def _physical(self, call: Call, physical_id: str) -> Physical:
        description = self.kind.described(call, physical_id)
        if description is None:
            raise HandlerError(f"The address {physical_id} does not exist")
        return Physical(physical_id, picked(description, "AllocationId", "PublicIp"))


class NatGateway(Ec2Resource):
    """AWS::EC2::NatGateway: ready when it carries packets, gone when its interface is."""

    type_name = "AWS::EC2::NatGateway"
    properties = frozenset({"SubnetId", "AllocationId", "ConnectivityType", "Tags"})
    kind = Kind("describe_nat_gateways", "NatGateways", "NatGatewayIds", NO_NAT_GATEWAY, "natgateway")

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the gateway and wait for it."""
        answer = call.client("ec2").create_nat_gateway(
            **picked(dict(properties), "SubnetId", "AllocationId", "ConnectivityType"),
            TagSpecifications=self.kind.specification(call, properties),
        )
        gateway_id = answer["NatGateway"]["NatGatewayId"]
        with undone_by(lambda: self.delete(call, gateway_id, properties)):
            wait_while_wanted(call, lambda: self._state(call, gateway_id) != "pending")
            if self._state(call, gateway_id) not in ("available", "pending"):
                raise HandlerError(
                    f"NatGateway {gateway_id} is in state failed and hence failed to stabilize."
                )
            return self.physical(call, gateway_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the gateway and wait until its address is free."""
        del properties
        if self.kind.described(call, physical_id) is not None:
            call.client("ec2").delete_nat_gateway(NatGatewayId=physical_id)
        wait_until(call, lambda: self._state(call, physical_id) in (None, "deleted"))

    def shown(self, call: Call, description: Description) -> dict[str, Any]:
        """Return where the gateway is and which address it has."""
        del call
        return picked(description, "SubnetId", "ConnectivityType") | picked(
            _address(description), "AllocationId"
        )

    def attributes(self, call: Call, description: Description) -> dict[str, Any]:
        """Return the ids of the gateway and its interface."""
        del call
        return {
            "NatGatewayId": description["NatGatewayId"],
            "EniId": _address(description).get("NetworkInterfaceId", ""),
        }

    def _state(self, call: Call, gateway_id: str) -> str | None:
        ec2 = call.client("ec2")
        answer = unless_absent(lambda: ec2.describe_nat_gateways(NatGatewayIds=[gateway_id]), NO_NAT_GATEWAY)
        return str(answer["NatGateways"][0]["State"]) if answer and answer["NatGateways"] else None


def _address(description: Description) -> Description:
    addresses: list[Description] = description.get("NatGatewayAddresses") or [{}]
    return addresses[0]


HANDLERS = (ElasticAddress(), NatGateway())
