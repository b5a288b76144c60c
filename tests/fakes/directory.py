# SPDX-License-Identifier: Apache-2.0
"""Machines of fleets, as tags tell them."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.ports import DoorMachine
from tests.fakes.basics import START, Recorded


class FakeDirectory(Recorded):
    """Running machines, by environment."""

    def __init__(self) -> None:
        super().__init__()
        self.machines: dict[str, list[DoorMachine]] = {}

    def have(
        self,
        fleet: str,
        instance_id: str,
        *,
        environment: str = "sandbox",
        zone: str = "us-east-1a",
        minute: int = 0,
    ) -> DoorMachine:
        """Let a machine run, launched so many minutes after the start."""
        number = sum(map(len, self.machines.values())) + 1
        machine = DoorMachine(
            instance_id=instance_id,
            fleet=fleet,
            zone=zone,
            private_address=f"10.0.0.{number}",
            public_address=f"203.0.113.{number}" if fleet == "bastion" else "",
            launched_at=START + timedelta(minutes=minute),
        )
        self.machines.setdefault(environment, []).append(machine)
        return machine

    def running(self, environment: str, fleet: str = "") -> tuple[DoorMachine, ...]:
        self._note(f"running {environment} {fleet}".rstrip())
        found = [each for each in self.machines.get(environment, []) if fleet in {"", each.fleet}]
        return tuple(sorted(found, key=lambda each: (each.launched_at, each.instance_id)))
