# SPDX-License-Identifier: Apache-2.0
"""Ways to the database, looked up anew each time: through a bastion and a machine of the chosen fleet.

However many machines run, host keys are asked for a handful of them, in one call.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.domain.database_door import VERB
from orchestrator.domain.door import Door
from orchestrator.errors import MachineMissing
from orchestrator.ports import DoorMachine, Hop, Login, Route
from orchestrator.workflows.db_tunnel.expiry import telling_expiry
from orchestrator.workflows.db_tunnel.world import Plan
from orchestrator.workflows.doors.hops import bastions, known_hops, unpublished
from orchestrator.workflows.doors.login import Opening, Pass, issue
from orchestrator.workflows.doors.machines import bastion_fleet
from orchestrator.workflows.doors.world import DoorWorld

# A rollout replaces old machines, so new ones come first; some of the oldest, if none of those is ready yet.
_NEWEST, _OLDEST, _BASTIONS = 6, 2, 2


class DatabaseRoutes:
    """Routes to one endpoint through one fleet."""

    def __init__(self, world: DoorWorld, plan: Plan) -> None:
        self._world = world
        self._plan = plan
        self._seen = plan.machines
        self.last_pass: Pass | None = None

    def find(self, *, avoid: frozenset[str] = frozenset()) -> tuple[Route, ...]:
        """Return ways, best first: other machines than those to avoid, then other zones, then newer ones."""
        with telling_expiry(f"{VERB} {self._world.environment.name}"):
            return self._find(avoid)

    def _find(self, avoid: frozenset[str]) -> tuple[Route, ...]:
        machines, self._seen = self._seen, None
        if machines is None:
            machines = self._world.directory.running(self._world.environment.name)
        fleet = bastion_fleet(self._world.environment)
        gates = [each for each in reversed(machines) if each.fleet == fleet][:_BASTIONS]
        chosen = candidates([each for each in machines if each.fleet == self._plan.fleet], avoid)
        if not chosen:
            raise self._nobody()
        hops = known_hops(self._world, [*gates, *chosen])
        first = [hops[each.instance_id] for each in gates if each.instance_id in hops]
        last = [hops[each.instance_id] for each in chosen if each.instance_id in hops]
        if not first:
            first = list(bastions(self._world, machines, what=VERB))
        if not last:
            raise unpublished(self._world, chosen[0], what=VERB)
        target = (self._plan.place.host, self._plan.place.port)
        return tuple(Route(hops, target) for hops in pairs(first, last, avoid))

    def login(self) -> Login:
        """Return a certificate for the way on through the bastion and for the machines' door."""
        environment = self._world.environment
        gate = environment.fleets[bastion_fleet(environment)].server_class
        door = self._plan.place.endpoint.door
        openings = (Opening(gate, Door.JUMP), Opening(self._plan.server_class, door))
        with telling_expiry(f"{VERB} {environment.name}"):
            issued = issue(self._world, openings)
        self.last_pass = issued
        return issued.login

    def _nobody(self) -> MachineMissing:
        environment, fleet = self._world.environment.name, self._plan.fleet
        return MachineMissing(
            f"{VERB} {environment}/{fleet}",
            "no machine of it runs",
            next_command=f"invoke rollout.status --environment {environment} --fleet {fleet}",
        )


def candidates(machines: Sequence[DoorMachine], avoid: frozenset[str]) -> tuple[DoorMachine, ...]:
    """Return the machines to try, best first.

    Args:
        machines: Oldest first.
        avoid: Instance ids; these and others of their zones come last.
    """
    zones = {each.zone for each in machines if each.instance_id in avoid}
    turns: dict[str, int] = {}
    ranked = []
    for machine in reversed(machines):
        turn = turns.get(machine.zone, 0)
        turns[machine.zone] = turn + 1
        ranked.append(((machine.instance_id in avoid, machine.zone in zones, turn), machine))
    # From each zone one, then from each the next: the second way should be somewhere else than the first.
    ordered = [machine for _, machine in sorted(ranked, key=lambda each: each[0])]
    oldest = [each for each in machines[:_OLDEST] if each not in ordered[:_NEWEST]]
    return (*ordered[:_NEWEST], *oldest)


def pairs(first: Sequence[Hop], last: Sequence[Hop], avoid: frozenset[str]) -> tuple[tuple[Hop, Hop], ...]:
    """Return every bastion with every machine, spread over the bastions; those to avoid come last."""
    found = [
        (first[(turn + index) % len(first)], machine)
        for turn in range(len(first))
        for index, machine in enumerate(last)
    ]
    return tuple(sorted(found, key=lambda hops: sum(hop.name in avoid for hop in hops)))
