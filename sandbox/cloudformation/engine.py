# SPDX-License-Identifier: Apache-2.0
"""Runs stack operations on threads of their own, and picks up those that the region's end cut short."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sandbox.cloudformation.creation import create_stack, fail_create
from sandbox.cloudformation.removal import delete_stack, roll_back_create
from sandbox.cloudformation.rollback import roll_back_update
from sandbox.cloudformation.stacks import Stack
from sandbox.cloudformation.updating import clean_up, fail_update, update_stack
from sandbox.cloudformation.walk import Interrupted
from sandbox.cloudformation.world import World

log = logging.getLogger(__name__)

_STOPPED = "The local region was stopped during the operation. "
# What a stack is left in when the engine itself fails.
_AFTER_A_BUG = {
    "CREATE_IN_PROGRESS": "CREATE_FAILED",
    "ROLLBACK_IN_PROGRESS": "ROLLBACK_FAILED",
    "DELETE_IN_PROGRESS": "DELETE_FAILED",
    "UPDATE_IN_PROGRESS": "UPDATE_FAILED",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE",
    "UPDATE_ROLLBACK_IN_PROGRESS": "UPDATE_ROLLBACK_FAILED",
}


class Engine:
    """Hands every operation to the workers, and sees to it that it ends in a status."""

    def __init__(self, world: World) -> None:
        self.world = world

    def begin(self, stack: Stack, work: Callable[[], None]) -> None:
        """Start an operation on a stack that was brought into the status for it."""

        def run() -> None:
            try:
                work()
            except Interrupted:
                log.info("the operation on %s goes on when the region is up again", stack.name)
            except Exception as error:
                # A bug of the engine's must not leave a stack in progress for ever.
                if self.world.closing.is_set():
                    log.warning("the operation on %s was cut short: %r", stack.name, error)
                    return
                log.exception("the operation on %s failed", stack.name)
                self._give_up(stack, error)

        self.world.workers.begin(f"stack {stack.name}", run)

    def create(self, stack: Stack) -> None:
        """Create the stack."""
        self.begin(stack, lambda: create_stack(self.world, stack))

    def update(self, stack: Stack) -> None:
        """Update the stack."""
        self.begin(stack, lambda: update_stack(self.world, stack))

    def delete(self, stack: Stack) -> None:
        """Delete the stack."""
        self.begin(stack, lambda: delete_stack(self.world, stack))

    def roll_back_create(self, stack: Stack) -> None:
        """Remove what a failed create left."""
        self.begin(stack, lambda: roll_back_create(self.world, stack))

    def roll_back_update(self, stack: Stack, skip: frozenset[str] = frozenset()) -> None:
        """Undo a failed update."""

        def work() -> None:
            if roll_back_update(self.world, stack, skip):
                clean_up(self.world, stack, "UPDATE_ROLLBACK_COMPLETE")

        self.begin(stack, work)

    def resume(self) -> None:
        """Go on with what was under way when the region ended: what was being made counts as failed."""
        with self.world.lock:
            for detection in self.world.stacks().detections.values():
                if detection.status == "DETECTION_IN_PROGRESS":
                    detection.status, detection.reason = "DETECTION_FAILED", _STOPPED.strip()
            stacks = list(self.world.stacks().by_id.values())
            for stack in stacks:
                self._settle(stack)
        for stack in stacks:
            if stack.is_busy and stack.running is not None:
                self._resume(stack)

    def close(self) -> None:
        """Stop; waits are cut short, and what is in the middle of a call may finish it."""
        self.world.closing.set()
        self.world.workers.close()

    def _settle(self, stack: Stack) -> None:
        for change_set in stack.change_sets.values():
            if change_set.status in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                change_set.status, change_set.reason = "FAILED", _STOPPED.strip()
        if stack.is_busy:
            for resource in stack.resources.values():
                if resource.status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
                    failed = resource.status.replace("_IN_PROGRESS", "_FAILED")
                    self.world.mark(stack, resource, failed, _STOPPED.strip())

    def _resume(self, stack: Stack) -> None:
        kind = stack.running.kind if stack.running else ""
        ways: dict[str, Callable[[], None]] = {
            "CREATE": lambda: self.begin(stack, lambda: fail_create(self.world, stack, _STOPPED)),
            "ROLLBACK": lambda: self.roll_back_create(stack),
            "DELETE": lambda: self.delete(stack),
            "UPDATE": lambda: self.begin(stack, lambda: fail_update(self.world, stack, _STOPPED)),
            "UPDATE_ROLLBACK": lambda: self.roll_back_update(stack),
            "CLEANUP": lambda: self.begin(stack, lambda: clean_up(self.world, stack, "UPDATE_COMPLETE")),
            "ROLLBACK_CLEANUP": lambda: self.begin(
                stack, lambda: clean_up(self.world, stack, "UPDATE_ROLLBACK_COMPLETE")
            ),
        }
        ways[kind]()

    def _give_up(self, stack: Stack, error: Exception) -> None:
        with self.world.lock:
            if status := _AFTER_A_BUG.get(stack.status):
                self.world.enter(stack, status, f"Internal Failure ({type(error).__name__}: {error})")
