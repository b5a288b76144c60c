# SPDX-License-Identifier: Apache-2.0
"""Plan a visit to machines' shells: which machines, through which bastions, and whether it makes sense."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.domain.door import Door
from orchestrator.errors import ConfigError
from orchestrator.ports import DoorMachine, Hop
from orchestrator.workflows.account import guard_account
from orchestrator.workflows.doors.hops import bastions, known_hops, unpublished
from orchestrator.workflows.doors.login import Opening
from orchestrator.workflows.doors.machines import Choice, bastion_fleet, check, choose, numbered
from orchestrator.workflows.doors.world import DoorWorld

VERB = "ssh"
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class ShellRequest:
    """What to do on which machines.

    Attributes:
        command: Empty for a shell.
        user: Whom to log in as; empty for the environment's usual one.
        is_captured: Return what a command says instead of showing it.
    """

    choice: Choice
    command: str = ""
    user: str = ""
    is_captured: bool = False


@dataclass(frozen=True, slots=True)
class ShellPlan:
    """The machines, and the way there.

    Attributes:
        names: What people call the machines, `api-1`, by instance id.
        hops: By instance id; machines whose host keys nobody knows have none.
        bastions: In the order to try; none where the machines are bastions themselves.
    """

    machines: tuple[DoorMachine, ...]
    names: Mapping[str, str]
    hops: Mapping[str, Hop]
    bastions: tuple[Hop, ...]
    openings: tuple[Opening, ...]
    user: str

    @property
    def longest_name(self) -> int:
        """Return the length of the longest name of a machine."""
        return max(len(self.names[each.instance_id]) for each in self.machines)


def observe_and_plan(world: DoorWorld, request: ShellRequest) -> ShellPlan:
    """Return what a request means, with a call or two for any number of machines.

    Raises:
        ConfigError: The request contradicts itself; nothing was called.
        Refused: The credentials are another account's.
        MachineMissing: There is no such machine, or it is not ready yet.
    """
    environment = world.environment
    choice = _checked(world, request)
    guard_account(environment, world.identity)
    gate = bastion_fleet(environment)
    is_direct = choice.fleet == gate
    running = world.directory.running(environment.name, gate if is_direct else "")
    machines = choose(environment, running, choice, what=VERB)
    is_direct = machines[0].fleet == gate
    hops = known_hops(world, machines, user=request.user)
    if len(machines) == 1 and not hops:
        raise unpublished(world, machines[0], what=VERB)
    opening = Opening(_class(world, machines[0].fleet), Door.SHELL)
    return ShellPlan(
        machines=machines,
        names=numbered(running),
        hops=hops,
        bastions=() if is_direct else bastions(world, running, what=VERB),
        openings=(opening,) if is_direct else (Opening(_class(world, gate), Door.JUMP), opening),
        user=request.user or environment.access.user,
    )


def _checked(world: DoorWorld, request: ShellRequest) -> Choice:
    problems = tuple(f"{VERB}: {each}" for each in _problems(request))
    if problems:
        again = f"invoke {VERB} --environment {world.environment.name} --fleet FLEET --command COMMAND"
        raise ConfigError(VERB, problems, next_command=again)
    return check(world.environment, request.choice, what=VERB)


def _problems(request: ShellRequest) -> Iterator[str]:
    if request.choice.is_all and not request.command:
        yield "--all needs a --command: a terminal fits one machine"
    if request.is_captured and not request.command:
        yield "--json needs a --command"
    if request.user and not _USER.fullmatch(request.user):
        yield f"--user {request.user}: is no name of a user"


def _class(world: DoorWorld, fleet: str) -> str:
    """Return the class of a fleet; of one that the environment's file has no more, by its name."""
    known = world.environment.fleets.get(fleet)
    return known.server_class if known else fleet
