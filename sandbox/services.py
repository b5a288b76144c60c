# SPDX-License-Identifier: Apache-2.0
"""The services that the region adds to moto, each a part of its own with the same few connections.

A service keeps its state in moto's backend of that service, as plain data, so that it is saved and restored
with the rest; threads, locks and clients are its own and made anew at each start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sandbox import dns
from sandbox.api.errors import HttpAnswer
from sandbox.api.gateway import Locks
from sandbox.api.ledger import Observer
from sandbox.api.patches import Patches
from sandbox.clock import RegionClock
from sandbox.cloudformation.workers import Workers
from sandbox.event_bus import Event
from sandbox.own_calls import OwnCalls
from sandbox.substrate import Substrate


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a service may use.

    Attributes:
        endpoint: The URL at which programs of this host reach the region's API.
        calls: The region's own API; never called while a service's lock is held.
        locks: One lock per service; whoever reads or changes moto's state of a service holds its lock.
        names: What machines resolve: `names.put(name, addresses)`.
        observe_instances: Tells from now on which state or health each instance enters; what is told is
            called while the lock of EC2 is held, and must only take note.
        announce: Tells EventBridge's default bus of an event; called with no service's lock held.
        settle_network: Return when the VPCs are as EC2's state says; called with no lock held.
        pages: The operator's pages under /_slipway/, by name, beside the region's own.
        changed: Notes that there is something to save, after a change that no API call made.
        folder: A directory for files that live as long as the region runs; None in memory-only regions.
        workers: What carries out work that waits in the middle, by a clock that is advanced; None where such
            work has threads of its own.
    """

    region: str
    account_id: str
    endpoint: str
    mode: str
    calls: OwnCalls
    clock: RegionClock
    locks: Locks
    names: dns.Names
    substrate: Substrate
    observe_instances: Callable[[Observer], None]
    announce: Callable[[Event], None]
    settle_network: Callable[[], None]
    pages: dict[str, Callable[[], HttpAnswer]]
    changed: Callable[[], None]
    folder: Path | None
    workers: Workers | None = None


class Service(Protocol):
    """One service of the region."""

    def install(self, patches: Patches) -> None:
        """Put corrections into moto, before any call is answered."""

    def start(self) -> None:
        """Begin with the state that was restored, or none."""

    def close(self) -> None:
        """End threads and processes; the state stays."""


def services(surroundings: Surroundings) -> tuple[Service, ...]:
    """Make all services, in the order in which they start; they close in the reverse order."""
    from sandbox.autoscaling.service import AutoScaling  # noqa: PLC0415 - it needs the types above
    from sandbox.balancing.service import BalancingService  # noqa: PLC0415 - likewise
    from sandbox.cloudformation.service import CloudFormationService  # noqa: PLC0415 - likewise
    from sandbox.databases.service import DatabaseService  # noqa: PLC0415 - likewise
    from sandbox.lambdas.service import LambdaService  # noqa: PLC0415 - it needs the types above
    from sandbox.log_metrics import LogMetrics  # noqa: PLC0415 - likewise
    from sandbox.monitoring.service import Monitoring  # noqa: PLC0415 - likewise

    monitoring = Monitoring(surroundings)
    # CloudFormation closes first: what it makes is made by all the others.
    return (
        LambdaService(surroundings),
        BalancingService(surroundings),
        DatabaseService(surroundings),
        monitoring,
        LogMetrics(surroundings),
        AutoScaling(surroundings, monitoring),
        CloudFormationService(surroundings),
    )
