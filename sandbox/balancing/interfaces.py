# SPDX-License-Identifier: Apache-2.0
"""Hold a network interface in each subnet of a load balancer, as AWS does: its node's place in the VPC."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sandbox import service_interfaces
from sandbox.service_interfaces import Place

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
    all_wanted = {(each.name, each.subnet_id): each for each in wanted}
    places = {
        key: Place(each.subnet_id, each.group_ids, f"{_PREFIX}{each.name}")
        for key, each in all_wanted.items()
    }

    def begin(nic: Any, key: tuple[str, str]) -> None:
        if all_wanted[key].is_public:
            nic.public_ip = take_address()

    return service_interfaces.arrange(
        backend, REQUESTER, places, key_of=lambda nic: (_name(nic), str(nic.subnet.id)), begin=begin
    )


def _name(nic: Any) -> str:
    return str(nic.description).removeprefix(_PREFIX)
