# SPDX-License-Identifier: Apache-2.0
"""Show how a fleet is: what runs, and how far a rollout of it is. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.fleet import FleetGroup
from orchestrator.domain.refresh import InstanceRefresh
from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.domain.rollout.progress import Progress
from orchestrator.domain.rollout.record import RolloutRecord
from orchestrator.errors import NotFound
from orchestrator.workflows.rollout import records
from orchestrator.workflows.rollout.look import Onlooker
from orchestrator.workflows.rollout.names import pointer_name
from orchestrator.workflows.rollout.observe import find_group, fleet_of, holder
from orchestrator.workflows.rollout.patience import patient
from orchestrator.workflows.rollout.world import RolloutWorld


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """How a fleet is.

    Attributes:
        record: Its latest rollout.
        progress: One look at the refresh that runs, or at the latest one's end; None when there was none.
        amis: The AMI by the launch template's version, of the versions that machines are of.
        pointer: The AMI that the fleet's parameter names.
        held_by: Who holds the fleet's lock, as `ann on laptop (run ...)`; empty when nobody does.
    """

    target: RolloutTarget
    record: RolloutRecord | None
    progress: Progress | None
    group: FleetGroup
    amis: Mapping[int, str]
    pointer: str = ""
    held_by: str = ""


def status(world: RolloutWorld, target: RolloutTarget) -> RolloutStatus:
    """Return how a fleet is.

    Raises:
        ConfigError: The environment has no such fleet.
        Refused: It has no group yet.
    """
    world = patient(world)
    world.guard_account()
    fleet_of(world, target)
    group = find_group(world, target)
    kept = records.latest(world, target.fleet)
    record = kept.record if kept else None
    seen = world.fleets.refreshes(group.name, limit=1)
    pointer, lock = pointer_name(target), holder(world, target)
    return RolloutStatus(
        target=target,
        record=record,
        progress=_progress(world, target, seen[0], record) if seen else None,
        group=group,
        amis=_amis(world, group),
        pointer=world.parameters.get([pointer]).get(pointer, ""),
        held_by=f"{lock.owner.user} on {lock.owner.host} (run {lock.owner.run_id})" if lock else "",
    )


def _progress(
    world: RolloutWorld, target: RolloutTarget, refresh: InstanceRefresh, record: RolloutRecord | None
) -> Progress:
    ours = record if record and refresh.refresh_id in record.refresh_ids else None
    pause = ours.pause if ours else None
    paused = f"by {pause.by} since {pause.at:%H:%M:%S} UTC" if pause else ""
    return Onlooker(world, target, refresh, record=ours, pause_of=lambda: paused).look()


def _amis(world: RolloutWorld, group: FleetGroup) -> dict[int, str]:
    numbers = {each.version for each in group.instances if each.template_id == group.template_id}
    if group.numbered_version:
        numbers.add(group.numbered_version)
    found: dict[int, str] = {}
    for number in sorted(each for each in numbers if each is not None):
        try:
            found[number] = world.templates.version(group.template_id, str(number)).ami_id
        except NotFound:
            continue  # deleted while its machines run
    return found
