# SPDX-License-Identifier: Apache-2.0
"""What OpenSSH's written configuration is made of: an environment's machines by the names people type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.domain.door import Door
from orchestrator.ports import Hop
from orchestrator.workflows.account import guard_account
from orchestrator.workflows.doors.hops import bastions, known_hops
from orchestrator.workflows.doors.login import Opening, Pass, issue
from orchestrator.workflows.doors.machines import bastion_fleet, numbered
from orchestrator.workflows.doors.world import DoorWorld

VERB = "ssh-config"
# What is written is looked at again after a minute; until then the certificate has to last.
REFRESH = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class HostBook:
    """An environment's machines.

    Attributes:
        bastion: What all others are reached through.
        machines: By their names, `api-1`, all that have published their host keys.
    """

    environment: str
    bastion: Hop
    machines: Mapping[str, Hop]


def look(world: DoorWorld) -> HostBook:
    """Return the machines that can be reached now.

    Raises:
        Refused: The credentials are another account's.
        MachineMissing: There is no bastion.
    """
    guard_account(world.environment, world.identity)
    running = world.directory.running(world.environment.name)
    gate = bastions(world, running, what=VERB)[0]
    others = [each for each in running if each.fleet != bastion_fleet(world.environment)]
    names, hops = numbered(running), known_hops(world, others)
    machines = {
        names[each.instance_id]: hops[each.instance_id] for each in others if each.instance_id in hops
    }
    return HostBook(world.environment.name, gate, machines)


def sign(world: DoorWorld, public_key: str) -> Pass:
    """Return a pass for a key of the operator's: on through the bastion, and to shells of all classes."""
    fleets, gate = world.environment.fleets, bastion_fleet(world.environment)
    classes = sorted({fleet.server_class for name, fleet in fleets.items() if name != gate})
    openings = (
        Opening(fleets[gate].server_class, Door.JUMP),
        *(Opening(server_class, Door.SHELL) for server_class in classes),
    )
    lifetime = timedelta(minutes=world.environment.access.certificate_minutes) + REFRESH
    return issue(world, openings, public_key=public_key, lifetime=lifetime)
