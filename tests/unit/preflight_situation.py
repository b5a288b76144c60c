# SPDX-License-Identifier: Apache-2.0
"""A rollout of six machines in three zones that nothing speaks against, and short ways to change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.domain.fleet import (
    FleetGroup,
    FleetInstance,
    LaunchTemplateVersion,
    LifecycleHook,
    TargetHealth,
)
from orchestrator.domain.forecast.course import Course, Spread
from orchestrator.domain.image import CLASS_TAG, STATE_TAG
from orchestrator.domain.preflight.facts import (
    AlarmState,
    ImageFact,
    InstanceTypeFact,
    SubnetFact,
    TargetLimits,
    VcpuRoom,
)
from orchestrator.domain.preflight.situation import Intent, Situation
from orchestrator.domain.refresh import InstanceRefresh, RefreshPreferences, RefreshStatus
from orchestrator.domain.stack import StackState

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
ACCOUNT, OTHER = "123456789012", "444455556666"
NEW, OLD = "ami-00000000000000new", "ami-00000000000000old"
TARGETS = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/lab/0123456789abcdef"
BALANCER = "app/lab/0123456789abcdef"
ALARM = "lab-errors"
PUBLISHED = {CLASS_TAG: "api", STATE_TAG: "published"}

Change = Callable[[Situation], Situation]


def image(ami_id: str, key: str, **changes: Any) -> ImageFact:
    """Return an image as a bake leaves it."""
    told = ImageFact(ami_id, f"api-{key * 32}", "available", "x86_64", ACCOUNT, tags=PUBLISHED)
    return replace(told, **changes)


def machine(number: int, **changes: Any) -> FleetInstance:
    """Return a machine in service; zones take turns."""
    zone = ZONES[number % len(ZONES)]
    told = FleetInstance(f"i-{number:017x}", zone, "InService", template_id="lt-1", version=3)
    return replace(told, **changes)


def group() -> FleetGroup:
    return FleetGroup(
        name="slipway-lab-api",
        arn="arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1:autoScalingGroupName/slipway-lab-api",
        min_size=6,
        max_size=12,
        desired_capacity=6,
        template_id="lt-1",
        template_name="lab",
        template_version="3",
        instances=tuple(machine(number) for number in range(6)),
        zones=ZONES,
        subnet_ids=("subnet-a", "subnet-b", "subnet-c"),
        target_group_arns=(TARGETS,),
        health_check_type="ELB",
        termination_policies=("OldestLaunchTemplate", "OldestInstance"),
    )


def course() -> Course:
    return Course(
        duration_s=Spread(300, 400, 500),
        batches=(),
        checkpoints=(),
        least_in_service=6,
        most_running=9,
        surge_machine_hours=0.5,
        surge_usd=0.01,
    )


def intent() -> Intent:
    return Intent(
        environment="lab",
        account_id=ACCOUNT,
        fleet="api",
        server_class="api",
        group=group(),
        source=LaunchTemplateVersion(
            "lt-1",
            3,
            OLD,
            "t3.small",
            key_name="lab",
            instance_profile="arn:aws:iam::123456789012:instance-profile/slipway/lab/api",
            security_group_ids=("sg-1",),
        ),
        new_ami_id=NEW,
        preferences=RefreshPreferences(max_healthy_percentage=150, alarms=(ALARM,)),
        course=course(),
        refreshes=(refresh(RefreshStatus.SUCCESSFUL),),
    )


def refresh(status: RefreshStatus, refresh_id: str = "r-1") -> InstanceRefresh:
    return InstanceRefresh(refresh_id, "slipway-lab-api", status)


def hook(**changes: Any) -> LifecycleHook:
    told = LifecycleHook("launch", "autoscaling:EC2_INSTANCE_LAUNCHING", 600, 60_000, "ABANDON")
    return replace(told, **changes)


def stack(status: str = "UPDATE_COMPLETE") -> StackState:
    return StackState("slipway-lab-fleets", "arn:stack", status, NOW - timedelta(days=1))


def sound() -> Situation:
    """Return the situation that nothing speaks against."""
    return Situation(
        now=NOW,
        intent=intent(),
        images={NEW: image(NEW, "b"), OLD: image(OLD, "a")},
        has_boot_record=True,
        instance_type=InstanceTypeFact("t3.small", ("x86_64",), 2),
        offered_in=frozenset(ZONES),
        vcpus=VcpuRoom("L-1216C47A", 64, 12),
        subnets={
            each: SubnetFact(each, zone, 100) for each, zone in zip(group().subnet_ids, ZONES, strict=True)
        },
        security_groups=frozenset({"sg-1"}),
        has_key_pair=True,
        has_instance_profile=True,
        target_health={TARGETS: tuple(target(number) for number in range(6))},
        target_limits=TargetLimits(1_000, 1_000, 3_000),
        balancer_targets={BALANCER: 12},
        hooks=(hook(),),
        alarms={ALARM: AlarmState.OK},
        stack=stack(),
        change_sets=(),
        holders=(),
    )


def target(number: int, state: str = "healthy") -> TargetHealth:
    return TargetHealth(machine(number).instance_id, state)


def with_facts(**facts: Any) -> Change:
    """Return a change of facts."""
    return lambda situation: replace(situation, **facts)


def with_intent(**changes: Any) -> Change:
    """Return a change of what is intended."""
    return lambda situation: replace(situation, intent=replace(situation.intent, **changes))


def with_group(**changes: Any) -> Change:
    """Return a change of the group."""
    return with_intent(group=replace(group(), **changes))


def with_source(**changes: Any) -> Change:
    """Return a change of the launch template's version."""
    return with_intent(source=replace(intent().source, **changes))


def with_course(**changes: Any) -> Change:
    """Return a change of the course."""
    return with_intent(course=replace(course(), **changes))


def with_preferences(**changes: Any) -> Change:
    """Return a change of the preferences."""
    return with_intent(preferences=replace(intent().preferences, **changes))


def with_new_image(**changes: Any) -> Change:
    """Return a change of the new image."""
    return with_facts(images={NEW: image(NEW, "b", **changes), OLD: image(OLD, "a")})


def with_old_image(**changes: Any) -> Change:
    """Return a change of the old image."""
    return with_facts(images={NEW: image(NEW, "b"), OLD: image(OLD, "a", **changes)})


def with_machines(*machines: FleetInstance) -> Change:
    """Return a change of the group's machines."""
    return with_group(instances=machines)


def both(*changes: Change) -> Change:
    """Return all of these changes, one after the other; two of the intent exclude each other."""

    def change(situation: Situation) -> Situation:
        for each in changes:
            situation = each(situation)
        return situation

    return change
