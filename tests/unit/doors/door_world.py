# SPDX-License-Identifier: Apache-2.0
"""An environment with a bastion and machines behind it, whose shells are fakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from orchestrator.config.fleets import Fleet
from orchestrator.config.models import Environment
from orchestrator.errors import DoorError
from orchestrator.ports import CommandResult, DoorMachine, Hop, Login, OnMachineLine
from orchestrator.ssh.certificates import OpenSshCertificates
from orchestrator.workflows.doors.world import DoorWorld
from tests.fakes import (
    ACCOUNT,
    FakeAuditTrail,
    FakeAuthority,
    FakeClock,
    FakeDatabaseLogins,
    FakeIdentity,
    FakeParameters,
    FakeStacks,
    Recorded,
)
from tests.fakes.directory import FakeDirectory

RUN = "ssh-20260101T120000-abc123"
HOST_KEYS = "ssh-ed25519 AAAA\nssh-rsa BBBB\n"
BASTION, OLD_BASTION = "i-0000000000000000b", "i-0000000000000000a"
API_1, API_2, API_3 = "i-00000000000000001", "i-00000000000000002", "i-00000000000000003"
WORKER = "i-00000000000000009"


def fleet(server_class: str, **values: Any) -> Fleet:
    base = {"class": server_class, "instance_type": "t3.small", "min_size": 1, "max_size": 8}
    return Fleet.model_validate(base | values)


def environment(**changes: Any) -> Environment:
    return Environment(
        **{
            "name": "sandbox",
            "network": "shared",
            "region": "us-east-1",
            "account_id": ACCOUNT,
            "config_bucket": "slipway-sandbox-config",
            "fleets": {
                "bastion": fleet("gate", public=True),
                "api": fleet("api"),
                "worker": fleet("jobs"),
            },
            **changes,
        }
    )


class DoorLab:
    """A world of doors: one bastion, three machines of `api` and one of `worker`."""

    def __init__(self, **changes: Any) -> None:
        self.environment = environment(**changes)
        self.clock = FakeClock()
        self.directory = FakeDirectory()
        self.parameters = FakeParameters()
        self.authority = FakeAuthority()
        self.audit = FakeAuditTrail()
        self.identity = FakeIdentity(name="assumed-role/operator/ann")
        self.have("bastion", BASTION, zone="us-east-1a", minute=1)
        self.have("api", API_3, zone="us-east-1b", minute=9)
        self.have("api", API_2, zone="us-east-1b", minute=5)
        self.have("api", API_1, zone="us-east-1a", minute=5)
        self.have("worker", WORKER, zone="us-east-1c", minute=2)

    def have(self, of_fleet: str, instance_id: str, *, has_keys: bool = True, **values: Any) -> DoorMachine:
        """Let a machine run, which has published its host keys or not yet."""
        if has_keys:
            self.parameters.values[self.keys_of(of_fleet, instance_id)] = HOST_KEYS
        return self.directory.have(of_fleet, instance_id, **values)

    def keys_of(self, of_fleet: str, instance_id: str) -> str:
        return f"/slipway/sandbox/host-keys/{of_fleet}/{instance_id}"

    def forget_keys(self, of_fleet: str, instance_id: str) -> None:
        del self.parameters.values[self.keys_of(of_fleet, instance_id)]

    def end(self, instance_id: str) -> None:
        """Let a machine run no more."""
        self.directory.machines["sandbox"] = [
            each for each in self.directory.machines["sandbox"] if each.instance_id != instance_id
        ]

    @property
    def world(self) -> DoorWorld:
        return DoorWorld(
            environment=self.environment,
            directory=self.directory,
            parameters=self.parameters,
            authority=self.authority,
            certificates=OpenSshCertificates(),
            identity=self.identity,
            stacks=FakeStacks(self.clock),
            audit=self.audit,
            logins=FakeDatabaseLogins(),
            clock=self.clock,
            operator="ann@laptop",
            run_id=RUN,
            database_ca=lambda: "",
        )


Act = Callable[[Hop, str, OnMachineLine], int]


class FakeDoorShells(Recorded):
    """Ways to machines; `act` is what machines do with a command."""

    def __init__(self, act: Act | None = None, error: DoorError | None = None) -> None:
        super().__init__()
        self.act = act or (lambda hop, command, on_line: 0)
        self.error = error
        self.opened: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self.logins: list[Login] = []
        self.attended: list[tuple[Hop, str]] = []
        self.is_stopped = self.is_closed = False
        self.via = ""

    @contextmanager
    def open(self, bastions: Sequence[Hop], targets: Sequence[Hop], login: Login) -> Iterator[FakeDoorShells]:
        self.opened.append((tuple(each.name for each in bastions), tuple(each.name for each in targets)))
        self.logins.append(login)
        if self.error:
            raise self.error
        self.via = bastions[0].name if bastions else ""
        try:
            yield self
        finally:
            self.is_closed = True

    def attend(self, hop: Hop, command: str = "") -> int:
        self.attended.append((hop, command))
        return self.act(hop, command, lambda line, *, is_error: None)

    def run(self, hop: Hop, command: str, *, on_line: OnMachineLine) -> CommandResult:
        told: dict[bool, list[str]] = {False: [], True: []}

        def note(line: str, *, is_error: bool) -> None:
            told[is_error].append(f"{line}\n")
            on_line(line, is_error=is_error)

        code = self.act(hop, command, note)
        return CommandResult(code, "".join(told[False]), "".join(told[True]))

    def stop(self) -> None:
        self.is_stopped = True


class FakeScreen:
    """Keeps what is shown."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.lines: list[tuple[str, str, str, bool]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def line(self, name: str, instance_id: str, line: str, *, is_error: bool) -> None:
        self.lines.append((name, instance_id, line, is_error))
