# SPDX-License-Identifier: Apache-2.0
"""What a bake would do, decided from what the images are made of and which images there are. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.bake_key import bake_key, changed_files
from orchestrator.domain.image import Image, ImageState, ImageStatus, SourceImage, image_name

# So many changed files are named; the rest are counted.
FILES_SHOWN = 5


class Action(StrEnum):
    """What happens to a class."""

    UP_TO_DATE = "up to date"
    BAKE = "bake"
    RESUME = "resume"  # a candidate of a killed bake exists: only its boot test and publication are left


@dataclass(frozen=True, slots=True)
class ClassInputs:
    """A class as the project states it: `files` maps each file of its closure to its hash."""

    name: str
    playbook: str
    parent: str | None
    source: SourceImage | None
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """What happens to one class, and why. `foundation` is the name of the image it stands on."""

    inputs: ClassInputs
    action: Action
    bake_key: str
    image_name: str
    foundation: str
    published: Image | None = None
    candidate: Image | None = None
    newest: Image | None = None
    reason: str = ""

    @property
    def name(self) -> str:
        """Return the name of the class."""
        return self.inputs.name

    def as_dict(self) -> dict[str, object]:
        """Return the plan of the class for `--json`."""
        return {
            "class": self.name,
            "action": self.action.value,
            "image_name": self.image_name,
            "ami_id": self.published.ami_id if self.published else None,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class BakePlan:
    """The classes in the order of their graph; those of one level don't depend on each other."""

    levels: tuple[tuple[ClassPlan, ...], ...]

    @property
    def classes(self) -> tuple[ClassPlan, ...]:
        """Return all classes, parents first."""
        return tuple(each for level in self.levels for each in level)

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing has to be done."""
        return all(each.action is Action.UP_TO_DATE for each in self.classes)

    def as_dict(self) -> dict[str, object]:
        """Return the plan for `--json`."""
        return {"classes": [each.as_dict() for each in self.classes]}

    def lines(self) -> tuple[str, ...]:
        """Return the plan as an operator reads it."""
        return tuple(_line(each) for each in self.classes)


def _line(plan: ClassPlan) -> str:
    if plan.published and plan.action is Action.UP_TO_DATE:
        return f"{plan.name}: up to date, {plan.published.ami_id} ({plan.image_name})"
    return f"{plan.name}: {plan.action.value}, {plan.reason}"


def make_plan(
    levels: Sequence[Sequence[ClassInputs]], images: Sequence[Image], *, forced: frozenset[str]
) -> BakePlan:
    """Decide for every class whether its image exists, can be finished, or has to be baked.

    A key depends on the name of the image below, so a parent that will be baked changes its children's.
    """
    names: dict[str, str] = {}
    planned = []
    for level in levels:
        plans = []
        for inputs in level:
            foundation = inputs.source.name if inputs.source else names[inputs.parent or ""]
            ours = tuple(image for image in images if image.class_name == inputs.name)
            plan = _plan_class(inputs, foundation, ours, is_forced=inputs.name in forced)
            names[inputs.name] = plan.image_name
            plans.append(plan)
        planned.append(tuple(plans))
    return BakePlan(tuple(planned))


def _plan_class(
    inputs: ClassInputs, foundation: str, images: Sequence[Image], *, is_forced: bool
) -> ClassPlan:
    key = bake_key(inputs.files, foundation)
    same = tuple(image for image in images if image.bake_key == key)
    published = max((image for image in same if image.is_published), key=_revision_of, default=None)
    candidate = next((image for image in same if _is_resumable(image)), None)
    newest = next((image for image in images if image.is_published), None)
    if published and not is_forced:
        action, name, reason = Action.UP_TO_DATE, published.name, ""
    elif candidate and not is_forced:
        action, name, reason = Action.RESUME, candidate.name, "its candidate waits for the boot test"
    else:
        revision = 1 + max((image.revision for image in same if image.is_published), default=-1)
        action, name = Action.BAKE, image_name(inputs.name, key, revision)
        reason = _why(published, newest)
    return ClassPlan(
        inputs=inputs,
        action=action,
        bake_key=key,
        image_name=name,
        foundation=foundation,
        published=published,
        candidate=candidate if action is Action.RESUME else None,
        newest=newest,
        reason=reason,
    )


def _revision_of(image: Image) -> int:
    return image.revision


def _is_resumable(image: Image) -> bool:
    return image.state is ImageState.CANDIDATE and image.status is ImageStatus.AVAILABLE


def _why(published: Image | None, newest: Image | None) -> str:
    if published:
        return f"forced although {published.ami_id} is up to date"
    return f"differs from its newest image {newest.ami_id}" if newest else "no image yet"


def explain_changes(plan: ClassPlan, before: Mapping[str, str], *, foundation_before: str) -> tuple[str, ...]:
    """Say what changed since the newest image of the class, which was made of `before`."""
    changes = changed_files(before, plan.inputs.files)
    groups = (("changed", changes.changed), ("added", changes.added), ("removed", changes.removed))
    told = [f"{word} {_few(paths)}" for word, paths in groups if paths]
    if foundation_before != plan.foundation:
        told.append(f"stands on {plan.foundation} instead of {foundation_before}")
    return tuple(told)


def _few(paths: Sequence[str]) -> str:
    shown = ", ".join(paths[:FILES_SHOWN])
    rest = len(paths) - FILES_SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown
