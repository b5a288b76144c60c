# SPDX-License-Identifier: Apache-2.0
"""What a rollout's plan says, and that making it changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.domain.image import ImageStatus
from orchestrator.domain.manifest import Contents, Manifest
from orchestrator.domain.refresh import RefreshPreferences
from orchestrator.domain.rollout.plan import Action, RolloutTarget
from orchestrator.errors import ConfigError, Refused
from orchestrator.workflows import rollout
from orchestrator.workflows.bake_ami.publication import manifest_key
from orchestrator.workflows.rollout.names import group_name, pointer_name
from tests.unit.rollout_world import API, NEW_NAME, OLD_NAME, Lab

READS = {
    "group",
    "hooks",
    "activities",
    "refreshes",
    "refresh",
    "version",
    "latest",
    "health",
    "by_class",
    "get",
    "keys",
}


def manifest(name: str, **packages: str) -> bytes:
    made = Manifest(
        class_name="api",
        bake_key=name.removeprefix("api-"),
        image_name=name,
        ami_id="ami",
        parent="ami-0",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        inputs={},
        contents=Contents(packages=packages),
    )
    return made.to_json().encode()


def test_a_plan_says_what_will_be_done() -> None:
    lab = Lab(policy={"checkpoint_percentages": [25, 100], "checkpoint_delay_s": 60, "alarms": []})
    plan = lab.plan()
    assert plan.action is Action.START
    assert (plan.group, plan.server_class) == ("slipway-dev-api", "api")
    assert (plan.image.old_name, plan.image.new_name) == (OLD_NAME, NEW_NAME)
    assert plan.source_version == 1
    assert plan.machines_by_zone == dict.fromkeys((f"us-east-1{each}" for each in "abcd"), 1)
    assert plan.preferences == RefreshPreferences(
        min_healthy_percentage=100,
        max_healthy_percentage=150,
        instance_warmup_s=60,
        checkpoint_percentages=(25, 100),
        checkpoint_delay_s=60,
    )
    assert plan.course.most_running > 4
    assert plan.course.surge_usd > 0
    assert plan.errors == ()


def test_a_plan_changes_nothing_and_takes_few_calls_at_any_size() -> None:
    counts = set()
    for machines in (4, 1000):
        lab = Lab(machines=machines)
        lab.plan()
        fakes = (lab.fleets, lab.templates, lab.targets, lab.images, lab.parameters, lab.objects)
        calls = [call for fake in fakes for call in fake.calls]
        assert {call.split()[0] for call in calls} <= READS
        counts.add(len(calls))
    assert len(counts) == 1
    assert counts.pop() < 20


def test_a_plan_tells_how_the_images_differ() -> None:
    lab = Lab()
    lab.objects.objects[manifest_key(OLD_NAME)] = manifest(OLD_NAME, nginx="1.22", vim="9")
    lab.objects.objects[manifest_key(NEW_NAME)] = manifest(NEW_NAME, nginx="1.24", vim="9")
    assert lab.plan().image.differences == ("packages: nginx 1.22 -> 1.24",)


def test_the_newest_published_image_of_the_class_is_taken() -> None:
    lab = Lab()
    lab.images.add(f"api-{'c' * 32}", {"slipway:state": "candidate"})
    lab.images.add(f"api-{'d' * 32}", {"slipway:state": "published"}, status=ImageStatus.PENDING)
    lab.images.add(f"base-{'e' * 32}", {"slipway:state": "published"})
    assert lab.plan().image.new_ami_id == lab.new
    assert lab.plan(lab.old).image.new_ami_id == lab.old


def test_without_an_image_there_is_no_plan() -> None:
    lab = Lab()
    lab.images.images.clear()
    with pytest.raises(Refused, match="no published image"):
        lab.plan()


def test_an_unknown_fleet_is_an_error_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match="fleets.web: no such fleet; there are: api") as caught:
        rollout.observe_and_plan(Lab().world(), RolloutTarget("dev", "web"))
    assert caught.value.exit_code == 3


def test_a_fleet_that_is_not_provisioned_is_refused() -> None:
    lab = Lab()
    lab.fleets.groups.clear()
    with pytest.raises(Refused, match="no Auto Scaling group"):
        lab.plan()


@pytest.mark.parametrize(
    ("group", "source", "is_possible", "why"),
    [
        ({}, {}, True, "stays on version 1"),
        ({"template_version": "$Latest"}, {}, False, "only goes back to a number"),
        ({}, {"ami_id": "resolve:ssm:/x"}, False, "SSM parameter"),
    ],
    ids=["possible", "no number", "a parameter"],
)
def test_a_plan_says_whether_it_could_be_taken_back(
    group: dict[str, Any], source: dict[str, Any], is_possible: bool, why: str
) -> None:
    lab = Lab()
    name = group_name(API)
    lab.fleets.groups[name] = replace(lab.fleets.groups[name], **group)
    versions = lab.templates.versions[lab.template_id]
    versions[0] = replace(versions[0], **source)
    outlook = lab.plan().rollback
    assert (outlook.is_possible, why in outlook.why) == (is_possible, True)


def test_without_the_old_image_it_could_not_be_taken_back() -> None:
    lab = Lab()
    del lab.images.images[lab.old]
    assert "is gone" in lab.plan().rollback.why


@pytest.mark.parametrize("behind", ["pointer", "default version"])
def test_what_a_finished_refresh_has_left_behind_is_finished(behind: str) -> None:
    lab = Lab()
    lab.roll()
    if behind == "pointer":
        lab.parameters.values[pointer_name(API)] = lab.old
    else:
        lab.templates.set_default(lab.template_id, 1)
    assert lab.plan().action is Action.FINISH
    assert lab.roll().is_changed
    assert (lab.pointer, lab.default_version) == (lab.new, 2)
    assert len(lab.changes()) == 1
    assert lab.plan().action is Action.NOTHING


def test_a_group_that_was_updated_first_is_rolled_to_its_own_version() -> None:
    lab = Lab()
    number = lab.templates.create_version(
        lab.template_id, source=1, ami_id=lab.new, description="", token="t"
    )
    name = group_name(API)
    lab.fleets.groups[name] = replace(lab.fleets.groups[name], template_version=str(number))
    plan = lab.plan()
    assert (plan.action, plan.reuses_version, plan.rollback.is_possible) == (Action.START, 2, False)


def test_a_proposal_is_made_when_it_is_asked_for() -> None:
    lab = Lab(policy={"max_healthy_percentage": 110})
    assert lab.plan().proposal == ()
    plan = rollout.observe_and_plan(lab.world(), API, optimise=True)
    assert plan.proposal
