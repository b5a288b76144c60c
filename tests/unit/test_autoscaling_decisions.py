# SPDX-License-Identifier: Apache-2.0
"""What Auto Scaling decides, as tables."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.autoscaling import (
    decide,
    metrics,
    policies,
    schedules,
    selection,
    steps,
    zones,
)
from sandbox.autoscaling.decide import Balanced, Launch, Stuck, Terminate
from sandbox.autoscaling.group import Group, LaunchOrder, Process, Settings, Subnet, TemplateReference
from sandbox.autoscaling.member import (
    ON_LAUNCH,
    ON_TERMINATION,
    Hook,
    HookAction,
    Lifecycle,
    Member,
    Power,
    TemplateVersion,
)
from sandbox.autoscaling.steps import Step

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEMPLATE = TemplateReference("lt-1", "web", "$Latest")
SUBNETS = {zone: Subnet(f"subnet-{zone}", zone) for zone in "abcd"}


def make_group(placed: str = "", *, desired: int | None = None, over: str = "abcd", **options: Any) -> Group:
    """Return a group with an instance in service in each of the zones `placed`."""
    size = len(placed) if desired is None else desired
    subnets = tuple(SUBNETS[zone] for zone in over)
    settings = Settings(min_size=0, max_size=100, desired=size, template=TEMPLATE, subnets=subnets, **options)
    group = Group("web", "arn", NOW, settings)
    for zone in placed:
        add(group, zone)
    return group


def add(group: Group, zone: str = "a", *, age_s: float = 7200, version: int = 1, **options: Any) -> Member:
    """Add an instance, in service unless told."""
    number = len(group.members) + 1
    member = Member(
        instance_id=f"i-{number}",
        number=number,
        zone=zone,
        subnet_id=f"subnet-{zone}",
        instance_type="t3.small",
        image_id="ami-1",
        launched_at=NOW - timedelta(seconds=age_s),
        template=TemplateVersion("lt-1", "web", version),
        **{"state": Lifecycle.IN_SERVICE, "power": Power.RUNNING} | options,
    )
    group.add(member)
    return member


@pytest.mark.parametrize(
    ("present", "launches", "expected"),
    [
        ("", 4, {"a": 1, "b": 1, "c": 1, "d": 1}),
        ("", 6, {"a": 2, "b": 2, "c": 1, "d": 1}),
        ("aab", 3, {"b": 1, "c": 1, "d": 1}),
        ("aaaa", 1, {"b": 1}),
        ("bcd", 1, {"a": 1}),
        ("abcd", 0, {}),
    ],
)
def test_launches_go_where_the_fewest_are(present: str, launches: int, expected: dict[str, int]) -> None:
    assert zones.spread(Counter(present), "dcba", launches) == expected


@pytest.mark.parametrize(
    ("present", "over", "expected"),
    [
        ("aab", "ab", None),
        ("aaab", "ab", ("a", "b")),
        ("aabbd", "abcd", ("a", "c")),
        ("abz", "ab", ("z", "a")),
        ("", "ab", None),
    ],
)
def test_zones_are_unbalanced_when_two_apart(
    present: str, over: str, expected: tuple[str, str] | None
) -> None:
    assert zones.imbalance(Counter(present), over) == expected


def test_a_subnet_with_fewer_instances_comes_first_within_a_zone() -> None:
    pair = (Subnet("subnet-1", "a"), Subnet("subnet-2", "a"))
    assert zones.subnet_in("a", pair, {}) is pair[0]
    assert zones.subnet_in("a", pair, {"subnet-1": 1}) is pair[1]


AGES = [("i-1", 3000, 2), ("i-2", 9000, 3), ("i-3", 4000, 1)]


@pytest.mark.parametrize(
    ("chosen_by", "first"),
    [
        (["Default"], "i-3"),
        (["OldestInstance"], "i-2"),
        (["NewestInstance"], "i-1"),
        (["OldestLaunchTemplate"], "i-3"),
        (["ClosestToNextInstanceHour"], "i-1"),
    ],
)
def test_policies_choose_who_goes(chosen_by: list[str], first: str) -> None:
    group = make_group()
    for _, age_s, version in AGES:
        add(group, age_s=age_s, version=version)
    found = selection.choose(
        group.members.values(),
        1,
        counts=group.counted,
        policies=chosen_by,
        template=TEMPLATE,
        now=NOW,
        zones=("a",),
    )
    assert [member.instance_id for member in found] == [first]


def test_balance_goes_before_policy_and_a_left_zone_before_all() -> None:
    group = make_group("aabz")
    found = selection.choose(
        group.members.values(),
        4,
        counts=group.counted,
        policies=["NewestInstance"],
        template=TEMPLATE,
        now=NOW,
        zones=("a", "b"),
    )
    assert [member.zone for member in found] == ["z", "a", "b", "a"]


def test_a_group_launches_what_it_lacks_in_each_zone() -> None:
    group = make_group("aab", desired=5)
    group.reason = "At noon a user wanted more."
    cause = (
        "At noon a user wanted more.  At 2026-03-01T12:00:00Z an instance was started in response to a "
        "difference between desired and actual capacity, increasing the capacity from 3 to 5."
    )
    assert decide.decide(group, NOW) == [
        Launch(SUBNETS["c"], 1, cause),
        Launch(SUBNETS["d"], 1, cause),
    ]


def test_what_is_owed_is_launched_as_a_replacement() -> None:
    group = make_group("a", desired=3, over="ab")
    group.owed_replacements = 1
    first, second = decide.decide(group, NOW)
    assert isinstance(first, Launch)
    assert (first.subnet.zone, first.is_replacement) == ("b", True)
    assert isinstance(second, Launch)
    assert (second.subnet.zone, second.is_replacement) == ("a", False)


def test_launches_that_are_under_way_count() -> None:
    group = make_group("a", desired=3, over="ab")
    group.orders.append(LaunchOrder("token", SUBNETS["b"], 2, "", NOW))
    assert decide.decide(group, NOW) == []


def suspend(group: Group, *processes: Process) -> Group:
    """Suspend processes of a group."""
    group.suspended = {process: "" for process in processes}
    return group


@pytest.mark.parametrize(
    "group",
    [
        suspend(make_group("a", desired=2), Process.LAUNCH),
        suspend(make_group("ab", desired=1), Process.TERMINATE),
        suspend(make_group("aaab", over="ab"), Process.AZ_REBALANCE),
        suspend(make_group("aaab", over="ab"), Process.LAUNCH),
        make_group("ab"),
    ],
    ids=["no launch", "no termination", "no balancing", "no balancing without launches", "nothing to do"],
)
def test_nothing_is_decided(group: Group) -> None:
    assert decide.decide(group, NOW) == []


def test_launches_wait_after_failures_and_avoid_zones_that_failed() -> None:
    group = make_group(desired=2, over="ab")
    group.zone_retry_at["a"] = NOW + timedelta(seconds=1)
    assert [each.subnet.zone for each in decide.decide(group, NOW) if isinstance(each, Launch)] == ["b"]
    group.retry_at = NOW + timedelta(seconds=1)
    assert decide.decide(group, NOW) == []
    assert len(decide.decide(group, NOW + timedelta(seconds=1))) == 2


def test_protected_instances_are_not_chosen_and_it_is_said_once() -> None:
    group = make_group("aa", desired=0)
    group.members["i-1"].is_protected = True
    found = decide.decide(group, NOW)
    assert [type(each) for each in found] == [Terminate, Stuck]
    assert isinstance(found[0], Terminate)
    assert found[0].instance_id == "i-2"
    group.stuck_at = 0
    assert [type(each) for each in decide.decide(group, NOW)] == [Terminate]


def test_balancing_launches_first_and_lets_go_afterwards() -> None:
    group = make_group("aaaa", over="ab")
    (launch,) = decide.decide(group, NOW)
    assert isinstance(launch, Launch)
    assert (launch.subnet.zone, launch.count, launch.is_surplus) == ("b", 1, True)
    group.surplus = 1
    young = add(group, "b", state=Lifecycle.PENDING)
    assert decide.decide(group, NOW) == []
    group.move(young, Lifecycle.IN_SERVICE)
    assert [type(each) for each in decide.decide(group, NOW)] == [Balanced]
    group.surplus = 0
    (termination,) = decide.decide(group, NOW)
    assert isinstance(termination, Terminate)
    assert group.members[termination.instance_id].zone == "a"


def test_balancing_does_not_begin_when_nothing_may_move() -> None:
    group = make_group("aaa", over="ab")
    for member in group.members.values():
        member.is_protected = True
    assert decide.decide(group, NOW) == []


def waiting(*results: str | None, transition: str = ON_LAUNCH) -> list[HookAction]:
    """Return actions with these results."""
    hook = Hook("hook", transition)
    later = NOW + timedelta(hours=1)
    return [HookAction(hook, "token", later, later, result) for result in results]


HOOKS = [Hook("in", ON_LAUNCH), Hook("out", ON_TERMINATION)]
PENDING, WAIT = Lifecycle.PENDING, Lifecycle.PENDING_WAIT
LEAVES, LEAVE_WAIT = Lifecycle.TERMINATING, Lifecycle.TERMINATING_WAIT
GONE, SOON = Power.TERMINATED, NOW + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("expected", "options"),
    [
        (None, {"state": PENDING, "power": Power.PENDING}),
        (Step.WAIT_FOR_HOOKS, {"state": PENDING}),
        (Step.SERVE, {"state": PENDING, "has_run_hooks": True}),
        (Step.FAIL_LAUNCH, {"state": PENDING, "power": GONE}),
        (Step.FAIL_LAUNCH, {"state": WAIT, "power": GONE}),
        (None, {"state": WAIT, "actions": waiting("CONTINUE", None)}),
        (Step.PROCEED, {"state": WAIT, "actions": waiting("CONTINUE", "CONTINUE")}),
        (Step.ABANDON_LAUNCH, {"state": WAIT, "actions": waiting(None, "ABANDON")}),
        (Step.SERVE, {"state": Lifecycle.PENDING_PROCEED, "has_run_hooks": True}),
        (None, {}),
        (Step.MARK_UNHEALTHY, {"power": Power.STOPPED}),
        (Step.MARK_UNHEALTHY, {"is_impaired": True}),
        (Step.REPLACE, {"unhealthy": "a user health-check"}),
        (Step.RETARGET, {"target_groups": ["left"]}),
        (None, {"state": Lifecycle.STANDBY, "power": Power.STOPPED}),
        (Step.DEREGISTER, {"state": LEAVES, "target_groups": ["tg"]}),
        (None, {"state": LEAVES, "drains_until": SOON, "drain_checked_at": NOW}),
        (
            Step.CHECK_DRAIN,
            {"state": LEAVES, "drains_until": SOON, "drain_checked_at": NOW - steps.DRAIN_LOOK},
        ),
        (Step.WAIT_FOR_HOOKS, {"state": LEAVES, "drains_until": NOW}),
        (Step.WAIT_FOR_HOOKS, {"state": LEAVES}),
        (Step.TERMINATE, {"state": LEAVES, "has_run_hooks": True}),
        (None, {"state": LEAVES, "has_run_hooks": True, "is_termination_asked": True}),
        (None, {"state": LEAVES, "power": Power.SHUTTING_DOWN}),
        (Step.TERMINATE, {"state": LEAVES, "power": Power.STOPPED}),
        (Step.DROP, {"state": LEAVES, "power": GONE}),
        (Step.DEREGISTER, {"state": LEAVES, "power": GONE, "target_groups": ["tg"]}),
        (None, {"state": LEAVE_WAIT, "actions": waiting(None)}),
        (Step.END_TERMINATION, {"state": LEAVE_WAIT, "actions": waiting("CONTINUE")}),
        (Step.END_TERMINATION, {"state": LEAVE_WAIT, "actions": waiting("ABANDON", None)}),
        (Step.TERMINATE, {"state": Lifecycle.TERMINATING_PROCEED, "has_run_hooks": True}),
        (Step.DEREGISTER, {"state": Lifecycle.ENTERING_STANDBY, "target_groups": ["tg"]}),
        (Step.STAND_BY, {"state": Lifecycle.ENTERING_STANDBY}),
        (None, {"state": Lifecycle.DETACHING, "drains_until": SOON, "drain_checked_at": NOW}),
        (Step.DETACH, {"state": Lifecycle.DETACHING}),
    ],
)
def test_an_instance_takes_its_next_step(expected: Step | None, options: dict[str, Any]) -> None:
    group = make_group()
    group.hooks = {hook.name: hook for hook in HOOKS}
    assert steps.next_step(group, add(group, **options), NOW) is expected


def test_an_impaired_instance_has_its_grace() -> None:
    group = make_group(grace_s=300)
    member = add(group, is_impaired=True, in_service_at=NOW)
    assert steps.next_step(group, member, NOW) is None
    assert steps.due(group, member) == NOW + timedelta(seconds=300)
    assert steps.next_step(group, member, NOW + timedelta(seconds=300)) is Step.MARK_UNHEALTHY


def test_a_heartbeat_never_goes_beyond_the_global_timeout() -> None:
    hook = Hook("hook", ON_LAUNCH, heartbeat_s=60)
    action = HookAction(hook, "token", NOW, NOW + timedelta(seconds=hook.global_timeout_s))
    assert hook.global_timeout_s == 6000
    assert Hook("hook", ON_LAUNCH, heartbeat_s=7200).global_timeout_s == 48 * 3600
    action.beat(NOW + timedelta(seconds=10))
    assert action.deadline == NOW + timedelta(seconds=70)
    action.beat(NOW + timedelta(seconds=5990))
    assert action.deadline == NOW + timedelta(seconds=6000)


@pytest.mark.parametrize(
    ("kind", "adjustment", "least", "expected"),
    [
        ("ChangeInCapacity", 3, 0, 13),
        ("ExactCapacity", 4, 0, 4),
        ("PercentChangeInCapacity", 27, 0, 12),
        ("PercentChangeInCapacity", 4, 0, 11),
        ("PercentChangeInCapacity", -4, 0, 9),
        ("PercentChangeInCapacity", -66, 0, 4),
        ("PercentChangeInCapacity", 10, 3, 13),
        ("PercentChangeInCapacity", -10, 3, 7),
    ],
)
def test_adjustments_are_rounded_as_documented(kind: str, adjustment: int, least: int, expected: int) -> None:
    assert policies.adjusted(10, kind, adjustment, least) == expected


STEPS: tuple[dict[str, Any], ...] = (
    {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 1},
    {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 3},
    {"MetricIntervalUpperBound": 0, "MetricIntervalLowerBound": -20, "ScalingAdjustment": -1},
    {"MetricIntervalUpperBound": -20, "ScalingAdjustment": -2},
)


@pytest.mark.parametrize(
    ("breach", "expected"), [(0, 1), (9.9, 1), (10, 3), (500, 3), (-1, -1), (-20, -2), (-19.9, -1)]
)
def test_a_breach_falls_into_one_step(breach: float, expected: int) -> None:
    assert policies.step_adjustment(STEPS, breach) == expected


@pytest.mark.parametrize(
    ("warming", "breach", "expected"),
    [(0, 5, 11), (1, 5, 10), (1, 15, 12), (0, -5, 9), (1, -5, None)],
    ids=["out", "already under way", "a higher step adds the rest", "in", "not in while warming"],
)
def test_steps_allow_for_instances_that_warm_up(warming: int, breach: float, expected: int | None) -> None:
    policy = policies.Policy("p", "arn", "web", policies.STEP, "ChangeInCapacity", steps=STEPS)
    assert policies.scaled(policy, desired=10, warming=warming, breach=breach) == expected


@pytest.mark.parametrize(
    ("capacity", "metric", "target", "expected"),
    [(4, 75, 50, 6), (4, 50, 50, 4), (10, 12, 50, 3), (3, 0, 50, 0)],
)
def test_a_target_is_met_with_what_is_needed(
    capacity: int, metric: float, target: float, expected: int
) -> None:
    assert policies.tracked(capacity, metric, target) == expected


@pytest.mark.parametrize(
    ("recurrence", "zone", "expected"),
    [
        ("0 9 * * *", "UTC", "2026-03-02T09:00"),
        ("30 12 * * *", "UTC", "2026-03-01T12:30"),
        ("0 9 * * MON", "UTC", None),
        ("0 9 * * 1", "UTC", "2026-03-02T09:00"),
        ("0 9 * * 7", "UTC", "2026-03-08T09:00"),
        ("*/15 * * * *", "UTC", "2026-03-01T12:15"),
        ("0 0 1 1 *", "UTC", "2027-01-01T00:00"),
        ("0 9 * * *", "Europe/Berlin", "2026-03-02T08:00"),
        ("0 0 31 2 *", "UTC", None),
    ],
)
def test_schedules_recur(recurrence: str, zone: str, expected: str | None) -> None:
    try:
        found = schedules.next_match(recurrence, NOW, zone)
    except ValueError:
        found = None
    assert (None if found is None else f"{found:%Y-%m-%dT%H:%M}") == expected


def test_cpu_is_a_share_of_what_instances_have() -> None:
    group = make_group("ab")
    meter = metrics.CpuMeter(lambda _: 2)
    assert meter.data([group], {"i-1": 10.0, "i-2": 20.0}, NOW) == []
    later = NOW + timedelta(seconds=60)
    (datum,) = meter.data([group], {"i-1": 70.0, "i-2": 32.0, "i-3": 5.0}, later)
    assert datum["StatisticValues"] == {"SampleCount": 2, "Sum": 60.0, "Minimum": 10.0, "Maximum": 50.0}
    assert (datum["MetricName"], datum["Timestamp"]) == ("CPUUtilization", later)
