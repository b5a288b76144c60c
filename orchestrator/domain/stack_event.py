# SPDX-License-Identifier: Apache-2.0
"""What CloudFormation tells while it works on a stack. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

STACK_TYPE = "AWS::CloudFormation::Stack"
# An operation begins with one of these on the stack itself; a rollback is a part of the operation it ends.
_BEGINNINGS = frozenset(
    {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "IMPORT_IN_PROGRESS"}
)
# What CloudFormation says of resources that it stopped because another had failed.
_CANCELLED = ("Resource creation cancelled", "Resource update cancelled", "Resource deletion cancelled")


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One step of one resource, or of the stack itself."""

    event_id: str
    logical_id: str
    type_name: str
    status: str
    at: datetime
    physical_id: str = ""
    reason: str = ""

    @property
    def is_of_stack(self) -> bool:
        """Tell whether the stack itself is meant, as a stack's own event names it."""
        return self.type_name == STACK_TYPE

    @property
    def begins_operation(self) -> bool:
        """Tell whether an operation on the stack begins with it."""
        return self.is_of_stack and self.status in _BEGINNINGS

    @property
    def is_failure(self) -> bool:
        """Tell whether a resource has failed."""
        return self.status.endswith("_FAILED") and not self.is_of_stack

    def line(self) -> str:
        """Return the event as an operator reads it."""
        reason = f": {self.reason}" if self.reason and self.status.endswith("_FAILED") else ""
        return f"{self.status} {self.logical_id} ({self.type_name}){reason}"


def root_causes(events: Iterable[StackEvent]) -> tuple[StackEvent, ...]:
    """Return what made an operation fail, oldest first, without what was only cancelled for it."""
    failures = tuple(event for event in events if event.is_failure)
    real = tuple(event for event in failures if not event.reason.startswith(_CANCELLED))
    return real or failures


def finished_resources(events: Sequence[StackEvent]) -> int:
    """Return how many resources an operation has finished."""
    return len(
        {each.logical_id for each in events if each.status.endswith("_COMPLETE") and not each.is_of_stack}
    )
