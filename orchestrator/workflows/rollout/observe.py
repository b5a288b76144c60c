# SPDX-License-Identifier: Apache-2.0
"""Look at a fleet and at what was done to it: a dozen calls at any size. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.config.fleets import Fleet
from orchestrator.domain.fleet import FleetGroup, LaunchTemplateVersion, ScalingActivity
from orchestrator.domain.image import Image
from orchestrator.domain.refresh import InstanceRefresh
from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.domain.rollout.record import RolloutRecord
from orchestrator.errors import ConfigError, NotFound, Refused
from orchestrator.ports import Lock
from orchestrator.workflows.rollout import records
from orchestrator.workflows.rollout.names import group_name, lock_name, pointer_name
from orchestrator.workflows.rollout.records import Kept
from orchestrator.workflows.rollout.world import RolloutWorld

# A fleet has machines of one version, of two in a rollout. What was left half-done may have some more.
_MOST_VERSIONS = 5
# What is told by a page of scaling activities, and how many pages tell enough of the largest fleet: the last
# of thousands of machines is foretold by the slowest of hundreds.
_ACTIVITIES_A_PAGE, _MOST_PAGES = 100, 5

# A launch template's id and the number of a version of it.
VersionKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Observation:
    """What a plan is made from.

    Attributes:
        source: The version of the launch template that the group names.
        versions: The versions that machines are of, as far as they still exist.
        images: Those of the fleet's class, newest first.
        pointer: The AMI that the fleet's parameter names, empty without one.
        activities: The latest, newest first; likewise `refreshes`.
        kept: The record of the latest rollout.
        holder: Who changes the fleet right now.
    """

    target: RolloutTarget
    fleet: Fleet
    group: FleetGroup
    source: LaunchTemplateVersion
    versions: Mapping[VersionKey, LaunchTemplateVersion]
    images: tuple[Image, ...]
    pointer: str
    activities: tuple[ScalingActivity, ...]
    refreshes: tuple[InstanceRefresh, ...]
    kept: Kept | None
    holder: Lock | None

    @property
    def active_refresh(self) -> InstanceRefresh | None:
        """Return the refresh that runs."""
        return next((each for each in self.refreshes if each.status.is_active), None)

    @property
    def active_record(self) -> RolloutRecord | None:
        """Return the record of the rollout that is not over."""
        return self.kept.record if self.kept and not self.kept.record.phase.is_over else None

    def image(self, ami_id: str) -> Image | None:
        """Return an image of the fleet's class by its id."""
        return next((each for each in self.images if each.ami_id == ami_id), None)

    def ami_of(self, key: VersionKey) -> str:
        """Return the AMI of a version, empty if it is not known."""
        return self.versions[key].ami_id if key in self.versions else ""


def fleet_of(world: RolloutWorld, target: RolloutTarget) -> Fleet:
    """Return what the environment's file says of a fleet.

    Raises:
        ConfigError: It has no such fleet.
    """
    fleets = world.environment.fleets
    if target.fleet not in fleets:
        path = f"environments/{world.environment.name}.yaml"
        known = ", ".join(fleets) or "none"
        raise ConfigError(path, (f"{path}: fleets.{target.fleet}: no such fleet; there are: {known}",))
    return fleets[target.fleet]


def observe(world: RolloutWorld, target: RolloutTarget) -> Observation:
    """Look at a fleet.

    Raises:
        ConfigError: The environment has no such fleet.
        Refused: It has no group yet.
    """
    fleet = fleet_of(world, target)
    group = find_group(world, target)
    pointer = pointer_name(target)
    source = world.templates.version(group.template_id, group.template_version)
    keys = {(each.template_id, each.version) for each in group.instances if each.version is not None}
    return Observation(
        target=target,
        fleet=fleet,
        group=group,
        source=source,
        versions=_versions(world, source, [(name, number) for name, number in keys if number is not None]),
        images=world.images.by_class([fleet.server_class]),
        pointer=world.parameters.get([pointer]).get(pointer, ""),
        activities=world.fleets.activities(group.name, limit=_activities_read(group.desired_capacity)),
        refreshes=world.fleets.refreshes(group.name),
        kept=records.latest(world, target.fleet),
        holder=holder(world, target),
    )


def _activities_read(machines: int) -> int:
    """Return how many activities are read to time a fleet: of each machine a launch and a termination."""
    pages = -(-2 * machines // _ACTIVITIES_A_PAGE)
    return _ACTIVITIES_A_PAGE * min(max(1, pages), _MOST_PAGES)


def find_group(world: RolloutWorld, target: RolloutTarget) -> FleetGroup:
    """Return a fleet's group.

    Raises:
        Refused: There is none.
    """
    try:
        return world.fleets.group(group_name(target))
    except NotFound as error:
        raise Refused(
            f"rollout of {target.name}",
            f"there is no Auto Scaling group {group_name(target)}",
            next_command=f"invoke provision --environment {target.environment}",
        ) from error


def holder(world: RolloutWorld, target: RolloutTarget) -> Lock | None:
    """Return the lock of whoever changes a fleet right now, None when nobody does."""
    name = lock_name(target)
    return next((each for each in world.locks.current(name) if each.name == name), None)


def _versions(
    world: RolloutWorld, source: LaunchTemplateVersion, keys: Iterable[VersionKey]
) -> dict[VersionKey, LaunchTemplateVersion]:
    found = {(source.template_id, source.number): source}
    for template_id, number in sorted(set(keys) - found.keys(), reverse=True)[:_MOST_VERSIONS]:
        try:
            found[template_id, number] = world.templates.version(template_id, str(number))
        except NotFound:
            continue  # its machines still run; what they run can't be told
    return found
