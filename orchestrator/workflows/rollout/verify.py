# SPDX-License-Identifier: Apache-2.0
"""Verify what a rollout has come to: AWS's word that a refresh succeeded is not the machines' own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from orchestrator.domain.fleet import FleetGroup
from orchestrator.domain.rollout.machines import not_rolled_out, not_taken_back
from orchestrator.domain.rollout.record import RolloutRecord
from orchestrator.errors import AwsError
from orchestrator.workflows.rollout.names import pointer_name
from orchestrator.workflows.rollout.patience import is_passing
from orchestrator.workflows.rollout.run import Run
from orchestrator.workflows.rollout.world import RolloutWorld

# A group may be busy with something else at the moment: scaling, or one ill machine.
LIMIT = timedelta(minutes=15)
_PAUSE_S = 5.0
_SHOWN = 5
_HEALTHY = "healthy"

Complaints = Callable[[RolloutWorld, RolloutRecord], Iterable[str]]


def rolled_out(run: Run) -> str:
    """Wait until every machine is new, healthy and in all zones; return what is wrong still, or nothing."""
    return _wait(run, _not_rolled_out)


def taken_back(run: Run) -> str:
    """Wait until no machine is new, and nothing says that the image is in use; return what is wrong still."""
    return _wait(run, _not_taken_back)


def _wait(run: Run, complaints: Complaints) -> str:
    clock = run.world.clock
    deadline_s = clock.monotonic_s() + LIMIT.total_seconds()
    while True:
        told = _ask(run, complaints)
        if not told or clock.monotonic_s() >= deadline_s:
            return told
        clock.sleep(_PAUSE_S)


def _ask(run: Run, complaints: Complaints) -> str:
    try:
        found = list(complaints(run.world, run.record))
    except AwsError as error:
        if not is_passing(error):
            raise
        return f"AWS does not answer: {error.cause}"
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more


def _not_rolled_out(world: RolloutWorld, record: RolloutRecord) -> Iterator[str]:
    group = world.fleets.group(record.group)
    yield from not_rolled_out(group, record.template_id, record.new_version or 0, record.preferences)
    yield from _not_healthy_targets(world, group)


def _not_healthy_targets(world: RolloutWorld, group: FleetGroup) -> Iterator[str]:
    serving = {each.instance_id for each in group.in_service}
    for arn in group.target_group_arns:
        states = {each.instance_id: each.state for each in world.targets.health(arn)}
        for instance_id in sorted(serving):
            if states.get(instance_id) != _HEALTHY:
                yield f"the balancer calls {instance_id} {states.get(instance_id, 'unknown')}"


def _not_taken_back(world: RolloutWorld, record: RolloutRecord) -> Iterator[str]:
    version = record.new_version or 0
    if version != record.old_version:
        group = world.fleets.group(record.group)
        yield from not_taken_back(group, record.template_id, version)


def is_untouched(run: Run) -> bool:
    """Tell whether the fleet's parameter still names what it named when the rollout began."""
    world, record, name = run.world, run.record, pointer_name(run.target)
    return world.parameters.get([name]).get(name, "") == record.pointer_before
