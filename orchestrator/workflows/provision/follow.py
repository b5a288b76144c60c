# SPDX-License-Identifier: Apache-2.0
"""Follow what CloudFormation does with a stack, event by event, to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from orchestrator.domain.stack_event import StackEvent, finished_resources, root_causes
from orchestrator.errors import AwsError, WaitTimeout
from orchestrator.workflows.provision.world import ProvisionWorld

# The slowest resources are an Aurora cluster and a CDN; a stack of them takes half an hour.
LIMIT = timedelta(hours=2)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
# AWS goes on while it does not answer us. By code; the last is our own for a network that is down.
_PASSING = frozenset(
    {
        "InternalFailure",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "Unreachable",
    }
)

EventSink = Callable[[StackEvent, int], None]


class Verdict(Enum):
    """How an operation ended."""

    DONE = "done"
    ROLLED_BACK = "rolled back"
    STRANDED = "stranded"


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of an operation: the stack's last status, and all that was told on the way."""

    status: str
    reason: str
    events: tuple[StackEvent, ...]

    @property
    def verdict(self) -> Verdict:
        """Return how it ended."""
        if self.status.endswith("ROLLBACK_COMPLETE"):
            return Verdict.ROLLED_BACK
        return Verdict.DONE if self.status.endswith("_COMPLETE") else Verdict.STRANDED

    @property
    def causes(self) -> str:
        """Return AWS's reasons, by resource."""
        found = "; ".join(event.line() for event in root_causes(self.events))
        return found or self.reason or self.status


def newest_event(world: ProvisionWorld, stack_id: str) -> str:
    """Return the id of the newest event, so that what follows can be told from what was."""
    events = world.stacks.events(stack_id)
    return events[-1].event_id if events else ""


def follow(world: ProvisionWorld, stack_id: str, on_event: EventSink, *, after: str = "") -> Ending:
    """Wait for the end of the operation that is under way, telling every event once.

    One call a look, however large the stack is. The pauses grow, as most of the waiting is for few resources.

    Args:
        after: The newest event from before the operation; without it, the latest operation counts.

    Raises:
        WaitTimeout: It is still under way after two hours.
    """
    deadline_s = world.clock.monotonic_s() + LIMIT.total_seconds()
    events: list[StackEvent] = []
    pause_s = FIRST_PAUSE_S
    while True:
        fresh = _look(world, stack_id, after)
        for event in fresh:
            events.append(event)
            after = event.event_id
            on_event(event, finished_resources(events))
        if fresh and _is_end(fresh[-1]):
            return Ending(fresh[-1].status, fresh[-1].reason, tuple(events))
        if world.clock.monotonic_s() >= deadline_s:
            raise WaitTimeout(
                f"stack {stack_id}",
                f"not done after {LIMIT}",
                state=f"CloudFormation goes on; last seen: {events[-1].line() if events else 'nothing'}",
                next_command="the same command again, which follows it on",
            )
        world.clock.sleep(pause_s)
        pause_s = FIRST_PAUSE_S if fresh else min(pause_s * 1.5, LONGEST_PAUSE_S)


def _look(world: ProvisionWorld, stack_id: str, after: str) -> tuple[StackEvent, ...]:
    try:
        return world.stacks.events(stack_id, after=after)
    except AwsError as error:
        if error.code not in _PASSING:
            raise
        return ()


def _is_end(event: StackEvent) -> bool:
    return event.is_of_stack and not event.status.endswith("_IN_PROGRESS")
