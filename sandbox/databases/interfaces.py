# SPDX-License-Identifier: Apache-2.0
"""Hold a network interface for each member of a cluster, as RDS does: its place in the VPC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sandbox import service_interfaces
from sandbox.service_interfaces import Place

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
    places = {
        each.resource_id: Place(each.subnet_id, each.group_ids, DESCRIPTION)
        for each in wanted
        if each.subnet_id in subnets
    }
    return service_interfaces.arrange(
        backend, REQUESTER, places, key_of=lambda nic: str(nic.of_member), begin=_begin
    )


def _begin(nic: Any, resource_id: str) -> None:
    nic.of_member = resource_id
