# SPDX-License-Identifier: Apache-2.0
"""Check where routes lead, and take NAT gateways down with their interface and association.

moto makes a route to a NAT gateway that does not exist, and keeps the address of one that was deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.route_tables import Route

from sandbox.api.errors import AwsError
from sandbox.api.patches import Patches

_DELETED = "deleted"


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(EC2Backend, "create_route", _checked(EC2Backend.create_route))
    patches.replace(EC2Backend, "replace_route", _checked(EC2Backend.replace_route))
    patches.replace(Route, "state", property(_route_state))
    patches.replace(EC2Backend, "associate_route_table", _once(EC2Backend.associate_route_table))
    patches.replace(EC2Backend, "describe_nat_gateways", _existing(EC2Backend.describe_nat_gateways))
    patches.replace(EC2Backend, "delete_nat_gateway", _delete_nat_gateway)


def _checked(original: Callable[..., Any]) -> Callable[..., Any]:
    def set_route(backend: Any, route_table_id: str, *arguments: Any, **options: Any) -> Any:
        """Refuse a route to a gateway that is not there, or not in this network."""
        if nat_gateway_id := options.get("nat_gateway_id"):
            _live_nat_gateway(backend, nat_gateway_id, "InvalidNatGatewayID.NotFound")
        gateway_id = options.get("gateway_id") or ""
        if gateway_id.startswith("igw-"):
            gateway = backend.get_internet_gateway(gateway_id)
            table = backend.get_route_table(route_table_id)
            if gateway.vpc is None or gateway.vpc.id != table.vpc_id:
                raise AwsError(
                    "InvalidParameterValue",
                    f"route table {route_table_id} and network gateway {gateway_id} "
                    "belong to different networks",
                )
        return original(backend, route_table_id, *arguments, **options)

    return set_route


def _route_state(route: Any) -> str:
    """Tell a route that leads nowhere any more."""
    gateway, nat = route.gateway, route.nat_gateway
    is_detached = gateway is not None and getattr(gateway, "vpc", gateway) is None
    return "blackhole" if is_detached or (nat is not None and nat.state == _DELETED) else "active"


def _once(original: Callable[..., Any]) -> Callable[..., Any]:
    def associate_route_table(
        backend: Any, route_table_id: str, gateway_id: str | None = None, subnet_id: str | None = None
    ) -> Any:
        """Refuse a second table for a subnet; moto answers with the association to the first."""
        backend.get_route_table(route_table_id)
        for table in backend.route_tables.values():
            if table.id != route_table_id and subnet_id in table._associations.values():
                raise AwsError(
                    "Resource.AlreadyAssociated",
                    f"the specified association for route table {route_table_id} conflicts with an "
                    "existing association",
                )
        return original(backend, route_table_id, gateway_id, subnet_id)

    return associate_route_table


def _existing(original: Callable[..., Any]) -> Callable[..., Any]:
    def describe_nat_gateways(backend: Any, filters: Any, nat_gateway_ids: Any) -> Any:
        for nat_gateway_id in nat_gateway_ids or ():
            if nat_gateway_id not in backend.nat_gateways:
                raise _no_nat_gateway(nat_gateway_id, "NatGatewayNotFound")
        return original(backend, filters, nat_gateway_ids)

    return describe_nat_gateways


def _delete_nat_gateway(backend: Any, nat_gateway_id: str) -> Any:
    """Delete the gateway, free its address, and remove its interface."""
    gateway = _live_nat_gateway(backend, nat_gateway_id, "NatGatewayNotFound")
    interface = gateway._eni
    for address in backend.addresses:
        if address.eni is interface:
            backend.disassociate_address(address=address.public_ip)
    interface.subnet.del_subnet_ip(interface.private_ip_address)
    backend.delete_network_interface(interface.id)
    gateway.state = _DELETED
    return gateway


def _live_nat_gateway(backend: Any, nat_gateway_id: str, code: str) -> Any:
    gateway = backend.nat_gateways.get(nat_gateway_id)
    if gateway is None or gateway.state == _DELETED:
        raise _no_nat_gateway(nat_gateway_id, code)
    return gateway


def _no_nat_gateway(nat_gateway_id: str, code: str) -> AwsError:
    return AwsError(code, f"The Nat Gateway {nat_gateway_id} was not found")
