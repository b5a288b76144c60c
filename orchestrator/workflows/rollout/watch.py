# SPDX-License-Identifier: Apache-2.0
"""Watch a refresh to its end: often while things move, seldom while nothing is to be expected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from orchestrator.domain.rollout.decide import (
    FIRST_PAUSE_S,
    Ended,
    RollBack,
    decide,
    next_pause_s,
    why_it_ended,
)
from orchestrator.domain.rollout.progress import MachineFailure, Progress
from orchestrator.errors import AwsError, WaitTimeout
from orchestrator.workflows.rollout.look import Onlooker
from orchestrator.workflows.rollout.patience import LIMIT, is_passing
from orchestrator.workflows.rollout.world import ProgressSink, RolloutWorld

# AWS gives a refresh up after 14 days.
LONGEST_S = 14 * 86_400.0


class Reactions(Protocol):
    """What becomes of what is seen; a watcher without the fleet's lock only tells it."""

    def on_failures(self, failures: tuple[MachineFailure, ...]) -> None:
        """Take failures of new machines that were not seen before."""

    def on_checkpoint(self, percentage: int, progress: Progress) -> None:
        """Take that AWS waits at a checkpoint; called once for each."""

    def on_bad(self, why: str) -> None:
        """Take the refresh back; called at each look until it is on its way back."""

    def on_way_back(self, why: str) -> None:
        """Take that AWS has begun to take it back, whoever wanted that; called once."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long to watch, and what is too much. `max_failures` is 0 where others are to act on them."""

    what: str
    limit_s: float
    max_failures: int
    next_command: str


def watch(
    world: RolloutWorld, onlooker: Onlooker, terms: Terms, reactions: Reactions, show: ProgressSink
) -> tuple[Ended, Progress]:
    """Watch a refresh until it ends; return how, and the last look at it.

    Raises:
        WaitTimeout: The time limit passed, not counting pauses, or AWS did not answer for long.
    """
    clock = world.clock
    heard_s = last_s = clock.monotonic_s()
    spent_s, pause_s, checkpoint = 0.0, FIRST_PAUSE_S, 0
    before: Progress | None = None
    while True:
        progress, now_s = _look(onlooker), clock.monotonic_s()
        spent_s += 0 if before and before.paused else now_s - last_s
        last_s = now_s
        if progress:
            heard_s = now_s
            show(progress)
            if progress.checkpoint and progress.checkpoint.percentage != checkpoint:
                checkpoint = progress.checkpoint.percentage
                reactions.on_checkpoint(checkpoint, progress)
            if _turns_back(before, progress):
                reactions.on_way_back(why_it_ended(progress.refresh))
            if ended := _react(onlooker, terms, reactions, progress):
                return ended, progress
            pause_s = _pause(pause_s, before, progress)
            before = progress
        _check_time(terms, before, spent_s=spent_s, silent_s=now_s - heard_s)
        clock.sleep(pause_s)


def _look(onlooker: Onlooker) -> Progress | None:
    try:
        return onlooker.look()
    except AwsError as error:
        if not is_passing(error):
            raise
        return None


def _react(onlooker: Onlooker, terms: Terms, reactions: Reactions, progress: Progress) -> Ended | None:
    if onlooker.fresh:
        reactions.on_failures(onlooker.fresh)
    decision = decide(progress.refresh, onlooker.failures, max_failures=terms.max_failures)
    if isinstance(decision, RollBack):
        reactions.on_bad(decision.why)
    return decision if isinstance(decision, Ended) else None


def _turns_back(before: Progress | None, now: Progress) -> bool:
    """Tell whether a look is the first to find that it is taken back."""
    return now.refresh.status.is_rolling_back and not (before and before.refresh.status.is_rolling_back)


def _pause(last_s: float, before: Progress | None, now: Progress) -> float:
    has_moved = before is None or _traits(before) != _traits(now)
    is_waiting = bool(now.paused or now.checkpoint)
    return next_pause_s(last_s, machines=now.desired, has_moved=has_moved, is_waiting=is_waiting)


def _traits(progress: Progress) -> tuple[object, ...]:
    return progress.refresh.status, progress.refresh.percentage, progress.zones, progress.paused


def _check_time(terms: Terms, last: Progress | None, *, spent_s: float, silent_s: float) -> None:
    cause = ""
    if silent_s > LIMIT.total_seconds():
        cause = f"AWS has not answered for {LIMIT}"
    elif spent_s > terms.limit_s:
        cause = f"not done after {spent_s / 60:.0f} min"
    if cause:
        state = f"AWS goes on; last seen: {last.refresh.status}, {last.refresh.percentage} %" if last else ""
        raise WaitTimeout(terms.what, cause, state=state, next_command=terms.next_command)
