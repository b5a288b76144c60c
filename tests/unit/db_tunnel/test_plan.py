# SPDX-License-Identifier: Apache-2.0
"""Where a tunnel goes and through which fleet, and what is refused before anything opens."""

from __future__ import annotations

import pytest

from orchestrator.domain.database_door import Endpoint
from orchestrator.errors import ConfigError, MachineMissing, Refused
from orchestrator.workflows.db_tunnel.plan import observe_and_plan
from orchestrator.workflows.db_tunnel.world import Plan
from tests.unit.db_tunnel.tunnel_world import READER, WRITER, TunnelLab, asked, fleet, machine


def test_the_fleet_with_the_most_machines_is_chosen() -> None:
    lab = TunnelLab()
    assert observe_and_plan(lab.world, asked()) == Plan(READER, "api", "api", lab.directory.machines)
    lab.directory.machines = (machine(1, "gate"), machine(2, "worker"), machine(3, "worker"), machine(4))
    assert observe_and_plan(lab.world, asked()) == Plan(READER, "worker", "worker", lab.directory.machines)


def test_a_fleet_can_be_named_and_is_not_looked_for() -> None:
    lab = TunnelLab()
    assert observe_and_plan(lab.world, asked(via="worker")) == Plan(READER, "worker", "worker")
    assert (lab.directory.calls, lab.stacks.calls) == ([], ["get slipway-shared-database"])


def test_the_writer_is_had_by_its_name() -> None:
    planned = observe_and_plan(TunnelLab().world, asked(endpoint=Endpoint.WRITER, via="api"))
    assert planned == Plan(WRITER, "api", "api")


def test_the_writer_of_a_protected_environment_wants_a_yes() -> None:
    lab = TunnelLab(protected=True)
    with pytest.raises(Refused) as caught:
        observe_and_plan(lab.world, asked(endpoint=Endpoint.WRITER))
    assert str(caught.value) == (
        "error: db-tunnel test: the environment is protected, and who is connected to the writer can change "
        "its data.\n"
        "state: nothing changed.\n"
        "next: invoke db-tunnel --environment test, for the reader endpoint; or the same as before with --yes"
    )
    assert (lab.stacks.calls, lab.directory.calls) == ([], [])
    assert observe_and_plan(lab.world, asked(endpoint=Endpoint.WRITER, is_confirmed=True)).place == WRITER
    assert observe_and_plan(lab.world, asked()).place == READER


@pytest.mark.parametrize(
    ("via", "problem"),
    [
        ("mailer", "fleets.mailer: may not reach the database; those that may: worker, api"),
        ("gate", "fleets.gate: may not reach the database; those that may: worker, api"),
        ("nobody", "fleets.nobody: there is no such fleet; those that may: worker, api"),
    ],
)
def test_a_fleet_that_may_not_reach_the_database_is_no_way(via: str, problem: str) -> None:
    lab = TunnelLab()
    with pytest.raises(ConfigError) as caught:
        observe_and_plan(lab.world, asked(via=via))
    assert caught.value.problems == (f"environments/test.yaml: {problem}",)
    assert caught.value.next_command == "invoke db-tunnel --environment test --via worker"
    assert lab.stacks.calls == []


def test_a_network_without_a_database_has_no_door() -> None:
    lab = TunnelLab()
    lab.database = None
    with pytest.raises(ConfigError) as caught:
        observe_and_plan(lab.world, asked())
    assert caught.value.problems == ("networks/shared.yaml: database: there is none",)


def test_an_environment_without_a_fleet_that_uses_it_has_no_door() -> None:
    lab = TunnelLab()
    fleets = {"gate": fleet("bastion", public=True), "mailer": fleet("mailer")}
    lab.environment = lab.environment.model_copy(update={"fleets": fleets})
    with pytest.raises(ConfigError) as caught:
        observe_and_plan(lab.world, asked())
    path = "environments/test.yaml"
    assert caught.value.problems == (f"{path}: fleets: none has database: true, so there is no way to it",)


def test_a_cluster_that_was_never_provisioned_is_named() -> None:
    lab = TunnelLab()
    lab.stacks.outputs = None
    with pytest.raises(Refused) as caught:
        observe_and_plan(lab.world, asked())
    assert caught.value.cause == "there is no stack slipway-shared-database yet"
    assert caught.value.next_command == "invoke provision --network shared"


def test_where_no_machine_runs_that_may_reach_it_that_is_told() -> None:
    lab = TunnelLab()
    lab.directory.machines = (machine(1, "gate"), machine(2, "mailer"))
    with pytest.raises(MachineMissing) as caught:
        observe_and_plan(lab.world, asked())
    assert caught.value.cause == "no machine runs of worker and api, which alone may reach the database"
