# SPDX-License-Identifier: Apache-2.0
"""Keep the entries of network ACLs whole, and answer for what is not there with AWS's errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.ec2.exceptions import InvalidNetworkAclIdError
from moto.ec2.models import EC2Backend
from moto.ec2.responses.network_acls import NetworkACLs

from sandbox.api.errors import AwsError
from sandbox.api.patches import Patches


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(
        EC2Backend, "delete_network_acl_entry", _existing_entry(EC2Backend.delete_network_acl_entry)
    )
    patches.replace(EC2Backend, "describe_network_acls", _existing_acls(EC2Backend.describe_network_acls))
    patches.replace(
        EC2Backend,
        "replace_network_acl_association",
        _existing_association(EC2Backend.replace_network_acl_association),
    )
    patches.replace(EC2Backend, "delete_network_acl", _unless_default(EC2Backend.delete_network_acl))
    for name in ("create_network_acl_entry", "replace_network_acl_entry"):
        patches.replace(NetworkACLs, name, _with_icmp(getattr(NetworkACLs, name)))


def _existing_entry(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete_network_acl_entry(backend: Any, network_acl_id: str, rule_number: int, egress: bool) -> Any:
        """Say that there is no such entry; moto ends in an error of its own."""
        acl = backend.get_network_acl(network_acl_id)
        if not any((each.egress, each.rule_number) == (egress, rule_number) for each in acl.entries):
            way = "egress" if egress else "ingress"
            raise AwsError(
                "InvalidNetworkAclEntry.NotFound",
                f"no network acl entry with {way} rule number {rule_number} in {network_acl_id}",
            )
        return original(backend, network_acl_id, rule_number, egress)

    return delete_network_acl_entry


def _existing_acls(original: Callable[..., Any]) -> Callable[..., Any]:
    def describe_network_acls(backend: Any, network_acl_ids: Any = None, filters: Any = None) -> Any:
        """Name the ACL that is missing; moto calls it a route table."""
        for acl_id in network_acl_ids or ():
            if acl_id not in backend.network_acls:
                raise InvalidNetworkAclIdError(acl_id)
        return original(backend, network_acl_ids, filters)

    return describe_network_acls


def _existing_association(original: Callable[..., Any]) -> Callable[..., Any]:
    def replace_network_acl_association(backend: Any, association_id: str, network_acl_id: str) -> Any:
        """Check both ends before moto takes the association apart."""
        if not any(association_id in acl._associations for acl in backend.network_acls.values()):
            raise AwsError(
                "InvalidAssociationID.NotFound", f"The association ID '{association_id}' does not exist"
            )
        backend.get_network_acl(network_acl_id)
        return original(backend, association_id, network_acl_id)

    return replace_network_acl_association


def _unless_default(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete_network_acl(backend: Any, network_acl_id: str) -> Any:
        """Refuse to delete the ACL that a VPC falls back on."""
        if backend.get_network_acl(network_acl_id).default:
            raise AwsError("InvalidParameterValue", f"cannot delete default network ACL {network_acl_id}")
        return original(backend, network_acl_id)

    return delete_network_acl


def _with_icmp(original: Callable[..., Any]) -> Callable[..., Any]:
    def set_network_acl_entry(response: Any) -> Any:
        """Keep the type and code of ICMP, which moto looks for under another name."""
        parameters = response._get_params()
        if "IcmpTypeCode" in parameters:
            parameters["Icmp"] = parameters["IcmpTypeCode"]
        return original(response)

    return set_network_acl_entry
