# SPDX-License-Identifier: Apache-2.0
"""Hold a network interface in each subnet of a load balancer, as AWS does: its node's place in the VPC."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

REQUESTER = "amazon-elb"
_PREFIX = "ELB "


@dataclass(frozen=True, slots=True)
class Wanted:
    """An interface to have. `name` is the balancer's app/<name>/<id>."""

    name: str
    subnet_id: str
    group_ids: tuple[str, ...]
    is_public: bool


def arrange(
    backend: Any, wanted: Iterable[Wanted], *, take_address: Callable[[], str]
) -> tuple[dict[tuple[str, str], Any], bool]:
    """Make, change and remove interfaces; return them by name and subnet, and whether anything changed.

    The caller holds the lock of EC2.
    """
    places = {(each.name, each.subnet_id): each for each in wanted}
    held = {(_name(nic), nic.subnet.id): nic for nic in backend.enis.values() if _is_ours(nic)}
    changed = False
    for key, nic in held.items():
        if key not in places:
            nic.delete()
            changed = True
    arranged = {}
    for key, place in places.items():
        nic = held.get(key)
        if nic is None:
            nic = _make(backend, place, take_address)
            changed = True
        groups = [backend.get_security_group_from_id(group_id) for group_id in place.group_ids]
        if list(nic._group_set) != groups:
            nic._group_set = groups
            changed = True
        arranged[key] = nic
    return arranged, changed


def _is_ours(nic: Any) -> bool:
    return bool(nic.requester_managed) and nic.requester_id == REQUESTER


def _name(nic: Any) -> str:
    return str(nic.description).removeprefix(_PREFIX)


def _make(backend: Any, place: Wanted, take_address: Callable[[], str]) -> Any:
    subnet = backend.get_subnet(place.subnet_id)
    nic = backend.create_network_interface(
        subnet, None, group_ids=list(place.group_ids), description=f"{_PREFIX}{place.name}"
    )
    nic.requester_managed = True
    nic.requester_id = REQUESTER
    nic.status = "in-use"
    if place.is_public:
        nic.public_ip = take_address()
    return nic
