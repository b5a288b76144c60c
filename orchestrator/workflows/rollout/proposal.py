# SPDX-License-Identifier: Apache-2.0
"""Propose what would finish sooner, within the capacity floor, the surge budget and the quotas."""

from __future__ import annotations

import math
from collections.abc import Callable

from orchestrator.config.rollout import Rollout
from orchestrator.domain.fleet import FleetGroup
from orchestrator.domain.forecast import Limits, optimise
from orchestrator.domain.forecast.course import Course, FleetShape, Timing
from orchestrator.domain.refresh import RefreshPreferences
from orchestrator.errors import AwsError
from orchestrator.workflows.rollout.world import RolloutWorld

_Ask = Callable[[RolloutWorld, FleetGroup, str], int | None]


def propose(  # noqa: PLR0913 - what a plan is made from
    world: RolloutWorld,
    policy: Rollout,
    group: FleetGroup,
    *,
    instance_type: str,
    shape: FleetShape,
    timing: Timing,
    preferences: RefreshPreferences,
    course: Course,
) -> tuple[str, ...]:
    """Return in sentences the preferences that finish soonest, and what they would save."""
    limits = Limits(
        least_in_service=math.ceil(group.desired_capacity * policy.min_healthy_percentage / 100),
        most_running=_most_running(world, group, instance_type),
        surge_usd=policy.surge_budget_usd,
        preferences=preferences,
    )
    return optimise(shape, timing, limits).lines(course)


def _most_running(world: RolloutWorld, group: FleetGroup, instance_type: str) -> int | None:
    """Return how many machines quotas, addresses and target groups allow; None if nobody can tell."""
    rooms = (_or_none(ask, world, group, instance_type) for ask in (_by_vcpus, _by_addresses, _by_targets))
    return min((each for each in rooms if each is not None), default=None)


def _or_none(ask: _Ask, world: RolloutWorld, group: FleetGroup, instance_type: str) -> int | None:
    try:
        return ask(world, group, instance_type)
    except AwsError:
        return None  # what may not be read is not a limit to a proposal; the checks tell of it


def _by_vcpus(world: RolloutWorld, group: FleetGroup, instance_type: str) -> int | None:
    kind = world.facts.instance_type(instance_type)
    if kind is None:
        return None
    room = world.facts.vcpu_room(instance_type)
    used = max(room.used or 0, len(group.instances) * kind.vcpus)
    return len(group.instances) + max(0, room.quota - used) // kind.vcpus


def _by_addresses(world: RolloutWorld, group: FleetGroup, _: str) -> int | None:
    subnets = world.facts.subnets(group.subnet_ids)
    return len(group.instances) + sum(each.free_addresses for each in subnets.values()) if subnets else None


def _by_targets(world: RolloutWorld, group: FleetGroup, _: str) -> int | None:
    return world.facts.target_limits().per_group if group.target_group_arns else None
