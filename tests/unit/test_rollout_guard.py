# SPDX-License-Identifier: Apache-2.0
"""Which machines the guard counts, what is decided of a look at a refresh, and how soon the next one is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.fleet import FleetGroup, FleetInstance, ScalingActivity, TargetHealth
from orchestrator.domain.refresh import InstanceRefresh, RefreshPreferences, RefreshStatus, RollbackDetails
from orchestrator.domain.rollout.decide import (
    Continue,
    Ended,
    Ending,
    RollBack,
    checkpoint_reached,
    decide,
    next_pause_s,
    percentage_new,
)
from orchestrator.domain.rollout.guard import Guard, Look
from orchestrator.domain.rollout.progress import FailureKind, MachineFailure

SINCE = datetime(2026, 1, 1, 12, tzinfo=UTC)
TEMPLATE, NEW, OLD = "lt-1", 2, 1
ELB = "At T an instance was taken out of service in response to an ELB system health check failure."
IMPAIRED = "At T an instance was taken out of service in response to an EC2 instance status checks failure."
GONE = (
    "At T an instance was taken out of service in response to an EC2 health check indicating it has been "
    "terminated or stopped."
)
SHRINKS = (
    "At T an instance was taken out of service in response to a difference between desired and actual "
    "capacity, shrinking the capacity from 3 to 2."
)
ABANDONED = (
    "At T an instance was taken out of service in response to a launch lifecycle action that was abandoned."
)


def at(seconds: float) -> datetime:
    return SINCE + timedelta(seconds=seconds)


def machine(
    number: int, state: str = "InService", *, version: int = NEW, healthy: bool = True
) -> FleetInstance:
    return FleetInstance(
        f"i-{number:03x}", "a", state, is_healthy=healthy, template_id=TEMPLATE, version=version
    )


def group(*machines: FleetInstance, desired: int = 2, grace_s: int = 0) -> FleetGroup:
    return FleetGroup(
        "g", "arn", 0, 9, desired, TEMPLATE, "t", "1", instances=machines, grace_period_s=grace_s
    )


def launch(number: int | None, status: str, message: str = "", *, started: float = 1) -> ScalingActivity:
    said = "Launching a new EC2 instance" + (f": i-{number:03x}" if number is not None else "")
    return ScalingActivity(f"l{number}{started}", said, "", status, at(started), at(started + 1), message)


def termination(number: int, cause: str, *, started: float = 5) -> ScalingActivity:
    said = f"Terminating EC2 instance: i-{number:03x}"
    return ScalingActivity(f"t{number}", said, cause, "InProgress", at(started))


def look(
    seconds: float,
    seen: FleetGroup,
    *activities: ScalingActivity,
    targets: tuple[TargetHealth, ...] | None = None,
) -> Look:
    return Look(at(seconds), seen, activities, targets)


def guard(*known: MachineFailure) -> Guard:
    return Guard(TEMPLATE, NEW, since=SINCE, known=known)


def unhealthy(number: int) -> tuple[TargetHealth, ...]:
    return (TargetHealth(f"i-{number:03x}", "unhealthy", "Target.FailedHealthChecks"),)


FAILING = {
    "a launch that failed": ([look(2, group(), launch(None, "Failed", "no capacity"))], FailureKind.LAUNCH),
    "a hook that was abandoned": (
        [look(2, group(), launch(1, "Cancelled", "Lifecycle Action with token x was abandoned: Timeout"))],
        FailureKind.HOOK,
    ),
    "a termination after a hook": (
        [look(1, group(machine(1, "Pending:Wait"))), look(6, group(), termination(1, ABANDONED))],
        FailureKind.HOOK,
    ),
    "the balancer's word after the grace period": (
        [
            look(1, group(machine(1), grace_s=30)),
            look(31, group(machine(1), grace_s=30), targets=unhealthy(1)),
        ],
        FailureKind.TARGET_HEALTH,
    ),
    "the balancer's word on a machine that was in service before anybody looked": (
        [
            look(60, group(machine(1), grace_s=30), launch(1, "Successful", started=10)),
            look(61, group(machine(1), grace_s=30), targets=unhealthy(1)),
        ],
        FailureKind.TARGET_HEALTH,
    ),
    "a termination for the balancer": (
        [look(1, group(machine(1))), look(6, group(machine(1, "Terminating")), termination(1, ELB))],
        FailureKind.TARGET_HEALTH,
    ),
    "a machine that its group calls unhealthy": (
        [look(1, group(machine(1, healthy=False)))],
        FailureKind.STATUS_CHECK,
    ),
    "a termination for status checks": (
        [look(1, group(machine(1))), look(6, group(), termination(1, IMPAIRED))],
        FailureKind.STATUS_CHECK,
    ),
    "a machine that somebody terminated": (
        [look(1, group(machine(1))), look(6, group(), termination(1, GONE))],
        FailureKind.LOST,
    ),
    "a machine that is gone, with no word why": (
        [look(1, group(machine(1))), look(6, group()), look(36, group())],
        FailureKind.LOST,
    ),
}


@pytest.mark.parametrize(("looks", "kind"), FAILING.values(), ids=FAILING.keys())
def test_a_new_machine_has_failed_once(looks: list[Look], kind: FailureKind) -> None:
    watcher = guard()
    for each in (*looks, looks[-1], looks[-1]):
        watcher.take(each)
    assert [each.kind for each in watcher.failures] == [kind]


SOUND = {
    "an old machine that fails": [
        look(1, group(machine(1, version=OLD, healthy=False))),
        look(6, group(), termination(1, ELB)),
    ],
    "a launch that failed before it began": [look(2, group(), launch(None, "Failed", "x", started=-9))],
    "the balancer's word in the grace period": [
        look(1, group(machine(1), grace_s=30)),
        look(30, group(machine(1), grace_s=30), targets=unhealthy(1)),
    ],
    "a machine that is not in service yet": [
        look(99, group(machine(1, "Pending:Wait")), targets=unhealthy(1)),
    ],
    "a new machine too many": [
        look(1, group(machine(1))),
        look(6, group(machine(1, "Terminating")), termination(1, SHRINKS)),
        look(99, group()),
    ],
    "a group that got smaller": [
        look(1, group(machine(1), machine(2))),
        look(6, group(machine(2), desired=1)),
        look(99, group(machine(2), desired=1)),
    ],
    "a launch that is in the activities before it is in the group": [
        look(1, group(), launch(1, "InProgress")),
        look(20, group(machine(1, "Pending"))),
        look(60, group(machine(1))),
    ],
    "a machine that is going, until half a minute has passed": [
        look(1, group(machine(1))),
        look(6, group(machine(1, "Terminating"))),
        look(35, group(machine(1, "Terminating"))),
    ],
}


@pytest.mark.parametrize("looks", SOUND.values(), ids=SOUND.keys())
def test_what_is_no_failure_of_a_new_machine(looks: list[Look]) -> None:
    watcher = guard()
    for each in looks:
        assert watcher.take(each) == ()
    assert watcher.failures == []


def test_what_an_earlier_run_has_found_counts_and_is_not_told_again() -> None:
    known = MachineFailure("i-001", FailureKind.STATUS_CHECK, "x", SINCE)
    watcher = guard(known)
    assert watcher.take(look(6, group(machine(1, "Terminating")), termination(1, IMPAIRED))) == ()
    assert watcher.failures == [known]


def refresh(status: RefreshStatus, percentage: int = 0, **more: object) -> InstanceRefresh:
    fields: dict[str, object] = {"template_id": TEMPLATE, "version": NEW} | more
    return InstanceRefresh("r-1", "g", status, percentage=percentage, **fields)  # type: ignore[arg-type]


FAILURES = tuple(MachineFailure(f"i-{n}", FailureKind.HOOK, "x", SINCE) for n in range(2))
ENDINGS = {
    RefreshStatus.SUCCESSFUL: Ending.SUCCEEDED,
    RefreshStatus.ROLLBACK_SUCCESSFUL: Ending.TAKEN_BACK,
    RefreshStatus.CANCELLED: Ending.CANCELLED,
    RefreshStatus.FAILED: Ending.BROKEN,
    RefreshStatus.ROLLBACK_FAILED: Ending.BROKEN,
}


@pytest.mark.parametrize("status", list(RefreshStatus))
def test_a_refresh_is_over_goes_on_or_is_taken_back(status: RefreshStatus) -> None:
    few = decide(refresh(status), FAILURES[:1], max_failures=2)
    enough = decide(refresh(status), FAILURES, max_failures=2)
    if status in ENDINGS:
        assert isinstance(few, Ended)
        assert few.ending is ENDINGS[status]
        assert enough == few
    else:
        goes_forward = status in (RefreshStatus.PENDING, RefreshStatus.IN_PROGRESS, RefreshStatus.BAKING)
        assert few == Continue()
        assert isinstance(enough, RollBack if goes_forward else Continue)
    assert not isinstance(decide(refresh(status), FAILURES, max_failures=0), RollBack)


def test_the_first_reason_of_a_rollback_is_told_first() -> None:
    rolled = refresh(
        RefreshStatus.ROLLBACK_SUCCESSFUL, reason="done", rollback=RollbackDetails("an alarm", None, 40, 3)
    )
    assert decide(rolled, (), max_failures=1) == Ended(Ending.TAKEN_BACK, "an alarm; done")


@pytest.mark.parametrize(
    ("percentage", "reached"), [(0, 0), (24, 0), (25, 25), (49, 25), (60, 50), (100, 50)], ids=str
)
def test_the_last_checkpoint_reached_counts_and_the_end_is_none(percentage: int, reached: int) -> None:
    staged = RefreshPreferences(checkpoint_percentages=(25, 50, 100))
    running = refresh(RefreshStatus.IN_PROGRESS, percentage, preferences=staged)
    assert checkpoint_reached(running, percentage) == reached
    assert checkpoint_reached(refresh(RefreshStatus.BAKING, percentage, preferences=staged), percentage) == 0


def test_new_machines_of_the_refresh_before_count_for_a_promoted_one() -> None:
    running, half = refresh(RefreshStatus.IN_PROGRESS, 7), group(machine(1), machine(2, version=OLD))
    assert percentage_new(running, half, has_head_start=False) == 7
    assert percentage_new(running, half, has_head_start=True) == 50


def test_pauses_grow_while_nothing_moves_and_stay_short_enough_for_the_guard() -> None:
    for machines in (1, 20, 21, 10_000):
        for is_waiting in (False, True):
            pause_s = 2.0
            for _ in range(20):
                after_s = next_pause_s(pause_s, machines=machines, has_moved=False, is_waiting=is_waiting)
                assert after_s >= min(pause_s, 5)
                pause_s = after_s
            assert 2 * pause_s + 5 < 60  # the activities are read at each second look
            moving_s = next_pause_s(pause_s, machines=machines, has_moved=True, is_waiting=is_waiting)
            assert moving_s == (8 if machines == 10_000 else 2)
