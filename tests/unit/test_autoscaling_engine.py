# SPDX-License-Identifier: Apache-2.0
"""Groups over time, with services that are only remembered."""

from __future__ import annotations

from collections import Counter

import pytest

from sandbox.api.ledger import State as Ec2State
from sandbox.autoscaling.group import Process
from sandbox.autoscaling.member import Lifecycle
from sandbox.autoscaling.work import Outcome, Work

from .autoscaling_fleet import BOOT_S, Fleet

TARGETS = ("tg-1",)


class HastyFleet(Fleet):
    """Instances run before the call that launches them is answered."""

    def carry_out(self, work: Work) -> Outcome:
        outcome = super().carry_out(work)
        for made in outcome.launches.values():
            self._enter([each.instance_id for each in made], Ec2State.RUNNING)  # type: ignore[union-attr]
        self.clock.advance(0)
        return outcome


@pytest.fixture(name="fleet")
def fixture_fleet() -> Fleet:
    """Return what groups can be made in."""
    return Fleet()


def test_one_call_per_zone_launches_however_many(fleet: Fleet) -> None:
    group = fleet.group(400)
    fleet.clock.advance(BOOT_S)
    assert [order.count for work in fleet.works for order in work.orders] == [100] * 4
    assert Counter(member.state for member in group.members.values()) == {Lifecycle.IN_SERVICE: 400}


def test_an_instance_may_run_before_its_launch_is_answered() -> None:
    fleet = HastyFleet()
    group = fleet.group(2)
    fleet.clock.advance(0)
    assert {member.state for member in group.members.values()} == {Lifecycle.IN_SERVICE}


def test_instances_that_the_balancer_finds_ill_are_replaced_once_their_grace_is_over(fleet: Fleet) -> None:
    group = fleet.group(2, grace_s=60, health_check_type="ELB", target_groups=TARGETS)
    fleet.clock.advance(BOOT_S)
    fleet.unhealthy = {"i-1"}
    fleet.clock.advance(59)
    assert list(group.members) == ["i-1", "i-2"]
    fleet.clock.advance(BOOT_S + 15)
    assert list(group.members) == ["i-2", "i-3"]
    causes = [each.cause.partition(" an instance ")[2] for each in fleet.state.activities["web"]]
    assert "was taken out of service in response to an ELB system health check failure." in causes


def test_the_balancer_is_asked_every_ten_seconds_and_only_where_it_counts(fleet: Fleet) -> None:
    group = fleet.group(1, health_check_type="ELB", target_groups=TARGETS)
    fleet.clock.advance(BOOT_S + 100)
    asked = sum(bool(work.check_health) for work in fleet.works)
    group.settings.health_check_type = "EC2"
    fleet.clock.advance(100)
    assert 10 <= asked <= 14
    assert sum(bool(work.check_health) for work in fleet.works) <= asked + 1


def test_a_draining_target_delays_the_end_by_its_whole_time(fleet: Fleet) -> None:
    fleet.delay_s = 20
    group = fleet.group(1, zones="a", target_groups=TARGETS)
    fleet.clock.advance(BOOT_S)
    fleet.resize(0)
    fleet.clock.advance(19)
    assert [member.state for member in group.members.values()] == [Lifecycle.TERMINATING]
    fleet.clock.advance(1)
    assert group.members == {}
    assert [len(work.check_drain) for work in fleet.works if work.check_drain] == [1, 1, 1]


def test_what_came_while_adding_was_suspended_is_not_added_later(fleet: Fleet) -> None:
    group = fleet.group(1, target_groups=TARGETS)
    group.suspended = {Process.ADD_TO_LOAD_BALANCER: ""}
    fleet.clock.advance(BOOT_S)
    group.suspended = {}
    group.look_at(group.members["i-1"])
    fleet.resize(2)
    fleet.clock.advance(BOOT_S)
    assert [work.register for work in fleet.works if work.register] == [{"tg-1": ["i-2"]}]


def test_nothing_is_looked_at_while_nothing_happens(fleet: Fleet) -> None:
    group = fleet.group(100)
    fleet.clock.advance(BOOT_S)
    assert group.moving == {}
    works = len(fleet.works)
    fleet.clock.advance(24 * 3600)
    assert len(fleet.works) == works


def test_the_same_calls_make_the_same_group() -> None:
    stories = []
    for _ in range(2):
        fleet = Fleet()
        group = fleet.group(9)
        fleet.clock.advance(BOOT_S)
        fleet.resize(5)
        fleet.clock.advance(BOOT_S)
        fleet.resize(7)
        fleet.clock.advance(BOOT_S)
        causes = [(each.description, each.cause) for each in fleet.state.activities["web"]]
        stories.append((list(group.members), causes))
    assert stories[0] == stories[1]
