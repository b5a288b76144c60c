# SPDX-License-Identifier: Apache-2.0
"""Refuse to delete networks that something is still in, and leave nothing of them behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.ec2.models import EC2Backend

from sandbox.api.errors import AwsError
from sandbox.api.patches import Patches


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(EC2Backend, "delete_subnet", _empty_subnet(EC2Backend.delete_subnet))
    patches.replace(EC2Backend, "delete_vpc", _empty_vpc(EC2Backend.delete_vpc))
    patches.replace(EC2Backend, "release_address", _unless_associated(EC2Backend.release_address))


def _empty_subnet(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete_subnet(backend: Any, subnet_id: str) -> Any:
        """Refuse while an interface is in the subnet; end its associations, which moto forgets."""
        if any(interface.subnet.id == subnet_id for interface in backend.enis.values()):
            raise AwsError(
                "DependencyViolation",
                f"The subnet '{subnet_id}' has dependencies and cannot be deleted.",
            )
        subnet = original(backend, subnet_id)
        for table in backend.route_tables.values():
            table._associations = {
                key: target for key, target in table._associations.items() if target != subnet_id
            }
        for acl in backend.network_acls.values():
            acl._associations = {
                key: each for key, each in acl._associations.items() if each.subnet_id != subnet_id
            }
        return subnet

    return delete_subnet


def _empty_vpc(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete_vpc(backend: Any, vpc_id: str) -> Any:
        """Refuse while anything is in the VPC that AWS did not put there; remove the ACL that it did."""
        backend.get_vpc(vpc_id)
        if _is_used(backend, vpc_id):
            raise AwsError(
                "DependencyViolation", f"The vpc '{vpc_id}' has dependencies and cannot be deleted."
            )
        vpc = original(backend, vpc_id)
        for acl in [each for each in backend.network_acls.values() if each.vpc_id == vpc_id]:
            del backend.network_acls[acl.id]
        return vpc

    return delete_vpc


def _is_used(backend: Any, vpc_id: str) -> bool:
    gateways = (each.vpc for each in backend.internet_gateways.values())
    return (
        any(vpc is not None and vpc.id == vpc_id for vpc in gateways)
        or any(not group.is_default for group in backend.groups[vpc_id].values())
        or any(acl.vpc_id == vpc_id and not acl.default for acl in backend.network_acls.values())
        or any(each.vpc_id == vpc_id for each in backend.vpc_end_points.values())
    )


def _unless_associated(original: Callable[..., Any]) -> Callable[..., Any]:
    def release_address(backend: Any, address: Any = None, allocation_id: Any = None) -> Any:
        """Refuse to release an address that is in use."""
        for each in backend.addresses:
            is_meant = each.public_ip == address or (allocation_id and each.allocation_id == allocation_id)
            if is_meant and each.association_id:
                raise AwsError("InvalidIPAddress.InUse", f"Address {each.public_ip} is in use.")
        return original(backend, address, allocation_id)

    return release_address
