# SPDX-License-Identifier: Apache-2.0
"""What becomes of a stack's resources: as a change set tells it, or as two templates do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from orchestrator.domain.stack import HOLDS_DATA, Body


class Effect(StrEnum):
    """What happens to a resource."""

    ADDED = "added"
    CHANGED = "changed"
    REPLACED = "replaced"
    MAY_BE_REPLACED = "may be replaced"  # depends on a value that is only known while the update runs
    REMOVED = "removed"

    @property
    def is_destructive(self) -> bool:
        """Tell whether the resource that is there now may be lost."""
        return self in (Effect.REPLACED, Effect.MAY_BE_REPLACED, Effect.REMOVED)


@dataclass(frozen=True, slots=True)
class Change:
    """One resource. `properties` names what of it differs; `is_kept` says that AWS keeps the old one."""

    effect: Effect
    logical_id: str
    type_name: str
    physical_id: str = ""
    properties: tuple[str, ...] = ()
    is_kept: bool = False

    @property
    def endangers(self) -> str:
        """Return what may be lost, empty where it is nothing."""
        return HOLDS_DATA.get(self.type_name, "") if self.effect.is_destructive else ""

    def as_dict(self) -> dict[str, object]:
        """Return the change for `--json`."""
        return {
            "effect": self.effect.name.lower(),
            "logical_id": self.logical_id,
            "type": self.type_name,
            "physical_id": self.physical_id,
            "properties": list(self.properties),
            "is_kept": self.is_kept,
        }


class ChangeSetStatus(StrEnum):
    """How far a change set is."""

    PENDING = "pending"
    READY = "ready"
    EMPTY = "empty"  # there is nothing to change
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set. `reason` is AWS's own, when it has failed."""

    change_set_id: str
    stack_id: str
    status: ChangeSetStatus
    reason: str = ""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Forbidden:
    """A change that is not made because nobody asked for it by name."""

    stack: str
    change: Change

    def __str__(self) -> str:
        change = self.change
        return f"{self.stack}/{change.logical_id} ({change.type_name}) would be {_would(change)}"


def _would(change: Change) -> str:
    loses = f", and with it {change.endangers}" if not change.is_kept else "; AWS keeps the old one"
    why = f" for {', '.join(change.properties)}" if change.properties else ""
    return f"{change.effect.value}{why}{loses}" if change.endangers else f"{change.effect.value}{why}"


def is_named(stack: str, logical_id: str, allowed: Iterable[str]) -> bool:
    """Tell whether an operator has named a resource, by its logical id alone or as `stack/id`."""
    return not {logical_id, f"{stack}/{logical_id}"}.isdisjoint(allowed)


def forbidden(stack: str, changes: Iterable[Change], allowed: Iterable[str]) -> tuple[Forbidden, ...]:
    """Return what may not be done to a stack: losing what holds data without having been named."""
    names = frozenset(allowed)
    return tuple(
        Forbidden(stack, change)
        for change in changes
        if change.endangers and not is_named(stack, change.logical_id, names)
    )


def unannounced(stack: str, planned: Iterable[Change], found: Iterable[Change]) -> tuple[Forbidden, ...]:
    """Return what a plan did not show: a replacement or removal that only a later change set tells of."""
    shown = {change.logical_id for change in planned if change.effect.is_destructive}
    return tuple(
        Forbidden(stack, change)
        for change in found
        if change.effect.is_destructive and change.logical_id not in shown
    )


def changes_between(before: Body, after: Body) -> tuple[Change, ...]:
    """Return how two templates differ; what AWS would replace for it is not known from them."""
    old, new = _resources(before), _resources(after)
    changes = [_between(name, old.get(name), new.get(name)) for name in dict.fromkeys((*new, *old))]
    return tuple(change for change in changes if change)


def _between(name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Change | None:
    if old is None and new is not None:
        return Change(Effect.ADDED, name, new["Type"])
    if old is not None and new is None:
        is_kept = str(old.get("DeletionPolicy", "")).startswith("Retain")
        return Change(Effect.REMOVED, name, old["Type"], is_kept=is_kept)
    if old is None or new is None or old == new:
        return None
    if old["Type"] != new["Type"]:
        return Change(Effect.REPLACED, name, new["Type"], properties=("Type",))
    before, after = old.get("Properties", {}), new.get("Properties", {})
    names = (each for each in sorted({*before, *after}) if before.get(each) != after.get(each))
    attributes = (each for each in sorted({*old, *new} - {"Properties"}) if old.get(each) != new.get(each))
    return Change(Effect.CHANGED, name, new["Type"], properties=(*names, *attributes))


def _resources(body: Body) -> Mapping[str, Mapping[str, Any]]:
    resources: Mapping[str, Mapping[str, Any]] = body.get("Resources", {})
    return resources
