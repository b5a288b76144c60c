# SPDX-License-Identifier: Apache-2.0
"""Hold a network interface for each member of a cluster, as RDS does: its place in the VPC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

REQUESTER = "amazon-rds"
# AWS calls them all so.
DESCRIPTION = "RDSNetworkInterface"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An interface to have, for the member with this resource id."""

    resource_id: str
    subnet_id: str
    group_ids: tuple[str, ...]


def arrange(backend: Any, wanted: Iterable[Wanted]) -> tuple[dict[str, Any], bool]:
    """Make, change and remove interfaces; return them by member, and whether anything changed.

    The caller holds the lock of EC2.
    """
    subnets = {subnet_id for zone in backend.subnets.values() for subnet_id in zone}
    places = {each.resource_id: each for each in wanted if each.subnet_id in subnets}
    held = {nic.of_member: nic for nic in list(backend.enis.values()) if nic.requester_id == REQUESTER}
    changed = False
    for resource_id, nic in held.items():
        place = places.get(resource_id)
        if place is None or place.subnet_id != nic.subnet.id:
            nic.delete()
            changed = True
    arranged = {}
    for resource_id, place in places.items():
        nic = held.get(resource_id)
        if nic is None or nic.subnet.id != place.subnet_id:
            nic = _make(backend, place)
            changed = True
        groups = _groups(backend, place)
        if list(nic._group_set) != groups:
            nic._group_set = groups
            changed = True
        arranged[resource_id] = nic
    return arranged, changed


def _make(backend: Any, place: Wanted) -> Any:
    nic = backend.create_network_interface(
        backend.get_subnet(place.subnet_id), None, group_ids=[], description=DESCRIPTION
    )
    nic.requester_managed = True
    nic.requester_id = REQUESTER
    nic.status = "in-use"
    nic.of_member = place.resource_id
    return nic


def _groups(backend: Any, place: Wanted) -> list[Any]:
    """Return the security groups that exist: a cluster without any has the VPC's default one."""
    if not place.group_ids:
        return [backend.get_default_security_group(backend.get_subnet(place.subnet_id).vpc_id)]
    found = [backend.get_security_group_from_id(group_id) for group_id in place.group_ids]
    return [group for group in found if group is not None]
