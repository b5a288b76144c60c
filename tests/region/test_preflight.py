# SPDX-License-Identifier: Apache-2.0
"""What a pre-flight finds in a simulated region, through the adapters to AWS, and in how many calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from orchestrator.domain.forecast.course import Course, Spread
from orchestrator.domain.preflight_finding import Level

from .preflight_fleet import PreflightFleet
from .quotas import raise_quotas
from .simulated_world import simulated

READS = ("Describe", "Get", "List")
# A rollout may take 60 calls before it begins; some of them are the plan's own.
MOST_CALLS = 30


@pytest.fixture(scope="module")
def fleet() -> Iterator[PreflightFleet]:
    """Return a fleet that all tests of this module share: whatever its size, nothing speaks against it."""
    for client in simulated():
        yield PreflightFleet(client)


def test_nothing_speaks_against_a_sound_fleet(fleet: PreflightFleet) -> None:
    assert fleet.look() == ()
    assert [name for name in fleet.session.sent if not name.startswith(READS)] == []


def test_the_calls_are_few_whatever_the_size_of_the_fleet(fleet: PreflightFleet) -> None:
    fleet.look()
    small = sorted(fleet.session.sent)
    fleet.change("set_desired_capacity", DesiredCapacity=100)
    fleet.client.advance(300)
    intent = fleet.intent(fleet.world())
    assert len(intent.group.in_service) == 100
    assert fleet.look() == ()
    assert sorted(fleet.session.sent) == small
    # However many machines the group tells of, no more is asked.
    every = replace(intent.group, instances=intent.group.instances * 100, desired_capacity=10_000)
    fleet.look(group=every)
    assert sorted(fleet.session.sent) == small
    assert len(small) <= MOST_CALLS


def test_the_room_is_that_of_the_account(fleet: PreflightFleet) -> None:
    course = Course(Spread(60, 90, 120), (), (), 4, 2_000, 1.0, 0.0)
    assert fleet.checks(course=course) == ["balancer-quota", "target-group-quota", "vcpu-quota"]
    raise_quotas(fleet.api("service-quotas"), 10_000)
    assert fleet.checks(course=course) == []


def test_addresses_run_out_before_machines_do(fleet: PreflightFleet) -> None:
    course = Course(Spread(60, 90, 120), (), (), 4, 17_000, 1.0, 0.0)
    assert "addresses" in fleet.checks(course=course)


def test_what_aws_does_not_answer_is_told_with_the_call(fleet: PreflightFleet) -> None:
    fleet.client.fault(kind="api", code="ServiceUnavailable", service="service-quotas")
    fleet.client.fault(kind="api", code="ServiceUnavailable", service="cloudformation")
    try:
        found = fleet.look()
    finally:
        fleet.client.page("DELETE", "faults")
    assert {each.level for each in found} == {Level.WARNING}
    said = {each.check: each.says.partition(" failed: ")[0] for each in found}
    assert said == {
        "vcpu-quota": "could not be checked: service-quotas GetServiceQuota",
        "stack-is-settled": "could not be checked: cloudformation DescribeStacks",
        "stack-is-sound": "could not be checked: cloudformation DescribeStacks",
        "no-change-waits": "could not be checked: cloudformation ListChangeSets",
    }
