# SPDX-License-Identifier: Apache-2.0
"""Remove what killed runs left behind, and nothing else: observe -> plan -> apply.

A leftover carries the tag of a run that holds no live lock. An image of ours is a leftover when it is not
published and nobody bakes its class. What has no tag of ours is never touched.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config.images import load_graph
from orchestrator.domain.image import CLASS_TAG, RUN_TAG, Image
from orchestrator.ports import Lock, Machine, Reporter, Tagged
from orchestrator.workflows.bake_ami.candidate import take_back
from orchestrator.workflows.bake_ami.lock_names import bake_lock
from orchestrator.workflows.world import World


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Everything that goes, in the order in which it goes."""

    run_ids: tuple[str, ...]
    machines: tuple[Machine, ...]
    images: tuple[Image, ...]
    snapshots: tuple[Tagged, ...]
    security_groups: tuple[Tagged, ...]
    keys: tuple[Tagged, ...]
    volumes: tuple[Tagged, ...]
    folders: tuple[Path, ...]

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to remove."""
        return not any(names for _, names in self._named())

    def as_dict(self) -> dict[str, object]:
        """Return the plan for `--json`."""
        return {kind: list(names) for kind, names in self._named()}

    def lines(self, *, is_dry_run: bool = False) -> tuple[str, ...]:
        """Return the plan as an operator reads it."""
        if self.is_empty:
            return ("nothing to remove",)
        verb = "would remove" if is_dry_run else "removed"
        return tuple(f"{verb} {kind}: {', '.join(names)}" for kind, names in self._named() if names)

    def _named(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return (
            ("machines", tuple(each.instance_id for each in self.machines)),
            ("images", tuple(f"{each.ami_id} ({each.name})" for each in self.images)),
            ("snapshots", _ids(self.snapshots)),
            ("security groups", _ids(self.security_groups)),
            ("key pairs", tuple(each.name for each in self.keys)),
            ("volumes", _ids(self.volumes)),
            ("folders", tuple(each.name for each in self.folders)),
        )


def _ids(resources: Sequence[Tagged]) -> tuple[str, ...]:
    return tuple(each.resource_id for each in resources)


def observe_and_plan(world: World) -> Leftovers:
    """Find the leftovers. Reads only.

    Locks are read first and last: what was listed of a run that published and ended meanwhile is no leftover,
    and neither is what belongs to one that has begun meanwhile.
    """
    prefix = bake_lock(world.environment.name, "")
    locks = world.locks.current(prefix)
    snapshots = world.images.snapshots_tagged(RUN_TAG)
    images = world.images.by_class(_class_names(world, snapshots))
    machines = world.machines.tagged(RUN_TAG)
    groups = world.machines.security_groups_tagged(RUN_TAG)
    keys = world.machines.keys_tagged(RUN_TAG)
    volumes = world.machines.volumes_tagged(RUN_TAG)
    folders = _run_folders(world.runs_folder)
    locks += world.locks.current(prefix)
    live_runs = frozenset(lock.owner.run_id for lock in locks)
    held = frozenset(snapshot_id for image in images for snapshot_id in image.snapshot_ids)
    return Leftovers(
        run_ids=tuple(sorted({folder.name for folder in folders} - live_runs)),
        machines=tuple(each for each in machines if each.tags[RUN_TAG] not in live_runs),
        images=tuple(each for each in images if _is_leftover(world, each, locks)),
        snapshots=tuple(each for each in _dead(snapshots, live_runs) if each.resource_id not in held),
        security_groups=_dead(groups, live_runs),
        keys=_dead(keys, live_runs),
        volumes=_dead(volumes, live_runs),
        folders=tuple(each for each in folders if each.name not in live_runs),
    )


def _class_names(world: World, snapshots: Sequence[Tagged]) -> tuple[str, ...]:
    """Return the classes of the project, and those it has no longer but images of."""
    names = {*load_graph(world.project).classes, *(each.tags.get(CLASS_TAG, "") for each in snapshots)}
    return tuple(sorted(names - {""}))


def _dead(resources: Sequence[Tagged], live_runs: frozenset[str]) -> tuple[Tagged, ...]:
    return tuple(each for each in resources if each.tags[RUN_TAG] not in live_runs)


def _is_leftover(world: World, image: Image, locks: Sequence[Lock]) -> bool:
    lock_name = bake_lock(world.environment.name, image.class_name)
    return image.is_unpublished and all(lock.name != lock_name for lock in locks)


def _run_folders(runs: Path) -> tuple[Path, ...]:
    return tuple(sorted(each for each in runs.iterdir() if each.is_dir())) if runs.is_dir() else ()


def apply(world: World, leftovers: Leftovers, reporter: Reporter) -> None:
    """Remove the leftovers: first what could still make new ones, then what others depend on last."""
    world.guard_account()
    reporter.step("leftovers", "ending programs of dead runs", position=(1, 4))
    for run_id in leftovers.run_ids:
        world.programs.end_run(run_id)
    reporter.step("leftovers", "terminating machines", position=(2, 4))
    if leftovers.machines:
        world.machines.terminate([each.instance_id for each in leftovers.machines])
    reporter.step("leftovers", "removing unpublished images", position=(3, 4))
    for image in leftovers.images:
        take_back(world, image)
    for snapshot in leftovers.snapshots:
        world.images.delete_snapshot(snapshot.resource_id)
    reporter.step("leftovers", "removing groups, keys, volumes and folders", position=(4, 4))
    _remove_surroundings(world, leftovers)
    reporter.done("leftovers", "all removed")


def _remove_surroundings(world: World, leftovers: Leftovers) -> None:
    for group in leftovers.security_groups:
        world.machines.delete_security_group(group.resource_id)
    for key in leftovers.keys:
        world.machines.delete_key(key.name)
    for volume in leftovers.volumes:
        world.machines.delete_volume(volume.resource_id)
    for folder in leftovers.folders:
        shutil.rmtree(folder, ignore_errors=True)
