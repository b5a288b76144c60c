# SPDX-License-Identifier: Apache-2.0
"""What is looked up before a rollout: once, and only what is named; what can't be had is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.forecast.course import Course, Spread
from orchestrator.domain.manifest import Contents, Manifest
from orchestrator.domain.preflight.facts import AlarmState
from orchestrator.domain.preflight.situation import Intent
from orchestrator.domain.preflight_finding import Finding, Level
from orchestrator.domain.refresh import RefreshPreferences
from orchestrator.domain.stack import EnvironmentStack
from orchestrator.errors import AwsError
from orchestrator.workflows.bake_ami.publication import manifest_key
from orchestrator.workflows.rollout.preflight import findings, gather
from tests.unit.provision_world import template
from tests.unit.rollout_world import NEW_NAME, Lab

COURSE = Course(
    Spread(60, 90, 120), (), (), least_in_service=4, most_running=6, surge_machine_hours=1, surge_usd=0
)
DENIED = AwsError("ec2", "DescribeThings", "UnauthorizedOperation", "you may not")


class Fixture(Lab):
    """A fleet that nothing speaks against."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.have_group(health_check_type="ELB")
        self.write_manifest(self.new)

    def write_manifest(self, ami_id: str) -> None:
        manifest = Manifest("api", "b" * 32, NEW_NAME, ami_id, "", self.clock.now(), {}, Contents())
        self.objects.objects[manifest_key(NEW_NAME)] = manifest.to_json().encode()

    def intent(self, **changes: Any) -> Intent:
        environment = self.world().environment
        told = Intent(
            environment=self.target.environment,
            account_id=environment.account_id,
            fleet=self.target.fleet,
            server_class=environment.fleets[self.target.fleet].server_class,
            group=self.group,
            source=self.templates.versions[self.template_id][-1],
            new_ami_id=self.new,
            preferences=RefreshPreferences(max_healthy_percentage=150),
            course=COURSE,
        )
        return replace(told, **changes)

    def found(self, **changes: Any) -> tuple[Finding, ...]:
        return findings(self.world(), self.intent(**changes))

    def names(self, **changes: Any) -> list[str]:
        return [each.check for each in self.found(**changes)]

    def calls(self) -> list[str]:
        """Return the calls of all ports."""
        fakes: tuple[Any, ...] = (
            self.facts,
            self.fleets,
            self.targets,
            self.templates,
            self.objects,
            self.locks,
            self.stacks,
            self.images,
            self.computers,
            self.parameters,
            self.notices,
        )
        return sorted(call for fake in fakes for call in fake.calls)


@pytest.fixture
def lab() -> Fixture:
    return Fixture()


def test_nothing_speaks_against_a_sound_fleet(lab: Fixture) -> None:
    assert lab.found() == ()


def test_each_thing_is_looked_up_once_and_only_what_is_named(lab: Fixture) -> None:
    before = lab.calls()
    lab.found()
    asked = lab.calls()
    for call in before:
        asked.remove(call)
    assert asked == sorted(
        [
            "images",
            "instance_type",
            "zones_offering",
            "vcpu_room t3.small",
            "subnets",
            "target_limits",
            "balancer_targets",
            "open_change_sets",
            "health",
            "hooks",
            "get",  # the manifest
            "get",  # the stack
            "current",
            "current",
        ]
    )


def test_what_a_template_and_a_policy_name_is_looked_up(lab: Fixture) -> None:
    source = replace(
        lab.intent().source,
        key_name="ann",
        instance_profile="api",
        security_group_ids=("sg-1", "sg-2"),
    )
    preferences = RefreshPreferences(alarms=("errors", "latency"))
    lab.facts.alarm_states = {"errors": AlarmState.ALARM}
    lab.facts.names = {"sg-1"}
    assert lab.names(source=source, preferences=preferences) == [
        "instance-profile-exists",
        "key-pair-exists",
        "security-groups-exist",
        "alarms-exist",
        "alarms-are-quiet",
    ]


