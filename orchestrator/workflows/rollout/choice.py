# SPDX-License-Identifier: Apache-2.0
"""Choose what a fleet is to run, and see what it runs now."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from orchestrator.domain.manifest import Manifest
from orchestrator.domain.rollout.differences import difference_lines
from orchestrator.domain.rollout.plan import Action, ImageChange
from orchestrator.domain.rollout.record import Phase, RolloutRecord
from orchestrator.errors import Refused
from orchestrator.workflows.bake_ami.publication import manifest_key
from orchestrator.workflows.rollout.names import command
from orchestrator.workflows.rollout.observe import Observation
from orchestrator.workflows.rollout.world import RolloutWorld


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be done, and with which images.

    Attributes:
        version: The version to go to if there is one with the image already, else it is made.
        attaches_to: What runs already, in a sentence.
    """

    action: Action
    old_ami_id: str
    new_ami_id: str
    version: int | None = None
    attaches_to: str = ""


def choose(observation: Observation) -> Choice:
    """Return what is to be done.

    Raises:
        Refused: There is no image to roll out; or another one is being rolled out.
    """
    if record := observation.active_record:
        _refuse_another(observation, record.new_ami_id, f"rollout {record.rollout_id}")
        said = f"{record.rollout_id}, begun by {record.begun_by} at {record.begun_at:%Y-%m-%d %H:%M:%S} UTC"
        return Choice(Action.ATTACH, record.old_ami_id, record.new_ami_id, record.new_version, said)
    if refresh := observation.active_refresh:
        ami_id = observation.ami_of((refresh.template_id, refresh.version or 0))
        _refuse_another(observation, ami_id, f"refresh {refresh.refresh_id}")
        said = f"refresh {refresh.refresh_id}, which was not begun by a rollout of ours"
        return Choice(Action.ATTACH, running_ami(observation, but=ami_id), ami_id, refresh.version, said)
    wanted = observation.target.ami_id or newest_published(observation)
    old = running_ami(observation, but=wanted)
    if not is_all_on(observation, wanted) or observation.source.ami_id != wanted:
        return Choice(Action.START, old, wanted, _reusable(observation, wanted))
    is_finished = observation.pointer == wanted and observation.source.is_default
    action = Action.NOTHING if is_finished else Action.FINISH
    return Choice(action, wanted, wanted, observation.source.number)


def newest_published(observation: Observation) -> str:
    """Return the newest image of the fleet's class that a bake has published."""
    for image in observation.images:
        if image.is_published:
            return image.ami_id
    server_class, environment = observation.fleet.server_class, observation.target.environment
    raise Refused(
        f"rollout of {observation.target.name}",
        f"class {server_class} has no published image",
        next_command=f"invoke bake-ami --environment {environment} --server-class {server_class}",
    )


def running_ami(observation: Observation, *, but: str) -> str:
    """Return what most machines run beside the image they are to run; the group's own if that is all."""
    counts = Counter(
        observation.ami_of((each.template_id, each.version or 0)) for each in observation.group.in_service
    )
    others = [ami_id for ami_id, _ in counts.most_common() if ami_id not in ("", but)]
    return others[0] if others else observation.source.ami_id


def is_all_on(observation: Observation, ami_id: str) -> bool:
    """Tell whether every machine in service runs an image."""
    serving = observation.group.in_service
    return all(observation.ami_of((each.template_id, each.version or 0)) == ami_id for each in serving)


def image_change(world: RolloutWorld, observation: Observation, choice: Choice) -> ImageChange:
    """Return how the images differ, from the manifests that their bakes have left."""
    old, new = observation.image(choice.old_ami_id), observation.image(choice.new_ami_id)
    manifests = [_manifest(world, each.name) for each in (old, new) if each and old != new]
    before, after = manifests if len(manifests) == 2 else (None, None)  # noqa: PLR2004 - a pair
    return ImageChange(
        choice.old_ami_id,
        choice.new_ami_id,
        old.name if old else "",
        new.name if new else "",
        difference_lines(before, after) if before and after else (),
    )


def _manifest(world: RolloutWorld, image_name: str) -> Manifest | None:
    stored = world.objects.get(manifest_key(image_name))
    return Manifest.from_json(stored.body.decode()) if stored else None


def _reusable(observation: Observation, ami_id: str) -> int | None:
    """Return a version with the image that need not be made: the group's own, or an aborted rollout's."""
    source, last = observation.source, observation.kept.record if observation.kept else None
    if source.ami_id == ami_id and observation.group.numbered_version == source.number:
        return source.number
    if last and _was_left(last) and last.new_ami_id == ami_id and last.old_version == source.number:
        return last.new_version
    return None


def _was_left(record: RolloutRecord) -> bool:
    return record.phase in (Phase.ABORTED, Phase.FAILED)


def _refuse_another(observation: Observation, ami_id: str, what: str) -> None:
    asked = observation.target.ami_id
    if asked and asked != ami_id:
        raise Refused(
            f"rollout of {observation.target.name} to {asked}",
            f"{what} to {ami_id or 'another image'} is under way",
            next_command=f"{command('rollout.status', observation.target)}; wait for its end, or abort it",
        )
