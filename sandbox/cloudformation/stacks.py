# SPDX-License-Identifier: Apache-2.0
"""Stacks as plain data. They live on moto's CloudFormation backend, and so are saved with the region.

Whoever reads or changes them holds the lock of the service.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.cloudformation.models import cloudformation_backends

HISTORY = 100


@dataclass(slots=True)
class StackResource:
    """A resource of a stack.

    Attributes:
        name: The physical name a resource without one of its own gets; drawn once for each creation.
        properties: As the template has them, intrinsic functions resolved, dynamic references as written.
        applied: As they were given to the handler; the values of secrets stay references.
        template: The resource's part of the template, as written.
        needs: The resources it depends on.
        tags: The stack's tags it was made with.
    """

    logical_id: str
    type_name: str
    name: str
    template: dict[str, Any]
    status: str
    changed_at: datetime
    reason: str | None = None
    physical_id: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    applied: dict[str, Any] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    tags: dict[str, str] = field(default_factory=dict)
    drift_status: str = "NOT_CHECKED"
    drift_checked_at: datetime | None = None
    drift: dict[str, Any] = field(default_factory=dict)

    @property
    def deletion_policy(self) -> str:
        """Return what happens to it when it leaves the stack."""
        return str(self.template.get("DeletionPolicy", "Delete"))

    @property
    def update_replace_policy(self) -> str:
        """Return what happens to it when another takes its place."""
        return str(self.template.get("UpdateReplacePolicy", "Delete"))


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a resource, or to the stack itself."""

    event_id: str
    logical_id: str
    physical_id: str
    type_name: str
    at: datetime
    status: str
    reason: str | None
    properties: str | None
    token: str | None


@dataclass(frozen=True, slots=True)
class Output:
    """An output, resolved."""

    name: str
    value: str
    description: str | None = None
    export: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """What a stack is made from: a template and what it is given.

    Attributes:
        parameters: Every parameter's value, as text.
        values: The same as the template uses them: values of the parameter store are looked up.
    """

    body: str
    parameters: dict[str, str]
    values: dict[str, Any]
    tags: dict[str, str]


@dataclass(slots=True)
class Running:
    """An operation under way; what is needed to go on with it, or back, after the region went away.

    Attributes:
        before: What was there of each resource that the operation touched; None for what it made.
        leftovers: Resources to remove at the end, which the stack does not list any more.
        aborted: Why it is given up.
    """

    kind: str
    token: str | None = None
    on_failure: str = "ROLLBACK"
    previous: Source | None = None
    before: dict[str, StackResource | None] = field(default_factory=dict)
    leftovers: list[StackResource] = field(default_factory=list)
    retain: frozenset[str] = frozenset()
    aborted: str | None = None


@dataclass(slots=True)
class ChangeSet:
    """A change set. It belongs to one stack: names are per stack."""

    change_set_id: str
    name: str
    kind: str
    created_at: datetime
    source: Source
    description: str | None = None
    capabilities: tuple[str, ...] = ()
    on_failure: str | None = None
    status: str = "CREATE_PENDING"
    reason: str | None = None
    execution_status: str = "UNAVAILABLE"
    changes: list[dict[str, Any]] = field(default_factory=list)
    token: str | None = None


@dataclass(slots=True)
class Drift:
    """What one detection found."""

    detection_id: str
    stack_id: str
    at: datetime
    status: str = "DETECTION_IN_PROGRESS"
    reason: str | None = None
    stack_status: str | None = None
    drifted: int = 0


@dataclass(slots=True)
class Stack:
    """A stack, living or deleted."""

    stack_id: str
    name: str
    created_at: datetime
    status: str
    source: Source
    reason: str | None = None
    updated_at: datetime | None = None
    deleted_at: datetime | None = None
    description: str | None = None
    capabilities: tuple[str, ...] = ()
    disable_rollback: bool = False
    termination_protection: bool = False
    policy: str | None = None
    resources: dict[str, StackResource] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    imports: frozenset[str] = frozenset()
    events: list[Event] = field(default_factory=list)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    executed_change_set: str | None = None
    running: Running | None = None
    drift_status: str = "NOT_CHECKED"
    drift_checked_at: datetime | None = None
    create_token: str | None = None

    @property
    def is_living(self) -> bool:
        """Whether it is not deleted."""
        return self.status != "DELETE_COMPLETE"

    @property
    def is_busy(self) -> bool:
        """Whether an operation is under way."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    def has_heard(self, token: str | None) -> bool:
        """Return whether a request with this token was taken already."""
        is_running = self.running is not None and self.running.token == token
        return token is not None and (is_running or any(each.token == token for each in self.events))

    def find_change_set(self, name_or_id: str) -> ChangeSet | None:
        """Return a change set by name or id."""
        for each in self.change_sets.values():
            if name_or_id in (each.name, each.change_set_id):
                return each
        return None


@dataclass(slots=True)
class Stacks:
    """All stacks of a region by id, oldest first, and the drift detections by id."""

    by_id: dict[str, Stack] = field(default_factory=dict)
    detections: dict[str, Drift] = field(default_factory=dict)

    def living(self) -> list[Stack]:
        """Return the stacks that are not deleted."""
        return [stack for stack in self.by_id.values() if stack.is_living]

    def find(self, name_or_id: str) -> Stack | None:
        """Return a stack: a living one by its name, any by its id."""
        if name_or_id in self.by_id:
            return self.by_id[name_or_id]
        return next((stack for stack in self.living() if stack.name == name_or_id), None)

    def forget_old(self) -> None:
        """Drop the oldest of what is only history; AWS keeps deleted stacks for 90 days."""
        deleted = [stack.stack_id for stack in self.by_id.values() if not stack.is_living]
        for stack_id in deleted[:-HISTORY]:
            del self.by_id[stack_id]
        for detection_id in list(self.detections)[:-HISTORY]:
            del self.detections[detection_id]

    def exports(self) -> dict[str, tuple[Stack, Output]]:
        """Return every export by name."""
        return {
            output.export: (stack, output)
            for stack in self.living()
            for output in stack.outputs
            if output.export
        }


_ATTRIBUTE = "slipway_stacks"


def stored(account_id: str, region: str) -> Stacks:
    """Return the stacks of a region, which are part of moto's state."""
    backend: Any = cloudformation_backends[account_id][region]
    if not hasattr(backend, _ATTRIBUTE):
        setattr(backend, _ATTRIBUTE, Stacks())
    found: Stacks = getattr(backend, _ATTRIBUTE)
    return found