@pytest.mark.parametrize(
    ("port", "call", "checks"),
    [
        ("facts", "subnets", {"subnets-exist", "addresses", "zone-addresses"}),
        ("facts", "vcpu_room t3.small", {"vcpu-quota"}),
        ("fleets", "hooks", {"hooks-within-the-hour", "launch-hooks-give-up"}),
        ("targets", "health", {"target-group-quota", "targets-are-healthy"}),
        ("objects", "get", {"image-boot-tested"}),
        ("locks", "current", {"lock-is-free"}),
        ("stacks", "get", {"stack-is-settled", "stack-is-sound"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_call_that_is_refused_makes_warnings(lab: Fixture, port: str, call: str, checks: set[str]) -> None:
    getattr(lab, port).fail(call, DENIED)
    found = lab.found()
    assert {each.check for each in found} == checks
    assert {(each.level, each.says) for each in found} == {
        (
            Level.WARNING,
            "could not be checked: ec2 DescribeThings failed: UnauthorizedOperation: you may not",
        )
    }


def test_images_that_can_not_be_read_leave_their_manifest_unread(lab: Fixture) -> None:
    lab.facts.fail("images", DENIED)
    found = lab.found()
    assert "image-boot-tested" in {each.check for each in found}
    assert {each.says for each in found} == {
        "could not be checked: ec2 DescribeThings failed: UnauthorizedOperation: you may not"
    }


def test_a_bug_is_no_fact_that_could_not_be_read(lab: Fixture) -> None:
    lab.facts.fail("subnets", ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        lab.found()


@pytest.mark.parametrize(
    "body",
    [b"no manifest", json.dumps({"ami_id": "ami-1"}).encode()],
    ids=["not JSON", "another document"],
)
def test_what_is_no_manifest_is_no_proof_of_a_boot_test(lab: Fixture, body: bytes) -> None:
    lab.objects.objects[manifest_key(NEW_NAME)] = body
    assert lab.names() == ["image-boot-tested"]


def test_the_manifest_of_another_image_of_that_name_is_no_proof(lab: Fixture) -> None:
    lab.write_manifest(lab.old)
    assert lab.names() == ["image-boot-tested"]


def test_an_image_that_is_not_there_has_no_manifest_either(lab: Fixture) -> None:
    assert lab.names(new_ami_id="ami-0ffffffffffffffff") == ["image-exists"]


def test_a_parameter_is_no_image_to_look_up(lab: Fixture) -> None:
    source = replace(lab.intent().source, ami_id="resolve:ssm:/slipway/dev/api/ami")
    situation = gather(lab.world(), lab.intent(source=source))
    assert situation.images == {lab.new: lab.facts.made_images[lab.new]}
    assert lab.names(source=source) == ["template-no-parameter"]


class TestLocks:
    def test_another_run_s_lock_is_in_the_way(self, lab: Fixture) -> None:
        lab.locks.hold_for_other(lab.lock, "rollout-of-ana")
        (finding,) = lab.found()
        assert (finding.check, finding.level) == ("lock-is-free", Level.ERROR)
        assert finding.says == (
            f"ana on elsewhere holds the lock {lab.lock} since {lab.clock.now():%Y-%m-%d %H:%M:%S} UTC"
        )

    def test_provisioning_of_the_environment_is_in_the_way(self, lab: Fixture) -> None:
        lab.locks.hold_for_other("provision/dev", "provision-of-ana")
        assert lab.names() == ["lock-is-free"]

    def test_the_own_lock_and_those_of_others_are_not(self, lab: Fixture) -> None:
        world = lab.world()
        lab.locks.hold_for_other(lab.lock, world.run_id)
        lab.locks.hold_for_other(f"{lab.lock}2", "rollout-of-ana")
        lab.locks.hold_for_other("provision/dev2", "provision-of-ana")
        assert findings(world, lab.intent()) == ()


def test_a_busy_stack_and_a_change_set_are_seen(lab: Fixture) -> None:
    lab.stacks.have(template(EnvironmentStack.FLEETS, "dev", {}))
    assert lab.names() == []
    name = "slipway-dev-fleets"
    found = lab.stacks.stacks[name]
    found.state = replace(found.state, status="UPDATE_IN_PROGRESS")
    lab.facts.change_sets[name] = ("slipway-7",)
    assert lab.names() == ["stack-is-settled", "no-change-waits"]
