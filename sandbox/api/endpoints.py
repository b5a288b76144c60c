# SPDX-License-Identifier: Apache-2.0
"""Let VPC endpoints follow every change: their routes and interfaces, which moto leaves as they were made.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVpcEndpoint.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import InvalidVpcEndPointIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.responses.vpcs import VPCs

from sandbox.api.errors import AwsError
from sandbox.api.patches import Patches

GATEWAY, INTERFACE = "Gateway", "Interface"
_GATEWAY_SERVICES = ("s3", "dynamodb")


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(EC2Backend, "create_vpc_endpoint", _complete(EC2Backend.create_vpc_endpoint))
    patches.replace(EC2Backend, "delete_vpc_endpoints", _delete)
    patches.replace(VPCs, "modify_vpc_endpoint", _modify)


def _complete(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_vpc_endpoint(backend: Any, **options: Any) -> Any:
        """Make an endpoint of a service that exists, with interfaces in the groups that guard it."""
        options["endpoint_type"] = options.get("endpoint_type") or GATEWAY
        _check_service(backend, options["service_name"], options["endpoint_type"])
        for group_id in options.get("security_group_ids") or ():
            _existing_group(backend, group_id)
        subnet_ids = options.pop("subnet_ids", None) or []
        endpoint = original(backend, **options, subnet_ids=[])
        if endpoint.vpc_endpoint_type == GATEWAY:
            endpoint.private_dns_enabled = False
        elif not endpoint.security_group_ids:
            endpoint.security_group_ids = [backend.get_default_security_group(endpoint.vpc_id).id]
        endpoint.subnet_ids = []
        _enter_subnets(backend, endpoint, subnet_ids)
        return endpoint

    return create_vpc_endpoint


def _delete(backend: Any, vpce_ids: Iterable[str] = ()) -> None:
    """Remove endpoints with their routes and interfaces; moto keeps the endpoint, as deleted, for ever."""
    for endpoint_id in vpce_ids:
        endpoint = _existing(backend, endpoint_id)
        _leave_subnets(backend, endpoint, list(endpoint.subnet_ids))
        _leave_tables(backend, endpoint, list(endpoint.route_table_ids))
        endpoint.state = "deleted"
        del backend.vpc_end_points[endpoint_id]


def _modify(response: Any) -> ActionResult:
    """Carry out ModifyVpcEndpoint."""
    backend = response.ec2_backend
    endpoint = _existing(backend, response._get_param("VpcEndpointId"))
    for group_id in response._get_param("AddSecurityGroupIds", []):
        _existing_group(backend, group_id)
    _enter_tables(backend, endpoint, response._get_param("AddRouteTableIds", []))
    _leave_tables(backend, endpoint, response._get_param("RemoveRouteTableIds", []))
    _enter_subnets(backend, endpoint, response._get_param("AddSubnetIds", []))
    _leave_subnets(backend, endpoint, response._get_param("RemoveSubnetIds", []))
    added = response._get_param("AddSecurityGroupIds", [])
    removed = response._get_param("RemoveSecurityGroupIds", [])
    kept = [each for each in endpoint.security_group_ids if each not in {*added, *removed}]
    endpoint.security_group_ids = [*kept, *added]
    _regroup(backend, endpoint)
    if policy := response._get_param("PolicyDocument"):
        endpoint.policy_document = policy
    if response._get_bool_param("ResetPolicy"):
        endpoint.policy_document = json.dumps(VPCEndPoint.DEFAULT_POLICY)
    if (is_private := response._get_bool_param("PrivateDnsEnabled")) is not None:
        endpoint.private_dns_enabled = is_private
    return ActionResult({"Return": True})


def _check_service(backend: Any, name: str, endpoint_type: str) -> None:
    prefix = f"com.amazonaws.{backend.region_name}."
    is_known = name.startswith(prefix) and (
        endpoint_type == INTERFACE
        or (endpoint_type == GATEWAY and name.removeprefix(prefix) in _GATEWAY_SERVICES)
    )
    if not is_known:
        raise AwsError("InvalidServiceName", f"The Vpc Endpoint Service '{name}' does not exist")


def _existing(backend: Any, endpoint_id: str) -> Any:
    if endpoint_id not in backend.vpc_end_points:
        raise InvalidVpcEndPointIdError(endpoint_id)
    return backend.vpc_end_points[endpoint_id]


def _existing_group(backend: Any, group_id: str) -> None:
    if backend.get_security_group_from_id(group_id) is None:
        raise AwsError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")


def _enter_tables(backend: Any, endpoint: Any, table_ids: Iterable[str]) -> None:
    for table_id in table_ids:
        if table_id not in endpoint.route_table_ids:
            backend.create_route(
                table_id,
                None,
                gateway_id=endpoint.id,
                destination_prefix_list_id=endpoint.destination_prefix_list_id,
            )
            endpoint.route_table_ids.append(table_id)


def _leave_tables(backend: Any, endpoint: Any, table_ids: Iterable[str]) -> None:
    for table_id in table_ids:
        if table_id in backend.route_tables:
            backend.delete_route(table_id, endpoint.destination_prefix_list_id)
        endpoint.route_table_ids.remove(table_id)


def _enter_subnets(backend: Any, endpoint: Any, subnet_ids: Iterable[str]) -> None:
    for subnet_id in subnet_ids:
        if subnet_id not in endpoint.subnet_ids:
            interface = backend.create_network_interface(
                subnet_id,
                None,
                group_ids=list(endpoint.security_group_ids),
                description=f"VPC Endpoint Interface {endpoint.id}",
            )
            interface.requester_managed = True
            endpoint.network_interface_ids.append(interface.id)
            endpoint.subnet_ids.append(subnet_id)


def _leave_subnets(backend: Any, endpoint: Any, subnet_ids: Iterable[str]) -> None:
    for subnet_id in subnet_ids:
        for interface in _interfaces(backend, endpoint):
            if interface.subnet.id == subnet_id:
                interface.subnet.del_subnet_ip(interface.private_ip_address)
                backend.delete_network_interface(interface.id)
                endpoint.network_interface_ids.remove(interface.id)
        endpoint.subnet_ids.remove(subnet_id)


def _regroup(backend: Any, endpoint: Any) -> None:
    groups = [backend.get_security_group_from_id(each) for each in endpoint.security_group_ids]
    for interface in _interfaces(backend, endpoint):
        interface._group_set = list(groups)


def _interfaces(backend: Any, endpoint: Any) -> list[Any]:
    return [backend.enis[each] for each in endpoint.network_interface_ids]
