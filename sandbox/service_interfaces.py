# SPDX-License-Identifier: Apache-2.0
"""Network interfaces that a service holds in a VPC, as AWS does: the places of what it runs there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Place:
    """An interface to have."""

    subnet_id: str
    group_ids: tuple[str, ...]
    description: str


def arrange(
    backend: Any,
    requester: str,
    places: Mapping[Key, Place],
    *,
    key_of: Callable[[Any], Key],
    begin: Callable[[Any, Key], None],
) -> tuple[dict[Key, Any], bool]:
    """Make, change and remove a service's interfaces; return them by key, and whether anything changed.

    The caller holds the lock of EC2.

    Args:
        requester: The service, as AWS calls it.
        key_of: Tells which of the places an interface is.
        begin: Completes a new interface.
    """
    held = {key_of(nic): nic for nic in list(backend.enis.values()) if nic.requester_id == requester}
    gone = [key for key, nic in held.items() if key not in places or places[key].subnet_id != nic.subnet.id]
    for key in gone:
        held.pop(key).delete()
    has_changed = bool(gone)
    for key, place in places.items():
        if key not in held:
            held[key] = _make(backend, requester, place)
            begin(held[key], key)
            has_changed = True
        groups = _groups(backend, place)
        if list(held[key]._group_set) != groups:
            held[key]._group_set = groups
            has_changed = True
    return held, has_changed


def _make(backend: Any, requester: str, place: Place) -> Any:
    subnet = backend.get_subnet(place.subnet_id)
    nic = backend.create_network_interface(subnet, None, group_ids=[], description=place.description)
    nic.requester_managed = True
    nic.requester_id = requester
    nic.status = "in-use"
    return nic


def _groups(backend: Any, place: Place) -> list[Any]:
    """Return the security groups that exist: where none is named, the VPC's default one."""
    if not place.group_ids:
        return [backend.get_default_security_group(backend.get_subnet(place.subnet_id).vpc_id)]
    found = [backend.get_security_group_from_id(group_id) for group_id in place.group_ids]
    return [group for group in found if group is not None]
