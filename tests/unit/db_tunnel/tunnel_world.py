# SPDX-License-Identifier: Apache-2.0
"""An environment whose machines and database are all fakes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from orchestrator.config.fleets import Fleet
from orchestrator.config.models import Environment
from orchestrator.config.network import Database, DatabaseMember
from orchestrator.domain.database_door import DatabasePlace, Endpoint
from orchestrator.domain.stack import StackState
from orchestrator.domain.tunnel_story import TunnelLook
from orchestrator.errors import NotFound
from orchestrator.ports import DoorMachine
from orchestrator.ssh.certificates import OpenSshCertificates
from orchestrator.workflows.db_tunnel import Outcome, Ready, Request, TunnelWorld, run
from orchestrator.workflows.doors.world import DoorWorld
from tests.fakes import ACCOUNT, START, FakeClock, FakeIdentity, FakeParameters, Recorded
from tests.fakes.doors import FakeAuditTrail, FakeAuthority, FakeDatabaseLogins
from tests.fakes.tunnels import FakeDatabaseClient, FakeTunnels

READER_HOST, WRITER_HOST = "db.cluster-ro-x.example", "db.cluster-x.example"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db"  # noqa: S105 - a name
OUTPUTS = {
    "ClusterEndpoint": WRITER_HOST,
    "ReaderEndpoint": READER_HOST,
    "ClusterPort": "3306",
    "MasterSecretArn": SECRET,
    "ClusterIdentifier": "slipway-shared",
}
READER = DatabasePlace(Endpoint.READER, READER_HOST, 3306, "levels", SECRET)
WRITER = DatabasePlace(Endpoint.WRITER, WRITER_HOST, 3306, "levels", SECRET)
CERTIFICATES = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
HOST_KEY = "ssh-ed25519 AAAA"


def fleet(server_class: str, **values: Any) -> Fleet:
    base = {"class": server_class, "instance_type": "t3.small", "min_size": 1, "max_size": 8}
    return Fleet.model_validate(base | values)


def environment(*, protected: bool = False) -> Environment:
    """Return an environment whose bastion may not reach the database, and two fleets that may."""
    return Environment(
        name="test",
        network="shared",
        region="us-east-1",
        account_id=ACCOUNT,
        config_bucket="slipway-test-config",
        protected=protected,
        fleets={
            "gate": fleet("bastion", public=True),
            "worker": fleet("worker", database=True),
            "api": fleet("api", database=True),
            "mailer": fleet("mailer"),
        },
    )


def machine(number: int, of_fleet: str = "api", zone: str = "a", *, age_s: float = 0.0) -> DoorMachine:
    return DoorMachine(
        instance_id=f"i-{of_fleet}{number}",
        fleet=of_fleet,
        zone=f"us-east-1{zone}",
        private_address=f"10.0.0.{number}",
        public_address=f"198.18.0.{number}" if of_fleet == "gate" else "",
        launched_at=START - timedelta(seconds=age_s),
    )


class FakeDirectory(Recorded):
    """Machines, as a test sets them: oldest first."""

    def __init__(self, *machines: DoorMachine) -> None:
        super().__init__()
        self.machines = machines

    def running(self, environment: str, fleet: str = "") -> tuple[DoorMachine, ...]:
        self._note(f"running {environment} {fleet}".strip())
        return tuple(each for each in self.machines if fleet in {"", each.fleet})


class DatabaseStacks(Recorded):
    """The stack of the network's database; nothing else of stacks is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[str, str] | None = dict(OUTPUTS)

    def get(self, stack: str) -> StackState:
        self._note(f"get {stack}")
        if self.outputs is None:
            raise NotFound("cloudformation", "DescribeStacks", "ValidationError", "it does not exist")
        return StackState(stack, "id", "CREATE_COMPLETE", START, outputs=self.outputs)


class SeenScreen:
    """Keeps what an operator sees."""

    def __init__(self) -> None:
        self.readies: list[Ready] = []
        self.hints: list[str] = []
        self.lines: list[str] = []
        self.looks: list[TunnelLook] = []
        self.outcomes: list[Outcome] = []

    def ready(self, ready: Ready) -> None:
        self.readies.append(ready)

    def hint(self, text: str) -> None:
        self.hints.append(text)

    def say(self, text: str) -> None:
        self.lines.append(text)

    def show(self, look: TunnelLook) -> None:
        self.looks.append(look)

    def closed(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


class TunnelLab:
    """The fakes, and the world that is made of them."""

    def __init__(self, *, protected: bool = False) -> None:
        self.clock = FakeClock()
        self.environment = environment(protected=protected)
        self.directory = FakeDirectory(
            machine(1, "gate"), machine(2, "worker"), machine(3), machine(4, zone="b")
        )
        self.parameters = FakeParameters()
        self.audit, self.logins, self.stacks = FakeAuditTrail(), FakeDatabaseLogins(), DatabaseStacks()
        self.logins.secrets[SECRET] = ("slipway", "a secret")
        self.tunnels, self.client, self.screen = FakeTunnels(self.clock), FakeDatabaseClient(), SeenScreen()
        self.database: Database | None = Database(
            name="levels",
            members=(DatabaseMember.model_validate({"id": "one", "class": "db.r6g.large", "tier": 0}),),
        )
        self.certificates_fetched = 0
        self.publish(*self.directory.machines)

    def publish(self, *machines: DoorMachine) -> None:
        """Let machines publish their host keys."""
        for each in machines:
            self.parameters.put(f"/slipway/test/host-keys/{each.fleet}/{each.instance_id}", HOST_KEY)

    def fetch_certificates(self) -> str:
        self.certificates_fetched += 1
        return CERTIFICATES

    @property
    def doors(self) -> DoorWorld:
        stacks: Any = self.stacks
        return DoorWorld(
            environment=self.environment,
            directory=self.directory,
            parameters=self.parameters,
            authority=FakeAuthority(),
            certificates=OpenSshCertificates(),
            identity=FakeIdentity(),
            stacks=stacks,
            audit=self.audit,
            logins=self.logins,
            clock=self.clock,
            operator="ann@laptop",
            run_id="db-tunnel-1",
            database_ca=self.fetch_certificates,
        )

    @property
    def world(self) -> TunnelWorld:
        return TunnelWorld(self.doors, self.database, self.tunnels, self.client)

    def run(self, request: Request) -> Outcome:
        return run(self.world, request, self.screen)


def asked(**values: Any) -> Request:
    """Return a request for the reader endpoint for eight hours, changed."""
    return Request(**({"endpoint": Endpoint.READER, "ttl": timedelta(hours=8)} | values))
