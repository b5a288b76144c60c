# SPDX-License-Identifier: Apache-2.0
"""Decide where a tunnel goes and through which fleet, and refuse what must not be."""

from __future__ import annotations

from orchestrator.domain.database_door import (
    VERB,
    DatabasePlace,
    Endpoint,
    Passage,
    choose_passage,
    place_of,
)
from orchestrator.domain.stack import NetworkStack, stack_name
from orchestrator.errors import ConfigError, MachineMissing, NotFound, Refused
from orchestrator.ports import DoorMachine
from orchestrator.workflows.account import guard_account
from orchestrator.workflows.db_tunnel.world import Plan, Request, TunnelWorld


def observe_and_plan(world: TunnelWorld, request: Request) -> Plan:
    """Return where the tunnel goes.

    Raises:
        ConfigError: The network has no database, or no such fleet may reach it.
        Refused: The environment is protected and nobody confirmed, the credentials are another account's, or
            there is no cluster yet.
        MachineMissing: No machine runs that may reach it.
    """
    fleets = _fleets(world, request)
    _confirm(world, request)
    guard_account(world.doors.environment, world.doors.identity)
    place = _place(world, request.endpoint)
    machines: tuple[DoorMachine, ...] | None = None
    if len(fleets) > 1:
        machines = world.doors.directory.running(world.doors.environment.name)
        fleets = (_most_alive(world, fleets, machines),)
    fleet = fleets[0]
    return Plan(place, fleet, world.doors.environment.fleets[fleet].server_class, machines)


def _fleets(world: TunnelWorld, request: Request) -> tuple[str, ...]:
    """Return the fleets that may be gone through: one if it is named."""
    environment = world.doors.environment
    path = f"environments/{environment.name}.yaml"
    if world.database is None:
        network = f"networks/{environment.network}.yaml"
        raise ConfigError(network, (f"{network}: database: there is none",))
    able = tuple(name for name, fleet in environment.fleets.items() if fleet.uses_database)
    if not able:
        raise ConfigError(path, (f"{path}: fleets: none has database: true, so there is no way to it",))
    if not request.via:
        return able
    if request.via not in able:
        cause = (
            "may not reach the database" if request.via in environment.fleets else "there is no such fleet"
        )
        problem = f"{path}: fleets.{request.via}: {cause}; those that may: {', '.join(able)}"
        again = f"invoke {VERB} --environment {environment.name} --via {able[0]}"
        raise ConfigError(path, (problem,), next_command=again)
    return (request.via,)


def _confirm(world: TunnelWorld, request: Request) -> None:
    environment = world.doors.environment
    if not environment.protected or request.endpoint is not Endpoint.WRITER or request.is_confirmed:
        return
    command = f"invoke {VERB} --environment {environment.name}"
    raise Refused(
        f"{VERB} {environment.name}",
        "the environment is protected, and who is connected to the writer can change its data",
        next_command=f"{command}, for the reader endpoint; or the same as before with --yes",
    )


def _place(world: TunnelWorld, endpoint: Endpoint) -> DatabasePlace:
    network = world.doors.environment.network
    stack = stack_name(network, NetworkStack.DATABASE)
    name = world.database.name if world.database else ""
    again = f"invoke provision --network {network}"
    try:
        outputs = world.doors.stacks.get(stack).outputs
    except NotFound as error:
        raise Refused(f"database {name}", f"there is no stack {stack} yet", next_command=again) from error
    return place_of(outputs, endpoint, name=name, stack=stack)


def _most_alive(world: TunnelWorld, fleets: tuple[str, ...], machines: tuple[DoorMachine, ...]) -> str:
    running = [Passage(fleet, sum(each.fleet == fleet for each in machines)) for fleet in fleets]
    chosen = choose_passage(running)
    if chosen is None:
        raise MachineMissing(
            f"{VERB} {world.doors.environment.name}",
            f"no machine runs of {' and '.join(fleets)}, which alone may reach the database",
            next_command=f"invoke rollout.status --environment {world.doors.environment.name}",
        )
    return chosen.fleet
