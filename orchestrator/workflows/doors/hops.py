# SPDX-License-Identifier: Apache-2.0
"""Make hops of machines: where they are reached, and the host keys that they published at boot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.domain.door import host_keys_path
from orchestrator.errors import MachineMissing
from orchestrator.ports import DoorMachine, Hop
from orchestrator.workflows.doors.machines import bastion_fleet
from orchestrator.workflows.doors.world import DoorWorld


def known_hops(world: DoorWorld, machines: Sequence[DoorMachine], *, user: str = "") -> Mapping[str, Hop]:
    """Return hops by instance id; machines that have not published their host keys yet are left out.

    Args:
        user: Whom to log in as; empty for the environment's usual one.
    """
    paths = {
        each.instance_id: f"{host_keys_path(world.environment.name, each.fleet)}/{each.instance_id}"
        for each in machines
    }
    values = world.parameters.get(list(paths.values()))
    keys = {instance_id: host_keys(values.get(path, "")) for instance_id, path in paths.items()}
    bastion = bastion_fleet(world.environment)
    return {
        each.instance_id: Hop(
            name=each.instance_id,
            # A bastion is reached from outside, the others through it.
            address=each.public_address if each.fleet == bastion else each.private_address,
            user=user or world.environment.access.user,
            host_keys=keys[each.instance_id],
        )
        for each in machines
        if keys[each.instance_id]
    }


def hop(world: DoorWorld, machine: DoorMachine, *, what: str, user: str = "") -> Hop:
    """Return the hop of one machine.

    Raises:
        MachineMissing: It has not published its host keys yet.
    """
    found = known_hops(world, [machine], user=user)
    if machine.instance_id not in found:
        raise unpublished(world, machine, what=what)
    return found[machine.instance_id]


def bastions(world: DoorWorld, machines: Sequence[DoorMachine], *, what: str) -> tuple[Hop, ...]:
    """Return the bastions among machines, newest first: those that a rollout takes away are older.

    Raises:
        MachineMissing: None runs, or none has published its host keys yet.
    """
    fleet = bastion_fleet(world.environment)
    running = [each for each in reversed(machines) if each.fleet == fleet]
    found = known_hops(world, running)
    if not running:
        raise MachineMissing(
            f"{what} {world.environment.name}/{fleet}",
            "no bastion runs, and it is the only way in",
            state="the environment's machines can't be reached",
            next_command=f"invoke rollout.status --environment {world.environment.name} --fleet {fleet}",
        )
    if not found:
        raise unpublished(world, running[0], what=what)
    return tuple(found.values())


def unpublished(world: DoorWorld, machine: DoorMachine, *, what: str) -> MachineMissing:
    """Return the error about a machine whose host keys are not known."""
    return MachineMissing(
        f"{what} {machine.instance_id}",
        f"{machine.fleet}'s machine has not published its host keys, and nobody is trusted without",
        state=f"running since {machine.launched_at:%Y-%m-%d %H:%M:%S} UTC; it publishes them as it boots",
        next_command="try again in a minute; "
        f"if it stays so, invoke rollout --environment {world.environment.name} --fleet {machine.fleet}",
    )


def host_keys(value: str) -> tuple[str, ...]:
    """Return the lines of a parameter with host keys."""
    return tuple(line for each in value.splitlines() if (line := each.strip()))
