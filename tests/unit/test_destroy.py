# SPDX-License-Identifier: Apache-2.0
"""What `invoke destroy` deletes, in which order, and what it never does."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from orchestrator.errors import Refused, Stranded
from orchestrator.workflows import destroy
from orchestrator.workflows.provision.world import Network, Request
from tests.unit.provision_world import RUN_ID, Lab, network_template, queues_template, state_template

NETWORK = Request("network lab", "invoke destroy --network lab", Network.YES, ())
ENVIRONMENT = Request("environment dev", "invoke destroy --environment dev", Network.NO, ("dev",))


@pytest.fixture
def lab() -> Lab:
    lab = Lab()
    state = state_template()
    body = json.loads(state.text)
    body["Resources"]["ConfigBucket"]["DeletionPolicy"] = "Retain"
    kept = replace(state, text=json.dumps(body))
    lab.templates.of_environments["dev"] = (kept, *lab.templates.of_environments["dev"][1:])
    lab.have_all()
    return lab


def run(lab: Lab, request: Request) -> tuple[str, ...]:
    world = lab.world()
    plan = destroy.observe_and_plan(world, request)
    destroy.confirm(request, is_confirmed=True)
    return destroy.apply(world, request, plan, lab.reporter).lines()


def test_the_plan_says_what_goes_and_what_stays(lab: Lab) -> None:
    assert destroy.observe_and_plan(lab.world(), ENVIRONMENT).lines() == (
        "environment dev:",
        "",
        "slipway-dev-fleets     delete: 1 go",
        "slipway-dev-functions  delete: 1 go",
        "slipway-dev-queues     delete: 1 go",
        "slipway-dev-state      delete: 0 go, 1 stay",
        "    = AWS::S3::Bucket  ConfigBucket",
    )


def test_readers_go_before_what_they_read(lab: Lab) -> None:
    lines = run(lab, ENVIRONMENT)
    deleted = lab.made("delete")
    assert deleted.index("slipway-dev-functions") < deleted.index("slipway-dev-state")
    assert deleted.index("slipway-dev-fleets") < deleted.index("slipway-dev-queues")
    assert sorted(lab.stacks.statuses) == ["slipway-lab-network", "slipway-lab-security"]
    assert any(
        line.startswith("slipway-dev-state: deleted in ") and line.endswith("kept: ConfigBucket")
        for line in lines
    )
    assert lab.record()["outcome"] == "done"
    assert destroy.observe_and_plan(lab.world(), ENVIRONMENT).lines() == (
        "environment dev: nothing to delete",
    )


def test_a_network_stays_while_an_environment_stands_on_it(lab: Lab) -> None:
    with pytest.raises(Refused) as caught:
        destroy.observe_and_plan(lab.world(), NETWORK)
    assert caught.value.next_command == "invoke destroy --environment dev"
    run(lab, ENVIRONMENT)
    run(lab, NETWORK)
    assert lab.stacks.statuses == {}


@pytest.mark.parametrize("request_", [NETWORK, ENVIRONMENT], ids=["network", "environment"])
def test_what_is_protected_is_never_destroyed(lab: Lab, request_: Request) -> None:
    lab.is_protected = True
    with pytest.raises(Refused, match="never destroyed"):
        destroy.observe_and_plan(lab.world(), request_)


def test_nothing_is_deleted_without_yes() -> None:
    with pytest.raises(Refused) as caught:
        destroy.confirm(ENVIRONMENT, is_confirmed=False)
    assert caught.value.next_command == "invoke destroy --environment dev --dry-run, then the same with --yes"


def test_termination_protection_is_not_switched_off(lab: Lab) -> None:
    lab.stacks.protect("slipway-dev-queues")
    with pytest.raises(Refused, match="termination protection is on"):
        destroy.observe_and_plan(lab.world(), ENVIRONMENT)


def test_a_stack_that_is_updated_is_not_deleted(lab: Lab) -> None:
    lab.stacks.have(queues_template(), "UPDATE_IN_PROGRESS")
    with pytest.raises(Refused, match="UPDATE_IN_PROGRESS"):
        destroy.observe_and_plan(lab.world(), ENVIRONMENT)


def test_what_can_not_be_deleted_is_told_and_stops_what_comes_after(lab: Lab) -> None:
    lab.stacks.breaks = {"Variants": "it is in use"}
    with pytest.raises(Stranded) as caught:
        run(lab, ENVIRONMENT)
    assert caught.value.cause == "DELETE_FAILED Variants (AWS::Lambda::Function): it is in use"
    assert lab.stacks.statuses["slipway-dev-functions"] == "DELETE_FAILED"
    assert lab.stacks.statuses["slipway-dev-state"] == "CREATE_COMPLETE"
    assert lab.record(RUN_ID)["outcome"].startswith("failed: destroy slipway-dev-functions")
    lab.stacks.breaks = {}
    run(lab, ENVIRONMENT)
    assert "slipway-dev-state" not in lab.stacks.statuses


def test_a_deletion_under_way_is_followed_to_its_end(lab: Lab) -> None:
    run(lab, ENVIRONMENT)
    del lab.stacks.stacks["slipway-lab-security"]
    network = lab.stacks.stacks["slipway-lab-network"]
    lab.stacks.delete(network.state.stack_id)
    run(lab, NETWORK)
    assert lab.made("delete").count("slipway-lab-network") == 1
    assert lab.stacks.statuses == {}


def test_what_was_only_reviewed_is_deleted_too(lab: Lab) -> None:
    run(lab, ENVIRONMENT)
    lab.stacks.have(network_template(), "REVIEW_IN_PROGRESS")
    run(lab, NETWORK)
    assert lab.stacks.statuses == {}
