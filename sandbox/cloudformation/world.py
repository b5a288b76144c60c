# SPDX-License-Identifier: Apache-2.0
"""What stack operations work with, and what they write down while they do."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.clock import RegionClock
from sandbox.cloudformation.handler import Handler
from sandbox.cloudformation.stacks import Event, Stack, StackResource, Stacks
from sandbox.cloudformation.workers import Workers

STACK_TYPE = "AWS::CloudFormation::Stack"


@dataclass(frozen=True, slots=True)
class World:
    """The region as the engine sees it.

    Attributes:
        lock: Of the CloudFormation service: held by whoever reads or changes stacks, never during a call.
        stacks: Return the region's stacks.
        changed: Notes that there is something to save.
        closing: Set when the region ends; what runs then stops where it is, to be picked up.
        workers: Who carries operations out, resource by resource; most of the time they wait.
    """

    account_id: str
    region: str
    client: Callable[[str], Any]
    clock: RegionClock
    lock: threading.RLock
    stacks: Callable[[], Stacks]
    changed: Callable[[], None]
    handlers: Callable[[], Mapping[str, Handler]]
    workers: Workers
    closing: threading.Event = field(default_factory=threading.Event)

    def enter(self, stack: Stack, status: str, reason: str | None = None) -> None:
        """Bring a stack into a status, with its event."""
        with self.lock:
            stack.status = status
            stack.reason = reason
            self._record(stack, status, reason)

    def mark(self, stack: Stack, resource: StackResource, status: str, reason: str | None = None) -> None:
        """Bring a resource of a stack into a status, with its event."""
        with self.lock:
            resource.status = status
            resource.reason = reason
            resource.changed_at = self.clock.now()
            self._record(stack, status, reason, resource)

    def _record(
        self, stack: Stack, status: str, reason: str | None, resource: StackResource | None = None
    ) -> None:
        shown = None
        if resource is not None:
            shown = json.dumps(resource.properties, separators=(",", ":"))
        stack.events.append(
            Event(
                event_id=str(uuid.uuid4()),
                logical_id=resource.logical_id if resource else stack.name,
                physical_id=(resource.physical_id or "") if resource else stack.stack_id,
                type_name=resource.type_name if resource else STACK_TYPE,
                at=self.clock.now(),
                status=status,
                reason=reason,
                properties=shown,
                token=stack.running.token if stack.running else None,
            )
        )
        self.changed()

    def sleep(self, seconds: float, is_alive: Callable[[], bool]) -> None:
        """Wait until the region's clock is so much further, or nobody wants to wait any more."""
        self.workers.sleep(seconds, is_alive)
