# SPDX-License-Identifier: Apache-2.0
"""How a fleet is, as an operator in a hurry reads it."""

from __future__ import annotations

import json

import pytest

from orchestrator.domain.refresh import RefreshPreferences, RefreshRequest
from orchestrator.domain.rollout.progress import Progress
from orchestrator.workflows import rollout
from orchestrator.workflows.rollout import controls
from orchestrator.workflows.rollout.render_status import status_document, status_lines
from tests.unit.rollout_world import API, Lab

ROLL = "invoke rollout --environment dev --fleet api"


def shown(lab: Lab) -> str:
    lines = status_lines(rollout.status(lab.world(), API))
    assert max(map(len, lines)) <= 100, max(lines, key=len)
    return "\n".join(lines)


def killed_at_the_checkpoint(lab: Lab) -> None:
    """Roll until the checkpoint is reached, and be killed there: the lock is left to whoever is next."""

    def show(look: Progress) -> None:
        if look.checkpoint:
            raise KeyboardInterrupt

    world = lab.world()
    plan = rollout.observe_and_plan(world, API)
    with pytest.raises(KeyboardInterrupt):
        rollout.apply(world, plan, lab.reporter, show)


def test_a_fleet_at_rest_says_what_runs_and_what_can_be_done() -> None:
    text = shown(Lab())
    assert text.startswith("dev/api: nothing is under way\n")
    assert "fleet        4 in service, 4 desired (0 to 8), group slipway-dev-api" in text
    assert "4 machines of version 1: ami-00000000000000001, which the group names" in text
    assert "pointer      ami-00000000000000001" in text
    assert text.endswith(f"next         {ROLL} --dry-run, to foresee one")


def test_a_rollout_without_its_command_asks_for_somebody_to_guard_it() -> None:
    lab = Lab(policy={"checkpoint_percentages": (50, 100)})
    killed_at_the_checkpoint(lab)
    text = shown(lab)
    assert text.startswith("dev/api: a rollout is under way\n")
    assert "2 machines of version 2: ami-00000000000000002\n" in text
    assert "phase        refreshing" in text
    assert "checkpoint   50 % reached at" in text
    assert f"next         {ROLL}, to guard it: NOBODY DOES NOW" in text
    assert "next         invoke rollout.promote --environment dev --fleet api" in text
    assert "next         invoke rollout.rollback --environment dev --fleet api" in text


def test_a_refresh_that_no_rollout_began_is_told_as_such() -> None:
    lab = Lab()
    lab.roll()
    lab.fleets.start_refresh("slipway-dev-api", RefreshRequest(lab.template_id, 1, RefreshPreferences()))
    text = shown(lab)
    assert text.startswith("dev/api: A REFRESH IS UNDER WAY THAT NO ROLLOUT BEGAN\n")
    assert text.endswith(f"next         {ROLL}, to watch it, not to guard it")


def test_a_fleet_that_was_left_half_way_says_so_first() -> None:
    lab = Lab(policy={"checkpoint_percentages": (50, 100)})
    killed_at_the_checkpoint(lab)
    controls.abort(lab.world(), API, lab.reporter)
    text = shown(lab)
    assert text.startswith("dev/api: nothing is under way, BUT MACHINES OF SEVERAL VERSIONS ARE IN SERVICE\n")
    assert "phase        aborted by ann@laptop" in text
    assert text.endswith("invoke rollout.rollback --environment dev --fleet api, to go back to one version")


def test_a_rollout_that_is_over_says_how_it_ended() -> None:
    lab = Lab()
    lab.roll()
    text = shown(lab)
    assert text.startswith("dev/api: nothing is under way\n")
    assert "phase        succeeded: every machine runs ami-00000000000000002, version 2" in text
    assert "Successful after" in text
    assert text.endswith("--dry-run, to foresee one")


def test_the_status_is_json() -> None:
    lab = Lab()
    lab.roll()
    made = json.loads(json.dumps(status_document(rollout.status(lab.world(), API))))
    assert made["record"]["phase"] == "succeeded"
    assert made["amis"] == {"2": "ami-00000000000000002"}
    assert len(made["group"]["instances"]) == 4
