# SPDX-License-Identifier: Apache-2.0
"""Choose machines: by fleet and number or zone, by instance id, the bastion, or all of a fleet. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.config.models import Environment
from orchestrator.errors import ConfigError, MachineMissing
from orchestrator.ports import DoorMachine

# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html: 8 hexadecimal digits, or 17.
_INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_TOLD_AT_MOST = 8


@dataclass(frozen=True, slots=True)
class Choice:
    """Which machines are meant, as typed.

    Attributes:
        index: Counts a fleet's machines from 1, oldest first; one that ends moves the later ones up.
        zone: A letter, or the zone's whole name.
    """

    fleet: str = ""
    index: str = ""
    zone: str = ""
    instance_id: str = ""
    is_bastion: bool = False
    is_all: bool = False


def bastion_fleet(environment: Environment) -> str:
    """Return the fleet that others are reached through: the environment's public one.

    Raises:
        ConfigError: There is none.
    """
    for name, fleet in environment.fleets.items():
        if fleet.is_public:
            return name
    path = f"environments/{environment.name}.yaml"
    raise ConfigError(path, (f"{path}: fleets: none is public, so there is no way in",))


def check(environment: Environment, choice: Choice, *, what: str) -> Choice:
    """Return a choice that makes sense, before anything is called; `--bastion` becomes its fleet.

    Args:
        what: The command, for the message: `ssh`.

    Raises:
        ConfigError: The words contradict each other, or name what the environment's file does not have.
    """
    problems = tuple(f"{what}: {each}" for each in _problems(environment, choice))
    if problems:
        private = [name for name, fleet in environment.fleets.items() if not fleet.is_public]
        fleet = choice.fleet if choice.fleet in environment.fleets else next(iter(private), "FLEET")
        again = f"invoke {what} --environment {environment.name} --fleet {fleet}"
        raise ConfigError(what, problems, next_command=again)
    if choice.is_bastion:
        return Choice(bastion_fleet(environment), choice.index, choice.zone, is_all=choice.is_all)
    return choice


def _problems(environment: Environment, choice: Choice) -> Iterator[str]:
    if bool(choice.fleet) + bool(choice.instance_id) + choice.is_bastion != 1:
        yield "name one of --fleet, --instance and --bastion"
    if choice.fleet and choice.fleet not in environment.fleets:
        known = ", ".join(sorted(environment.fleets)) or "none"
        yield f"--fleet {choice.fleet}: {environment.name} has no such fleet, only {known}"
    if choice.index and choice.zone:
        yield "--index and --zone exclude each other"
    yield from _problems_of_one(choice)


def _problems_of_one(choice: Choice) -> Iterator[str]:
    if choice.instance_id and not _INSTANCE_ID.fullmatch(choice.instance_id):
        yield f"--instance {choice.instance_id}: is no instance id"
    if choice.instance_id and (choice.index or choice.zone or choice.is_all):
        yield "--instance names a machine already; --index, --zone and --all are for a fleet"
    if choice.index and choice.is_all:
        yield "--index and --all exclude each other"
    if choice.index and not (choice.index.isascii() and choice.index.isdigit() and int(choice.index)):
        yield f"--index {choice.index}: must be a whole number from 1"


def choose(
    environment: Environment, machines: Sequence[DoorMachine], choice: Choice, *, what: str
) -> tuple[DoorMachine, ...]:
    """Return the machines that are meant, at least one; one only unless all are meant.

    Args:
        machines: Those that run, of all fleets or of the chosen one, oldest first.
        choice: As `check` returned it.

    Raises:
        MachineMissing: There is none; the message says what there is instead.
    """
    if choice.instance_id:
        found = tuple(each for each in machines if each.instance_id == choice.instance_id)
        return found or _none(environment, machines, f"{what} {choice.instance_id}", "does not run")
    of_fleet = tuple(each for each in machines if each.fleet == choice.fleet)
    named = f"{what} {environment.name}/{choice.fleet}"
    found = of_fleet
    if choice.zone:
        found = tuple(each for each in of_fleet if is_in_zone(each, choice.zone))
        if not found:
            return _none(environment, of_fleet, named, f"no machine runs in zone {choice.zone}")
    if choice.index:
        found = of_fleet[int(choice.index) - 1 : int(choice.index)]
        if not found:
            return _none(environment, of_fleet, named, f"there is no machine number {choice.index}")
    if not found:
        return _none(environment, machines, named, "no machine of it runs")
    return found if choice.is_all else found[:1]


def is_in_zone(machine: DoorMachine, zone: str) -> bool:
    """Tell whether a machine is in a zone, named by its letter or whole."""
    return zone in {machine.zone, machine.zone[-1:]}


def numbered(machines: Iterable[DoorMachine]) -> dict[str, str]:
    """Return the names that machines have for people, `api-1`, by instance id; `machines` oldest first."""
    counts: dict[str, int] = {}
    names = {}
    for machine in machines:
        counts[machine.fleet] = counts.get(machine.fleet, 0) + 1
        names[machine.instance_id] = f"{machine.fleet}-{counts[machine.fleet]}"
    return names


def _none(
    environment: Environment, instead: Sequence[DoorMachine], what: str, cause: str
) -> tuple[DoorMachine, ...]:
    raise MachineMissing(
        what,
        cause,
        state=_told(instead),
        next_command=f"invoke rollout.status --environment {environment.name}, which shows all machines",
    )


def _told(machines: Sequence[DoorMachine]) -> str:
    if not machines:
        return "nothing runs there"
    names = numbered(machines)
    told = [f"{names[each.instance_id]} ({each.instance_id}, {each.zone})" for each in machines]
    more = f" and {len(told) - _TOLD_AT_MOST} more" if len(told) > _TOLD_AT_MOST else ""
    return f"running: {', '.join(told[:_TOLD_AT_MOST])}{more}"
