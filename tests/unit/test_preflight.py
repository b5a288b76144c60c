# SPDX-License-Identifier: Apache-2.0
"""Every check before a rollout has a scenario that only it catches, and one that it must not disturb."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.documents.preflight import DOCUMENT, page
from orchestrator.domain.forecast.course import Spread
from orchestrator.domain.preflight import CHECKS, check
from orchestrator.domain.preflight.check import UNREAD_ADVICE, counted, listed
from orchestrator.domain.preflight.facts import AlarmState, SubnetFact, TargetLimits, Unread, VcpuRoom
from orchestrator.domain.preflight.situation import Holder
from orchestrator.domain.preflight_finding import Finding, Level
from orchestrator.domain.refresh import ProtectedInstances, RefreshStatus, StandbyInstances
from tests.unit.preflight_situation import (
    ALARM,
    BALANCER,
    NEW,
    NOW,
    OLD,
    OTHER,
    TARGETS,
    ZONES,
    Change,
    both,
    group,
    hook,
    image,
    machine,
    refresh,
    sound,
    stack,
    target,
    with_course,
    with_facts,
    with_group,
    with_intent,
    with_machines,
    with_new_image,
    with_old_image,
    with_preferences,
    with_source,
)

MACHINES = group().instances
SUBNETS = {name: SubnetFact(name, zone, 100) for name, zone in zip(group().subnet_ids, ZONES, strict=True)}
FEW = {name: replace(each, free_addresses=0) for name, each in SUBNETS.items()}
ONE_FULL = SUBNETS | {"subnet-b": FEW["subnet-b"]}
PROTECTED = with_machines(replace(MACHINES[0], is_protected=True), *MACHINES[1:])
STANDBY = with_group(
    desired_capacity=5, instances=(replace(MACHINES[0], lifecycle_state="Standby"), *MACHINES[1:])
)


def how(change: Change, **preferences: Any) -> Change:
    """Return a change of the group together with one of the preferences."""

    def changed(situation: Any) -> Any:
        after = change(situation)
        told = replace(after.intent.preferences, **preferences)
        return replace(after, intent=replace(after.intent, preferences=told))

    return changed


# check -> what only it catches, and a word of what it says of that.
CAUGHT: dict[str, tuple[Change, str]] = {
    "image-exists": (with_facts(images={OLD: image(OLD, "a")}), NEW),
    "image-available": (with_new_image(state="pending"), "pending"),
    "image-class": (with_new_image(name=f"worker-{'b' * 32}", tags={"slipway:state": "published"}), "worker"),
    "image-published": (with_new_image(tags={"slipway:state": "candidate"}), NEW),
    "image-boot-tested": (with_facts(has_boot_record=False), "boot test"),
    "image-architecture": (with_new_image(architecture="arm64"), "arm64"),
    "image-current": (with_new_image(deprecated_at=NOW - timedelta(days=3)), "2026-02-26"),
    "image-not-taken-back": (with_intent(taken_back_by="rollout-1"), "rollout-1"),
    "old-image-exists": (with_facts(images={NEW: image(NEW, "b")}), OLD),
    "old-image-pinned": (with_old_image(tags={}), "gc"),
    "template-numbered": (with_group(template_version="$Latest"), "$Latest"),
    "template-no-parameter": (with_source(ami_id="resolve:ssm:/slipway/lab/api/ami"), "/slipway/lab/api/ami"),
    "instance-type-exists": (with_facts(instance_type=None), "t3.small"),
    "instance-type-offered": (with_facts(offered_in=frozenset(ZONES[:2])), ZONES[2]),
    "instance-profile-exists": (with_facts(has_instance_profile=False), "instance-profile/slipway/lab/api"),
    "key-pair-exists": (with_facts(has_key_pair=False), "lab"),
    "security-groups-exist": (with_facts(security_groups=frozenset()), "sg-1"),
    "subnets-exist": (with_facts(subnets={k: v for k, v in SUBNETS.items() if k != "subnet-b"}), "subnet-b"),
    "no-other-refresh": (with_intent(refreshes=(refresh(RefreshStatus.IN_PROGRESS),)), "r-1 is InProgress"),
    "processes-run": (with_group(suspended={"Launch": "a test"}), "Launch is suspended (a test)"),
    "health-is-watched": (with_group(suspended={"HealthCheck": ""}), "HealthCheck is suspended"),
    "balancer-judges": (with_group(health_check_type="EC2"), "EC2"),
    "protected-machines-wait": (
        how(PROTECTED, scale_in_protected_instances=ProtectedInstances.WAIT),
        MACHINES[0].instance_id,
    ),
    "protected-machines-stay": (PROTECTED, MACHINES[0].instance_id),
    "standby-machines-wait": (how(STANDBY, standby_instances=StandbyInstances.WAIT), "leave standby"),
    "standby-machines-stay": (STANDBY, MACHINES[0].instance_id),
    "hooks-within-the-hour": (
        with_facts(hooks=(hook(heartbeat_s=3600, global_timeout_s=172_800),)),
        "3600 s",
    ),
    "launch-hooks-give-up": (with_facts(hooks=(hook(default_result="CONTINUE"),)), "hook launch"),
    "capacity-is-whole": (
        with_machines(replace(MACHINES[0], is_healthy=False), *MACHINES[1:]),
        "5 of 6 machines are in service and healthy",
    ),
    "zones-are-used": (with_machines(*(replace(each, zone=ZONES[0]) for each in MACHINES)), ZONES[1]),
    "termination-policy": (with_group(termination_policies=("arn:aws:lambda:1:2:function:pick",)), "pick"),
    "vcpu-quota": (with_facts(vcpus=VcpuRoom("L-1216C47A", 17, 12)), "take 6 vCPUs, 12 of 17"),
    "addresses": (with_facts(subnets=FEW), "3 machines more"),
    "zone-addresses": (with_facts(subnets=ONE_FULL), "us-east-1b has 0 free"),
    "target-group-quota": (with_facts(target_limits=TargetLimits(8, 1_000, 3_000)), "lab would have 9"),
    "balancer-quota": (with_facts(target_limits=TargetLimits(1_000, 14, 3_000)), f"{BALANCER} would have 15"),
    "maximum-size": (with_group(max_size=6), "the desired capacity already"),
    "fourteen-days": (with_course(duration_s=Spread(1e6, 1.3e6, 2e6)), "15.0 days"),
    "never-empty": (with_course(least_in_service=0), "none of 6 machines"),
    "alarms-exist": (with_facts(alarms={}), ALARM),
    "alarms-are-quiet": (with_facts(alarms={ALARM: AlarmState.INSUFFICIENT_DATA}), "INSUFFICIENT_DATA"),
    "targets-are-healthy": (
        with_facts(target_health={TARGETS: (target(0, "unhealthy"), *(target(n) for n in range(1, 6)))}),
        "1 target ",
    ),
    "lock-is-free": (
        with_facts(holders=(Holder("fleet/lab/api", "ana", "elsewhere", NOW),)),
        "ana on elsewhere",
    ),
    "stack-is-settled": (with_facts(stack=stack("UPDATE_IN_PROGRESS")), "UPDATE_IN_PROGRESS"),
    "stack-is-sound": (with_facts(stack=stack("UPDATE_ROLLBACK_FAILED")), "UPDATE_ROLLBACK_FAILED"),
    "no-change-waits": (with_facts(change_sets=("slipway-1",)), "slipway-1"),
}

# check -> what comes close to what it looks for, and is no reason to say anything.
UNDISTURBED: dict[str, Change] = {
    "image-exists": with_facts(
        images={NEW: image(NEW, "b"), OLD: image(OLD, "a"), "x": image("x", "c", state="failed")}
    ),
    "image-available": with_old_image(deprecated_at=NOW),
    "image-class": with_new_image(tags={"slipway:state": "published"}),
    "image-published": with_old_image(tags={}, is_protected=True),
    "image-boot-tested": with_new_image(name=f"api-{'b' * 32}.2"),
    "image-architecture": with_old_image(architecture="arm64"),
    "image-current": with_new_image(deprecated_at=NOW + timedelta(seconds=1)),
    "image-not-taken-back": with_intent(own_refresh_ids=("refresh-1",)),
    "old-image-exists": with_old_image(deprecated_at=NOW - timedelta(days=1)),
    "old-image-pinned": with_old_image(tags={"slipway:state": "candidate"}, is_protected=True),
    "template-numbered": with_group(template_version="12"),
    "template-no-parameter": with_source(description="resolve:ssm:/slipway/lab/api/ami"),
    "instance-type-exists": with_source(number=4),
    "instance-type-offered": with_facts(offered_in=frozenset({*ZONES, "us-east-1f"})),
    "instance-profile-exists": both(with_source(instance_profile=""), with_facts(has_instance_profile=False)),
    "key-pair-exists": both(with_source(key_name=""), with_facts(has_key_pair=False)),
    "security-groups-exist": both(
        with_source(security_group_ids=()), with_facts(security_groups=frozenset())
    ),
    "subnets-exist": with_facts(subnets=SUBNETS | {"subnet-z": SubnetFact("subnet-z", ZONES[0], 5)}),
    "no-other-refresh": with_intent(
        refreshes=(refresh(RefreshStatus.IN_PROGRESS), refresh(RefreshStatus.CANCELLED, "r-0")),
        own_refresh_ids=("r-1",),
    ),
    "processes-run": with_intent(
        group=replace(group(), suspended={"InstanceRefresh": "paused", "AZRebalance": "a test"}),
        is_paused_by_us=True,
    ),
    "health-is-watched": with_group(suspended={"AlarmNotification": "", "ScheduledActions": ""}),
    "balancer-judges": with_group(health_check_type="EC2", target_group_arns=()),
    "protected-machines-wait": how(PROTECTED, scale_in_protected_instances=ProtectedInstances.REFRESH),
    "protected-machines-stay": how(
        with_preferences(), scale_in_protected_instances=ProtectedInstances.IGNORE
    ),
    "standby-machines-wait": how(STANDBY, standby_instances=StandbyInstances.TERMINATE),
    "standby-machines-stay": how(with_preferences(), standby_instances=StandbyInstances.IGNORE),
    "hooks-within-the-hour": with_facts(hooks=(hook(heartbeat_s=3599, global_timeout_s=172_800),)),
    "launch-hooks-give-up": with_facts(
        hooks=(hook(transition="autoscaling:EC2_INSTANCE_TERMINATING", default_result="CONTINUE"),)
    ),
    "capacity-is-whole": with_machines(*MACHINES, machine(6, lifecycle_state="Pending")),
    "zones-are-used": with_group(desired_capacity=2, instances=(MACHINES[0], MACHINES[1]), zones=ZONES),
    "termination-policy": with_group(termination_policies=("NewestInstance",)),
    "vcpu-quota": with_facts(vcpus=VcpuRoom("L-1216C47A", 18, None)),
    "addresses": both(with_course(most_running=6), with_facts(subnets=FEW)),
    "zone-addresses": with_facts(subnets={k: replace(v, free_addresses=1) for k, v in SUBNETS.items()}),
    "target-group-quota": with_facts(target_limits=TargetLimits(9, 1_000, 3_000)),
    "balancer-quota": with_facts(
        balancer_targets={"net/lab/1": 100}, target_limits=TargetLimits(1_000, 50, 3_000)
    ),
    "maximum-size": with_group(max_size=9),
    "fourteen-days": with_course(duration_s=Spread(1e6, 1.2e6, 2e6)),
    "never-empty": with_course(least_in_service=1),
    "alarms-exist": both(with_preferences(alarms=()), with_facts(alarms={})),
    "alarms-are-quiet": with_facts(alarms={ALARM: AlarmState.OK, "another": AlarmState.ALARM}),
    "targets-are-healthy": with_facts(
        target_health={TARGETS: (*(target(n) for n in range(6)), target(7, "draining"), target(8, "initial"))}
    ),
    "lock-is-free": with_facts(holders=()),
    "stack-is-settled": with_facts(stack=None),
    "stack-is-sound": with_facts(stack=stack("UPDATE_ROLLBACK_COMPLETE")),
    "no-change-waits": with_facts(stack=None, change_sets=()),
}


def test_nothing_speaks_against_a_sound_rollout() -> None:
    assert check(sound()) == ()


def test_every_check_has_both_scenarios_and_an_id_of_its_own() -> None:
    names = [each.name for each in CHECKS]
    assert len(names) == len(set(names))
    assert list(CAUGHT) == names
    assert list(UNDISTURBED) == names


@pytest.mark.parametrize("name", CAUGHT)
def test_a_scenario_is_caught_by_one_check_only(name: str) -> None:
    change, says = CAUGHT[name]
    findings = check(change(sound()))
    assert {each.check for each in findings} == {name}
    (level,) = {each.level for each in findings}
    assert level is next(each.level for each in CHECKS if each.name == name)
    assert says in findings[0].says
    assert findings[0].advice
    assert "{" not in findings[0].line()


@pytest.mark.parametrize("name", UNDISTURBED)
def test_a_check_does_not_disturb_what_comes_close(name: str) -> None:
    assert check(UNDISTURBED[name](sound())) == ()


FACTS = sorted({field.name for field in fields(sound())} - {"now", "intent"})


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_that_could_not_be_read_is_a_warning_that_names_the_call(fact: str) -> None:
    unread = Unread("ec2 DescribeThings", "AccessDenied: you may not")
    findings = check(replace(sound(), **{fact: unread}))
    assert findings
    assert {(each.level, each.says, each.advice) for each in findings} == {
        (
            Level.WARNING,
            "could not be checked: ec2 DescribeThings failed: AccessDenied: you may not",
            UNREAD_ADVICE,
        )
    }


def test_what_a_check_knows_is_told_though_it_can_not_know_all() -> None:
    change = both(CAUGHT["image-exists"][0], with_facts(hooks=Unread("autoscaling X", "gone")))
    assert [(each.check, each.level) for each in check(change(sound()))] == [
        ("image-exists", Level.ERROR),
        ("hooks-within-the-hour", Level.WARNING),
        ("launch-hooks-give-up", Level.WARNING),
    ]


def test_the_document_is_as_the_registry_is() -> None:
    written = (Path(__file__).resolve().parents[2] / DOCUMENT).read_text("utf-8")
    assert written == page(), "run ./inv docs"
    assert [line.split("`")[1] for line in written.splitlines() if line.startswith("| `")] == [
        each.name for each in CHECKS
    ]


def test_errors_come_first() -> None:
    change = both(CAUGHT["image-boot-tested"][0], CAUGHT["lock-is-free"][0])
    assert [each.check for each in check(change(sound()))] == ["lock-is-free", "image-boot-tested"]


def test_a_finding_reads_as_a_line() -> None:
    (finding,) = check(CAUGHT["image-exists"][0](sound()))
    assert finding == Finding(
        "image-exists",
        Level.ERROR,
        f"there is no image {NEW}",
        "name another image, or bake one: `invoke bake-ami --environment lab --server-class api`",
    )
    assert finding.line().startswith(f"error image-exists: there is no image {NEW}; name another image")


def test_an_image_of_another_account_is_no_image_of_ours() -> None:
    findings = check(with_new_image(owner_id=OTHER)(sound()))
    assert [each.check for each in findings] == ["image-class"]
    assert "no image of ours" in findings[0].says


def test_an_old_image_of_another_account_is_not_pinned() -> None:
    findings = check(with_old_image(owner_id=OTHER)(sound()))
    assert [each.check for each in findings] == ["old-image-pinned"]


def test_processes_that_serve_the_balancer_matter_only_behind_one() -> None:
    suspended = {"AddToLoadBalancer": ""}
    assert [each.check for each in check(with_group(suspended=suspended)(sound()))] == ["processes-run"]
    assert check(with_group(suspended=suspended, target_group_arns=())(sound())) == ()


def test_vcpus_of_the_own_machines_are_in_use_though_the_metric_is_late() -> None:
    findings = check(with_facts(vcpus=VcpuRoom("L-1216C47A", 17, None))(sound()))
    assert [each.check for each in findings] == ["vcpu-quota"]


def test_a_network_load_balancer_has_a_limit_of_its_own() -> None:
    findings = check(with_facts(balancer_targets={"net/lab/1": 2_998})(sound()))
    assert [each.check for each in findings] == ["balancer-quota"]


@pytest.mark.parametrize(
    ("names", "said"),
    [([], ""), (["a"], "a"), (list("abcde"), "a, b, c, d, e"), (list("abcdefg"), "a, b, c, d, e and 2 more")],
)
def test_long_lists_are_cut(names: list[str], said: str) -> None:
    assert listed(names) == said


@pytest.mark.parametrize(("number", "said"), [(0, "0 machines"), (1, "1 machine"), (2, "2 machines")])
def test_nouns_are_counted(number: int, said: str) -> None:
    assert counted(number, "machine") == said
