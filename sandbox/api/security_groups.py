# SPDX-License-Identifier: Apache-2.0
"""Keep what rules of security groups say apart from what they allow; moto takes it for one.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_UpdateSecurityGroupRuleDescriptionsIngress.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroupRule

from sandbox.api.errors import AwsError
from sandbox.api.patches import Patches


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(SecurityGroupRule, "__eq__", _allows_the_same)
    patches.replace(SecurityGroupRule, "description", property(_description))
    patches.replace(EC2Backend, "_sg_update_description", _describe)
    patches.replace(EC2Backend, "delete_security_group", _unless_referenced(EC2Backend.delete_security_group))


def _what_it_allows(rule: Any) -> tuple[Any, ...]:
    ports = (None, None) if rule.ip_protocol == "-1" else (rule.from_port, rule.to_port)
    ranges = (rule.ip_range.get("CidrIp"), rule.ip_range.get("CidrIpv6"))
    return (rule.ip_protocol, *ports, *ranges, rule.source_group.get("GroupId"), rule.prefix_list_id)


def _allows_the_same(rule: Any, other: Any) -> bool:
    return _what_it_allows(rule) == _what_it_allows(other)


def _description(rule: Any) -> str | None:
    text: str | None = rule.ip_range.get("Description") or rule.source_group.get("Description")
    return text


def _describe(backend: Any, wanted: Any, rule: Any) -> None:
    """Put one description in the place of another, or none."""
    del backend
    held = rule.source_group if rule.source_group else rule.ip_range
    held.pop("Description", None)
    if wanted.description:
        held["Description"] = wanted.description


def _unless_referenced(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete_security_group(backend: Any, name: str | None = None, group_id: str | None = None) -> Any:
        """Refuse to delete a group that another group's rules name."""
        if group_id and any(_names(group, group_id) for group in _groups(backend) if group.id != group_id):
            raise AwsError("DependencyViolation", f"resource {group_id} has a dependent object")
        return original(backend, name, group_id)

    return delete_security_group


def _names(group: Any, group_id: str) -> bool:
    rules = (*group.ingress_rules, *group.egress_rules)
    return any(rule.source_group.get("GroupId") == group_id for rule in rules)


def _groups(backend: Any) -> Iterator[Any]:
    for groups in list(backend.groups.values()):
        yield from list(groups.values())
