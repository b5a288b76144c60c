# SPDX-License-Identifier: Apache-2.0
"""Count the vCPUs of running instances, as quotas count them.

https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

RUNNING = "running"


def running(backend: Any) -> list[tuple[str, int]]:
    """Return the vCPUs of all running instances of moto's backend, by their type."""
    found = Counter(_types(backend))
    return [(name, count * vcpus_of(name)) for name, count in found.items()]


def vcpus_of(instance_type: str) -> int:
    """Return how many vCPUs an instance of a type has."""
    return int(INSTANCE_TYPES[instance_type]["VCpuInfo"]["DefaultVCpus"])


def _types(backend: Any) -> Iterator[str]:
    for reservation in backend.reservations.values():
        for instance in reservation.instances:
            if instance.state == RUNNING:
                yield instance.instance_type
