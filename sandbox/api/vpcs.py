# SPDX-License-Identifier: Apache-2.0
"""Correct moto's VPC operations where they would say one thing and the firewall another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroupRule

from sandbox.api.errors import AwsError, unsupported
from sandbox.api.patches import Patches

DEFAULT_ENTRY = 32767


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    for name in ("authorize_security_group_ingress", "authorize_security_group_egress"):
        patches.replace(EC2Backend, name, _without_prefix_lists(getattr(EC2Backend, name)))
    patches.replace(EC2Backend, "create_security_group", _open_default(EC2Backend.create_security_group))
    patches.replace(EC2Backend, "create_network_acl", _closed_acl(EC2Backend.create_network_acl))
    patches.replace(EC2Backend, "delete_security_group", _unless_in_use(EC2Backend.delete_security_group))
    patches.replace(
        EC2Backend,
        "modify_network_interface_attribute",
        _regroup(EC2Backend.modify_network_interface_attribute),
    )


def connect_default_vpc(backend: Any) -> None:
    """Give the default VPC the internet gateway and route that AWS gives it; moto leaves it cut off."""
    gateway = backend.create_internet_gateway()
    backend.attach_internet_gateway(gateway.id, backend.default_vpc.id)
    for table in backend.route_tables.values():
        if table.vpc_id == backend.default_vpc.id and table.main_association_id is not None:
            backend.create_route(table.id, "0.0.0.0/0", gateway_id=gateway.id)
            return


def _open_default(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_security_group(backend: Any, name: str, *arguments: Any, **options: Any) -> Any:
        """Let the members of a VPC's default group reach each other, as AWS does from the start."""
        group = original(backend, name, *arguments, **options)
        if name == "default":
            own = {"GroupId": group.id, "UserId": backend.account_id}
            group.ingress_rules.append(
                SecurityGroupRule(backend, "-1", group.id, None, None, None, own, is_egress=False)
            )
        return group

    return create_security_group


def _without_prefix_lists(original: Callable[..., Any]) -> Callable[..., Any]:
    def authorize(backend: Any, *arguments: Any, **options: Any) -> Any:
        """Refuse prefix lists: there are none to expand."""
        if options.get("prefix_list_ids"):
            raise unsupported("ec2.AuthorizeSecurityGroup with prefix lists")
        return original(backend, *arguments, **options)

    return authorize


def _closed_acl(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_network_acl(backend: Any, vpc_id: str, tags: Any = None, default: bool = False) -> Any:
        """Give every ACL the last entries, which deny; moto gives them to default ones only."""
        acl = original(backend, vpc_id, tags, default)
        if not default:
            for egress in (True, False):
                backend.create_network_acl_entry(
                    acl.id, DEFAULT_ENTRY, "-1", "deny", egress, "0.0.0.0/0", None, None, None, None, None
                )
        return acl

    return create_network_acl


def _unless_in_use(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete_security_group(backend: Any, *arguments: Any, **options: Any) -> Any:
        """Refuse to delete a group that an interface is in, as AWS does until the instance is terminated."""
        wanted = set(arguments) | set(options.values())
        for eni in backend.enis.values():
            for group in eni.group_set:
                if group.id in wanted or group.name in wanted:
                    raise AwsError("DependencyViolation", f"resource {group.id} has a dependent object")
        return original(backend, *arguments, **options)

    return delete_security_group


def _regroup(original: Callable[..., Any]) -> Callable[..., Any]:
    def modify_network_interface_attribute(backend: Any, eni_id: str, *arguments: Any, **options: Any) -> Any:
        """Show the interface's new groups on its instance as well."""
        original(backend, eni_id, *arguments, **options)
        eni = backend.get_network_interface(eni_id)
        if eni.instance is not None:
            eni.instance.security_groups = list(eni.group_set)

    return modify_network_interface_attribute
