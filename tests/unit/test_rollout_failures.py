# SPDX-License-Identifier: Apache-2.0
"""Every way in which a rollout fails, with its exit code and what is in service afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.domain.fleet import TargetHealth
from orchestrator.domain.lock import Owner
from orchestrator.domain.preflight.facts import AlarmState
from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.domain.rollout.record import Phase
from orchestrator.errors import AwsError, Refused, RolledBack, SlipwayError
from orchestrator.workflows import rollout
from orchestrator.workflows.rollout.names import group_name
from tests.fakes.fleets import Trouble
from tests.unit.rollout_world import API, Lab

GROUP = group_name(API)


def nothing(_: Lab) -> None:
    """Arrange nothing."""


@dataclass(frozen=True)
class Case:
    """What is wrong, and what comes of it. `code` is the exit code."""

    code: int
    says: str
    phase: Phase | None
    versions: list[int] = field(default_factory=lambda: [1, 1, 1, 1])
    arrange: Callable[[Lab], object] = nothing
    policy: dict[str, Any] = field(default_factory=dict)


def trouble(kind: Trouble) -> Callable[[Lab], None]:
    return lambda lab: lab.fleets.trouble.update({2: kind})


def alarm(lab: Lab) -> None:
    lab.facts.alarm_states["errors"] = AlarmState.OK
    lab.clock.schedule(45, lambda: lab.fleets.alarm(GROUP, "errors"))


def cancelled_by_others(lab: Lab) -> None:
    lab.clock.schedule(45, lambda: lab.fleets.cancel_refresh(GROUP))


def rolled_back_by_others(lab: Lab) -> None:
    lab.clock.schedule(45, lambda: lab.fleets.rollback_refresh(GROUP))


def irreversible(lab: Lab) -> None:
    trouble(Trouble.HOOK)(lab)
    lab.fleets.fail(
        f"rollback_refresh {GROUP}", AwsError("autoscaling", "Rollback", "IrreversibleInstanceRefresh", "no")
    )


def old_image_is_broken_too(lab: Lab) -> None:
    lab.fleets.trouble.update({1: Trouble.LAUNCH, 2: Trouble.TARGET_HEALTH})


def never_healthy_for_the_balancer(lab: Lab) -> None:
    first_new = "i-00000000000000005"
    lab.targets.states[first_new] = TargetHealth(first_new, "draining")


def aws_is_silent(lab: Lab) -> None:
    errors = [AwsError("autoscaling", "Describe", "Throttling", "Rate exceeded")] * 500
    lab.clock.schedule(40, lambda: lab.fleets.fail("refresh", *errors))


def stuck(lab: Lab) -> None:
    lab.fleets.boot_s = 10**7


def version_is_refused(lab: Lab) -> None:
    error = AwsError("ec2", "CreateLaunchTemplateVersion", "LaunchTemplateVersionLimitExceeded", "10000")
    lab.templates.fail(f"create_version {lab.new}", error)


def refresh_is_refused(lab: Lab) -> None:
    lab.fleets.fail(f"start_refresh {GROUP}", AwsError("autoscaling", "Start", "ValidationError", "bad"))


def locked(lab: Lab) -> None:
    lab.locks.held[lab.lock] = lab.locks._entry(lab.lock, Owner("bob", "desk", 1, "", "run"))


TERMINATE_FIRST = {"min_healthy_percentage": 50, "max_healthy_percentage": 100, "max_failures": 1}
CASES = {
    "the guard": Case(7, "2 new machines failed", Phase.ROLLED_BACK, arrange=trouble(Trouble.HOOK)),
    "an alarm": Case(7, "alarm errors", Phase.ROLLED_BACK, arrange=alarm, policy={"alarms": ["errors"]}),
    "a rollback by others": Case(
        7, "Rollback was requested", Phase.ROLLED_BACK, arrange=rolled_back_by_others
    ),
    "a rollback that fails": Case(
        8, "in service: 2 of version 1", Phase.FAILED, [1, 1], old_image_is_broken_too, TERMINATE_FIRST
    ),
    "AWS can't go back": Case(8, "AWS could not go back", Phase.FAILED, versions=[], arrange=irreversible),
    "a cancel by others": Case(
        8, "cancelled, but not by Slipway", Phase.FAILED, versions=[1, 1, 2, 2], arrange=cancelled_by_others
    ),
    "a machine that is not healthy at the end": Case(
        8, "i-00000000000000005 draining", Phase.FAILED, [2, 2, 2, 2], never_healthy_for_the_balancer
    ),
    "AWS does not answer": Case(9, "has not answered", Phase.REFRESHING, versions=[], arrange=aws_is_silent),
    "a refresh without end": Case(9, "not done after", Phase.REFRESHING, arrange=stuck),
    "AWS refuses the version": Case(5, "LimitExceeded", Phase.FAILED, arrange=version_is_refused),
    "AWS refuses the refresh": Case(5, "ValidationError", Phase.FAILED, arrange=refresh_is_refused),
    "somebody else has the lock": Case(4, "lock-is-free", None, arrange=locked),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_rollout_that_fails(case: Case) -> None:
    lab = Lab(policy=case.policy)
    case.arrange(lab)
    with pytest.raises(SlipwayError) as caught:
        lab.roll()
    assert caught.value.exit_code == case.code
    assert case.says in str(caught.value)
    assert caught.value.next_command
    assert (lab.pointer, lab.default_version) == (lab.old, 1)
    if case.phase:
        assert lab.record.phase is case.phase
        assert lab.locks.held == {}
    if case.versions:
        assert lab.versions == case.versions


def test_the_console_of_a_failed_machine_is_told() -> None:
    lab = Lab(policy={"max_failures": 1})
    lab.fleets.trouble[2] = Trouble.TARGET_HEALTH
    lab.computers.console_output = lambda instance_id: f"boot\npanic on {instance_id}\n"  # type: ignore[method-assign]
    with pytest.raises(SlipwayError) as caught:
        lab.roll()
    failed = lab.record.failures[0]
    assert failed.console == ("boot", f"panic on {failed.instance_id}")
    assert f"panic on {failed.instance_id}" in str(caught.value)


def test_all_errors_of_the_checks_are_told_and_nothing_is_changed() -> None:
    lab = Lab()
    lab.facts.made_subnets.clear()
    with pytest.raises(Refused, match="subnets-exist") as caught:
        lab.roll()
    assert caught.value.exit_code == 4
    assert lab.changes() == []
    assert len(lab.templates.versions[lab.template_id]) == 1


def test_people_are_told_of_start_checkpoint_rollback_and_end() -> None:
    lab = Lab(policy={"checkpoint_percentages": [50, 100], "checkpoint_delay_s": 60})
    lab.fleets.spared[2] = 2
    lab.fleets.trouble[2] = Trouble.HOOK
    with pytest.raises(SlipwayError):
        lab.roll()
    told = [each.removeprefix("rollout dev/api: ") for each in lab.notices.subjects]
    assert told == ["begun", "at checkpoint 50 %", "is taken back", "rolled back"]


@pytest.mark.parametrize("arrange", [alarm, rolled_back_by_others], ids=["an alarm", "others"])
def test_people_are_told_when_aws_begins_to_go_back(arrange: Callable[[Lab], object]) -> None:
    lab = Lab(policy={"alarms": ["errors"]})
    lab.facts.alarm_states["errors"] = AlarmState.OK
    arrange(lab)
    with pytest.raises(RolledBack):
        lab.roll()
    told = [each.removeprefix("rollout dev/api: ") for each in lab.notices.subjects]
    assert told == ["begun", "is taken back", "rolled back"]
    whats = [each.what for each in lab.record.notes]
    assert whats[-2:] == ["rollback", "ended"]


def test_a_topic_that_fails_stops_nothing() -> None:
    lab = Lab()
    lab.notices.fail("publish", *[AwsError("sns", "Publish", "AuthorizationError", "no")] * 9)
    lab.roll()
    assert lab.record.phase is Phase.SUCCEEDED
    assert any("nobody was told" in text for _, text in lab.reporter.of("note"))


def lose_lock(lab: Lab) -> None:
    """Let the lock of the run that watches expire, as on a laptop that sleeps."""
    lab.clock.schedule(30, lambda: setattr(lab.locks.given[-1][1], "is_lost", True))


def test_a_run_that_lost_its_lock_does_not_write_the_pointer_and_the_next_one_does() -> None:
    lab = Lab()
    lose_lock(lab)
    with pytest.raises(Refused, match="lost"):
        lab.roll()
    assert (lab.pointer, lab.default_version) == (lab.old, 1)
    lab.roll()
    assert (lab.pointer, lab.record.phase) == (lab.new, Phase.SUCCEEDED)
    assert len(lab.fleets.refreshes(GROUP)) == 1


def test_a_run_that_lost_its_lock_still_takes_a_bad_image_back() -> None:
    lab = Lab()
    lose_lock(lab)
    trouble(Trouble.STATUS_CHECK)(lab)
    with pytest.raises(RolledBack):
        lab.roll()
    assert lab.versions == [1, 1, 1, 1]


def test_an_image_that_was_taken_back_is_only_rolled_out_again_when_it_is_named() -> None:
    lab = Lab()
    lab.fleets.trouble[2] = Trouble.HOOK
    with pytest.raises(RolledBack):
        lab.roll()
    with pytest.raises(Refused, match="image-not-taken-back: rollout .* had to take .* back"):
        lab.roll()
    on_the_way = RolloutTarget("dev", "api", lab.new, is_chosen=True)
    assert [each.check for each in rollout.observe_and_plan(lab.world(), on_the_way).errors] == [
        "image-not-taken-back"
    ]
    lab.fleets.trouble.clear()
    lab.roll(lab.new)
    assert lab.record.phase is Phase.SUCCEEDED
