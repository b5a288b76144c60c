# SPDX-License-Identifier: Apache-2.0
"""An environment with a bastion, two fleets that use the database and one that does not, and its doors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.config.fleets import Fleet
from orchestrator.config.models import Environment
from orchestrator.ssh.certificates import OpenSshCertificates
from orchestrator.workflows.doors.world import DoorWorld
from tests.fakes import ACCOUNT, FakeAuditTrail, FakeAuthority, FakeClock, FakeIdentity, FakeParameters

RUN = "keys-20260101T120000-abcdef"


@dataclass
class KeyLab:
    """The fakes, and the worlds that are made of them."""

    is_protected: bool = False

    @property
    def records(self) -> list[tuple[str, Mapping[str, object]]]:
        """Return what is kept of what was done, by the names of its objects."""
        return list(self.trail.objects.items())

    def __post_init__(self) -> None:
        self.clock, self.parameters, self.identity = FakeClock(), FakeParameters(), FakeIdentity()
        self.authority, self.trail = FakeAuthority(), FakeAuditTrail()
        self.environment = Environment(
            name="dev",
            network="nonproduction",
            region="us-east-1",
            account_id=ACCOUNT,
            config_bucket="slipway-dev-config",
            protected=self.is_protected,
            fleets={
                "gate": fleet("bastion", public=True),
                "api": fleet("api", database=True),
                "api-canary": fleet("api", database=True),
                "worker": fleet("worker", database=True),
                "mailer": fleet("mailer"),
            },
        )

    @property
    def world(self) -> DoorWorld:
        """Return the world of one command; what keys never need is not there."""
        absent: Any = None
        return DoorWorld(
            environment=self.environment,
            directory=absent,
            parameters=self.parameters,
            authority=self.authority,
            certificates=OpenSshCertificates(),
            identity=self.identity,
            stacks=absent,
            audit=self.trail,
            logins=absent,
            clock=self.clock,
            operator="ann@laptop",
            run_id=RUN,
            database_ca=absent,
        )


def fleet(server_class: str, **values: Any) -> Fleet:
    """Return a fleet of a class."""
    base = {"class": server_class, "instance_type": "t3.small", "min_size": 1, "max_size": 2}
    return Fleet.model_validate(base | values)
