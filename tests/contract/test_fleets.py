# SPDX-License-Identifier: Apache-2.0
"""The contracts of the ports of fleets: on the fakes, and on AWS's API as a simulated region plays it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.aws.fleets import is_missing
from orchestrator.aws.notices import as_subject
from orchestrator.errors import AwsError, NotFound
from tests.contract.clouds import Cloud, FakeCloud, RegionCloud
from tests.fakes import FakeClock
from tests.region.simulated_world import Client, simulated


@pytest.fixture(scope="module")
def region() -> Iterator[Client]:
    """Return a region that all tests of this module share, each with a fleet of its own."""
    yield from simulated()


@pytest.fixture(params=["fake", "region"])
def cloud(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Cloud]:
    if request.param == "fake":
        yield FakeCloud(clock)
        return
    client: Client = request.getfixturevalue("region")
    yield RegionCloud(client)
    client.page("DELETE", "faults")


class TestFleets:
    def test_a_group_is_shown_with_all_its_machines(self, cloud: Cloud) -> None:
        template_id = cloud.template()
        name = cloud.fleet(template_id, machines=4)
        group = cloud.fleets.group(name)
        assert (group.name, group.min_size, group.max_size, group.desired_capacity) == (name, 0, 8, 4)
        assert (group.template_id, group.template_version, group.numbered_version) == (template_id, "1", 1)
        assert group.arn.endswith(f":autoScalingGroupName/{name}")
        assert (len(group.zones), len(group.subnet_ids)) == (4, 4)
        assert list(group.by_zone().values()) == [1, 1, 1, 1]
        assert all(each.is_of(template_id, 1) and each.is_healthy for each in group.in_service)
        assert not any(each.is_protected or each.is_standby for each in group.instances)
        assert (group.suspended, group.target_group_arns) == ({}, ())

    def test_a_group_that_names_no_number_says_so(self, cloud: Cloud) -> None:
        group = cloud.fleets.group(cloud.fleet(cloud.template(), machines=1, version="$Latest"))
        assert (group.template_version, group.numbered_version) == ("$Latest", None)
        assert [each.version for each in group.instances] == [1]

    def test_a_group_that_is_not_there_is_not_found(self, cloud: Cloud) -> None:
        fleets = cloud.fleets
        for ask in (fleets.group, fleets.hooks):
            with pytest.raises(NotFound):
                ask("nowhere")
        for change in (fleets.suspend, fleets.resume):
            with pytest.raises(NotFound):
                change("nowhere", "InstanceRefresh")

    def test_hooks_are_told_by_what_they_hold_up(self, cloud: Cloud) -> None:
        template_id = cloud.template()
        assert cloud.fleets.hooks(cloud.fleet(template_id, machines=1)) == ()
        (hook,) = cloud.fleets.hooks(cloud.fleet(template_id, machines=1, hook="boot"))
        assert (hook.name, hook.is_on_launch, hook.heartbeat_s, hook.default_result) == (
            "boot",
            True,
            300,
            "ABANDON",
        )
        # A hundred heartbeats, or two days if they are longer.
        assert hook.global_timeout_s == 30_000

    def test_activities_are_told_newest_first(self, cloud: Cloud) -> None:
        name = cloud.fleet(cloud.template(), machines=1)
        before = {each.instance_id for each in cloud.fleets.group(name).instances}
        cloud.scale(name, 2)
        (begun,) = cloud.fleets.activities(name, limit=1)
        assert (begun.is_launch, begun.is_termination, begun.ended_at) == (True, False, None)
        cloud.advance(120)
        (done,) = cloud.fleets.activities(name, limit=1)
        assert (done.activity_id, done.status, done.has_failed) == (begun.activity_id, "Successful", False)
        assert done.ended_at is not None
        assert done.ended_at > done.started_at
        assert {done.instance_id} == {
            each.instance_id for each in cloud.fleets.group(name).instances
        } - before

    def test_more_activities_are_told_than_a_page_holds(self, cloud: Cloud) -> None:
        name = cloud.fleet(cloud.template(), machines=103)
        cloud.scale(name, 206)
        cloud.advance(120)
        found = cloud.fleets.activities(name, limit=102)
        assert len({each.activity_id for each in found}) == 102
        assert len(cloud.fleets.activities(name)) == 100
        assert len(cloud.fleets.activities(name, limit=500)) in (103, 206)  # a fake fleet is there at once

    def test_a_process_is_suspended_and_resumed_however_often(self, cloud: Cloud) -> None:
        name = cloud.fleet(cloud.template(), machines=1)
        for _ in range(2):
            cloud.fleets.suspend(name, "InstanceRefresh")
        suspended = cloud.fleets.group(name).suspended
        assert list(suspended) == ["InstanceRefresh"]
        assert suspended["InstanceRefresh"].startswith("User suspended at ")
        for _ in range(2):
            cloud.fleets.resume(name, "InstanceRefresh")
        assert cloud.fleets.group(name).suspended == {}


class TestLaunchTemplates:
    def test_a_version_is_made_of_another_with_its_own_image(self, cloud: Cloud) -> None:
        template_id, ami_id = cloud.template(), cloud.other_image()
        first = cloud.templates.version(template_id, "1")
        assert (first.number, first.instance_type, first.is_default) == (1, "t3.small", True)
        number = cloud.templates.create_version(
            template_id, source=1, ami_id=ami_id, description="rollout 7", token="run-7"
        )
        made = cloud.templates.version(template_id, str(number))
        assert (made.template_id, made.number, made.ami_id) == (template_id, 2, ami_id)
        assert (made.instance_type, made.description, made.is_default) == ("t3.small", "rollout 7", False)
        assert cloud.templates.version(template_id, "$Latest") == made
        assert cloud.templates.version(template_id, "$Latest") == made
        assert cloud.templates.version(template_id, "$Default") == first
        assert cloud.templates.version(template_id, "1") == first

    def test_the_same_token_gives_the_same_version(self, cloud: Cloud) -> None:
        template_id, ami_id = cloud.template(), cloud.other_image()
        asked: dict[str, Any] = {"source": 1, "ami_id": ami_id, "description": "a rollout"}
        token = f"run-{template_id}"
        numbers = [cloud.templates.create_version(template_id, **asked, token=token) for _ in range(2)]
        assert numbers == [2, 2]
        with pytest.raises(AwsError) as caught:
            cloud.templates.create_version(template_id, **{**asked, "description": "another"}, token=token)
        assert caught.value.code == "IdempotentParameterMismatch"
        assert cloud.templates.version(template_id, "$Latest").number == 2
        other = cloud.templates.create_version(template_id, **asked, token=f"{token}-b")
        assert other == 3

    def test_the_default_version_can_be_another(self, cloud: Cloud) -> None:
        template_id, ami_id = cloud.template(), cloud.other_image()
        cloud.templates.create_version(template_id, source=1, ami_id=ami_id, description="", token="again")
        cloud.templates.set_default(template_id, 2)
        assert cloud.templates.version(template_id, "$Default").number == 2
        assert cloud.templates.version(template_id, "1").is_default is False

    def test_what_is_not_there_is_not_found(self, cloud: Cloud) -> None:
        template_id, templates = cloud.template(), cloud.templates
        for missing, version in ((template_id, "7"), ("lt-0123456789abcdef0", "1")):
            with pytest.raises(NotFound):
                templates.version(missing, version)
            with pytest.raises(NotFound):
                templates.set_default(missing, int(version))
            with pytest.raises(NotFound):
                templates.create_version(
                    missing, source=int(version), ami_id="ami-1", description="", token="x"
                )
        with pytest.raises(NotFound):
            templates.version("lt-0123456789abcdef0", "$Latest")


class TestTargets:
    def test_all_machines_of_a_balanced_fleet_are_healthy(self, cloud: Cloud) -> None:
        name = cloud.fleet(cloud.template())
        arn = cloud.balance(name)
        group = cloud.fleets.group(name)
        assert group.target_group_arns == (arn,)
        seen = {each.instance_id: each.state for each in cloud.targets.health(arn)}
        assert seen == {each.instance_id: "healthy" for each in group.instances}

    def test_a_target_group_that_is_not_there_is_not_found(self, cloud: Cloud) -> None:
        with pytest.raises(NotFound):
            cloud.targets.health("arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/no/1")


class TestNotices:
    def test_who_subscribes_is_told(self, cloud: Cloud) -> None:
        topic_arn = cloud.topic()
        cloud.notices.publish(topic_arn, "api is rolled", "in 7 minutes – all well")
        assert cloud.published(topic_arn) == [("api is rolled", "in 7 minutes – all well")]


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("api: rolled back", "api: rolled back"),
        ("two\nlines and a\ttab", "two lines and a tab"),
        ("50 % – canary", "50 % ? canary"),
        ("x" * 101, "x" * 97 + "..."),
        ("x" * 100, "x" * 100),
    ],
)
def test_a_subject_is_what_sns_takes(text: str, subject: str) -> None:
    assert as_subject(text) == subject


@pytest.mark.parametrize(
    ("code", "message", "is_gone"),
    [
        ("ValidationError", "AutoScalingGroup name not found - null", True),
        ("ValidationError", "1 validation error detected", False),
        ("AccessDenied", "group name not found", False),
    ],
)
def test_a_group_that_does_not_exist_is_told_by_the_message(code: str, message: str, is_gone: bool) -> None:
    assert is_missing(AwsError("autoscaling", "SuspendProcesses", code, message)) is is_gone
