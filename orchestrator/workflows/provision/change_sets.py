# SPDX-License-Identifier: Apache-2.0
"""Make change sets, and delete those that are not executed: a plan leaves nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from orchestrator.clock import wait_until
from orchestrator.domain.change_set import ChangeSet, ChangeSetStatus
from orchestrator.domain.stack import StackTemplate
from orchestrator.errors import AwsError
from orchestrator.ports import ChangeSetRequest
from orchestrator.workflows.provision.world import ProvisionWorld, side_by_side

_LIMIT = timedelta(minutes=10)
_INTERVAL_S = 0.5


class Drafts:
    """The change sets of one run that nobody has executed."""

    def __init__(self, world: ProvisionWorld) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._ids: dict[str, None] = {}
        self._made = 0

    def make(self, template: StackTemplate, *, is_new: bool) -> ChangeSet:
        """Make a change set and wait for it.

        Raises:
            AwsError: CloudFormation can't make it; says why.
        """
        with self._lock:
            self._made += 1
            name = f"{self._world.run_id}-{self._made}"
        change_set_id = self._world.stacks.create_change_set(ChangeSetRequest(name, template, is_new=is_new))
        with self._lock:
            self._ids[change_set_id] = None
        made = wait_until(
            lambda: self._world.stacks.change_set(change_set_id),
            lambda seen: seen.status is not ChangeSetStatus.PENDING,
            clock=self._world.clock,
            timeout=_LIMIT,
            what=f"the change set of {template.name}",
            interval_s=_INTERVAL_S,
        )
        if made.status is ChangeSetStatus.FAILED:
            raise AwsError(
                "cloudformation", "CreateChangeSet", "ChangeSetFailed", f"{template.name}: {made.reason}"
            )
        return made

    def execute(self, change_set_id: str) -> None:
        """Begin to do what a change set says; from now on it is CloudFormation's to keep or delete."""
        self._world.stacks.execute_change_set(change_set_id)
        with self._lock:
            self._ids.pop(change_set_id, None)

    def discard(self) -> None:
        """Delete those that were not executed."""
        with self._lock:
            ids = tuple(self._ids)
            self._ids.clear()
        side_by_side(self._world, self._world.stacks.delete_change_set, ids)


@contextmanager
def drafts(world: ProvisionWorld) -> Iterator[Drafts]:
    """Give a place for change sets that ends with them."""
    made = Drafts(world)
    try:
        yield made
    finally:
        made.discard()
