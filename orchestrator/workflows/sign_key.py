# SPDX-License-Identifier: Apache-2.0
"""Sign a person's own key for some hours, for programs that know ssh and nothing of us."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.config.models import Environment
from orchestrator.domain.door import Door, principal
from orchestrator.domain.key_ring import moment
from orchestrator.domain.ssh_key import PublicKey
from orchestrator.errors import ConfigError, Refused
from orchestrator.workflows.account import guard_account
from orchestrator.workflows.doors.login import Opening, Pass, issue
from orchestrator.workflows.doors.machines import bastion_fleet
from orchestrator.workflows.doors.world import DoorWorld
from orchestrator.workflows.keys import blocked_since, write_record

_DOORS = (Door.SHELL, Door.READER, Door.WRITER)


@dataclass(frozen=True, slots=True)
class SignRequest:
    """What somebody wants to do with a key of his own.

    Attributes:
        hours: As typed; empty for as many as the environment allows.
        fleets: Empty for all that the door is on.
    """

    hours: str = ""
    fleets: tuple[str, ...] = ()
    door: str = Door.SHELL.value


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate for somebody's own key, and what it says."""

    certificate: str
    key_id: str
    serial: int
    principals: tuple[str, ...]
    valid_until: str
    fingerprint: str

    def as_dict(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "key_id": self.key_id,
            "serial": str(self.serial),
            "principals": list(self.principals),
            "valid_until": self.valid_until,
            "key_fingerprint": self.fingerprint,
        }


def openings(environment: Environment, request: SignRequest) -> tuple[Opening, ...]:
    """Return what a request opens, the way through the bastion first.

    A machine takes the first of its doors that a certificate names, so there is one a class: whoever may work
    on the bastion itself with it does not go on from there.

    Raises:
        ConfigError: There is no such door or fleet, or the fleet has no such door.
    """
    if problems := tuple(f"keys.sign: {each}" for each in _problems(environment, request)):
        again = f"invoke keys.sign --environment {environment.name} --door shell"
        raise ConfigError("keys.sign", problems, next_command=again)
    door, bastion = Door(request.door), bastion_fleet(environment)
    fleets = request.fleets or _fleets_with(environment, door)
    classes = dict.fromkeys(environment.fleets[name].server_class for name in fleets)
    doors = tuple(Opening(each, door) for each in classes)
    if bastion in fleets:
        return doors
    return (Opening(environment.fleets[bastion].server_class, Door.JUMP), *doors)


def _problems(environment: Environment, request: SignRequest) -> Iterator[str]:
    names = [each.value for each in _DOORS]
    if request.door not in names:
        yield f"--door {request.door}: is none of {', '.join(names)}"
        return
    yield from _problems_of_fleets(environment, request.fleets, Door(request.door))
    if not _fleets_with(environment, Door(request.door)):
        yield f"--door {request.door}: {environment.name} has no fleet with that door"
    bastion = bastion_fleet(environment)
    if bastion in request.fleets and len(set(request.fleets)) > 1:
        yield f"--fleet {bastion}: alone, for a machine takes a certificate for one door"


def _problems_of_fleets(environment: Environment, fleets: Sequence[str], door: Door) -> Iterator[str]:
    for name in fleets:
        if name not in environment.fleets:
            known = ", ".join(sorted(environment.fleets)) or "none"
            yield f"--fleet {name}: {environment.name} has no such fleet, only {known}"
        elif door is not Door.SHELL and not environment.fleets[name].uses_database:
            yield f"--fleet {name}: does not use the database, so there is no door {door.value}"


def _fleets_with(environment: Environment, door: Door) -> tuple[str, ...]:
    return tuple(
        name
        for name, fleet in environment.fleets.items()
        if (fleet.uses_database if door is not Door.SHELL else not fleet.is_public)
    )


def lifetime(environment: Environment, hours: str) -> timedelta:
    """Return how long a key is signed for.

    Raises:
        ConfigError: It is no number, or more than the environment allows.
    """
    most = environment.access.signed_key_hours
    if not hours:
        return timedelta(hours=most)
    if not (hours.isascii() and hours.isdigit() and 1 <= int(hours) <= most):
        problem = f"keys.sign: --hours {hours}: must be a whole number from 1 to {most}"
        again = f"invoke keys.sign --environment {environment.name} --hours {most}"
        raise ConfigError("keys.sign", (problem,), next_command=again)
    return timedelta(hours=int(hours))


def sign(world: DoorWorld, key: PublicKey, request: SignRequest, *, is_confirmed: bool) -> Signed:
    """Return a certificate for a key, which is in the records by then.

    Raises:
        ConfigError: The request makes no sense.
        Refused: The operator is kept out, or a protected environment's writer was not confirmed.
    """
    environment = world.environment
    doors, valid_for = openings(environment, request), lifetime(environment, request.hours)
    if environment.protected and doors[-1].door is Door.WRITER and not is_confirmed:
        raise Refused(
            f"keys.sign {environment.name}",
            "the environment is protected, and the key would open its writer",
            next_command="the same with --door reader, or with --yes",
        )
    guard_account(environment, world.identity)
    _guard_not_blocked(world)
    issued = issue(world, doors, public_key=str(key), lifetime=valid_for)
    signed = _signed(environment.name, key, doors, issued)
    record = {key: value for key, value in signed.as_dict().items() if key not in ("key_id", "serial")}
    write_record(world, "key-signed", {**record, "certificate_serial": str(signed.serial)})
    return signed


def _guard_not_blocked(world: DoorWorld) -> None:
    who, environment = world.who, world.environment.name
    if since := blocked_since(world, who):
        raise Refused(
            f"keys.sign {environment}",
            f"{who} is blocked since {since}",
            next_command=f"invoke keys.unblock --environment {environment} --name {who}, by who decides it",
        )


def _signed(environment: str, key: PublicKey, doors: Sequence[Opening], issued: Pass) -> Signed:
    return Signed(
        certificate=issued.login.certificate,
        key_id=str(issued.key_id),
        serial=issued.serial,
        principals=tuple(principal(environment, each.server_class, each.door) for each in doors),
        valid_until=moment(issued.valid_before),
        fingerprint=key.fingerprint,
    )
