# SPDX-License-Identifier: Apache-2.0
"""Propose the percentages and checkpoints that finish soonest within limits. Pure.

The percentages are few enough to try all that differ in a number of machines. Checkpoints are then placed for
the best of them so that batches are not cut short.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace

from orchestrator.domain.forecast.band import band_of, share_up
from orchestrator.domain.forecast.course import Course, FleetShape, Timing
from orchestrator.domain.forecast.foresee import forecast
from orchestrator.domain.forecast.simulate import Sketch, sketch
from orchestrator.domain.forecast.words import percentages, time_of
from orchestrator.domain.refresh import RefreshPreferences

_WHOLE, _DOUBLE = 100, 200
# For so many of the best percentages the checkpoints are placed.
_FINALISTS = 40
_CENT = 0.005


@dataclass(frozen=True, slots=True)
class Limits:
    """What a proposal has to keep to.

    Attributes:
        least_in_service: How many machines have to serve at any time.
        most_running: How many machines may run at any time, by quotas, addresses and targets; None for any.
        surge_usd: What the surge may cost; None for any price.
        preferences: What is kept of the preferences: delays, warm-up, alarms. Its checkpoints are ceilings: a
            proposal has as many that the fleet can tell apart, none of them later.
    """

    least_in_service: int
    most_running: int | None = None
    surge_usd: float | None = None
    preferences: RefreshPreferences = RefreshPreferences()

    def allow(self, *, least_in_service: int, most_running: int, surge_usd: float) -> bool:
        """Tell whether a course keeps to them."""
        return (
            least_in_service >= self.least_in_service
            and (self.most_running is None or most_running <= self.most_running)
            and (self.surge_usd is None or surge_usd <= self.surge_usd + _CENT)
        )


@dataclass(frozen=True, slots=True)
class Proposal:
    """The preferences that finish soonest, and their course; None for both if nothing keeps to the limits."""

    limits: Limits
    preferences: RefreshPreferences | None
    course: Course | None

    def lines(self, current: Course) -> tuple[str, ...]:
        """Return in sentences what is proposed, and what it saves against what would be done."""
        if self.preferences is None or self.course is None:
            return ("No percentages keep to the capacity, the budget and the quotas at once.",)
        is_allowed = self.limits.allow(
            least_in_service=current.least_in_service,
            most_running=current.most_running,
            surge_usd=current.surge_usd,
        )
        if is_allowed and current.duration_s.likely <= self.course.duration_s.likely + 1:
            return (f"Nothing within the limits is faster than {time_of(current.duration_s.likely)}.",)
        most = self.preferences.max_healthy_percentage or _WHOLE
        checkpoints = ", ".join(str(each) for each in self.preferences.checkpoint_percentages)
        proposed, planned = self.course.duration_s.likely, current.duration_s.likely
        return (
            f"Replace at {percentages(self.preferences.min_healthy_percentage, most)}"
            + (f" with checkpoints {checkpoints} %." if checkpoints else "."),
            f"It would take {time_of(proposed)} instead of {time_of(planned)}, "
            f"with at least {self.course.least_in_service} machines in service instead of "
            f"{current.least_in_service}, at most {self.course.most_running} instead of "
            f"{current.most_running} running, and ${self.course.surge_usd:.2f} instead of "
            f"${current.surge_usd:.2f} of surge.",
        )


def optimise(shape: FleetShape, timing: Timing, limits: Limits) -> Proposal:
    """Return the preferences with the shortest likely duration; of equal ones the gentlest."""
    if not shape.replacements:
        return Proposal(limits, limits.preferences, forecast(shape, limits.preferences, timing))
    ranked = heapq.nsmallest(
        _FINALISTS,
        (
            (_rank(outline), preferences)
            for preferences in _bands(shape, limits.preferences)
            if _is_within(limits, shape, outline := sketch(shape, preferences, timing))
        ),
        key=lambda found: found[0],
    )
    finals = [
        (_rank(outline), preferences)
        for _, finalist in ranked
        for preferences in _with_checkpoints(shape, finalist)
        if _is_within(limits, shape, outline := sketch(shape, preferences, timing))
    ]
    if not finals:
        return Proposal(limits, None, None)
    _, best = min(finals, key=lambda found: found[0])
    return Proposal(limits, best, forecast(shape, best, timing))


def _rank(outline: Sketch) -> tuple[float, ...]:
    """Return what to be small in: the time, then the capacity that is missing, then the surge."""
    return (
        round(outline.duration_s, 3),
        -outline.least_in_service,
        round(outline.surge_machine_hours, 3),
        outline.most_running,
    )


def _is_within(limits: Limits, shape: FleetShape, outline: Sketch) -> bool:
    return limits.allow(
        least_in_service=outline.least_in_service,
        most_running=outline.most_running,
        surge_usd=outline.surge_machine_hours * shape.machine_usd_per_hour,
    )


def _bands(shape: FleetShape, base: RefreshPreferences) -> Iterator[RefreshPreferences]:
    """Yield the pairs of percentages that AWS allows, one of all that replace alike, the gentlest."""
    seen = set()
    for least in range(_WHOLE, -1, -1):
        for most in range(_WHOLE, min(_DOUBLE, least + _WHOLE) + 1):
            preferences = replace(base, min_healthy_percentage=least, max_healthy_percentage=most)
            band = band_of(shape.desired, preferences)
            if (alike := (band.width, band.may_terminate_first)) not in seen:
                seen.add(alike)
                yield preferences


def _with_checkpoints(shape: FleetShape, preferences: RefreshPreferences) -> Iterator[RefreshPreferences]:
    """Yield places for the checkpoints: at their ceilings, and where a whole number of batches ends."""
    *ceilings, last = preferences.checkpoint_percentages or (_WHOLE,)
    width = band_of(shape.desired, preferences).width
    for places in _places(shape.desired, tuple(ceilings), width, (shape.matching, 0)):
        placed = (*places, last) if ceilings else preferences.checkpoint_percentages
        yield replace(preferences, checkpoint_percentages=placed)


def _places(
    desired: int, ceilings: tuple[int, ...], width: int, before: tuple[int, int]
) -> Iterator[tuple[int, ...]]:
    """Yield ascending percentages, none above its ceiling; `before` is the machines and percentage so far.

    Checkpoints that the fleet can tell apart at their ceilings stay apart.
    """
    if not ceilings:
        yield ()
        return
    done, least = before
    ceiling, later = ceilings[0], ceilings[1:]
    top = share_up(desired, ceiling)
    aligned = done + max(0, top - done) // width * width
    tried = {ceiling, aligned * _WHOLE // desired, done * _WHOLE // desired + 1}
    for percentage in sorted(tried, reverse=True):
        stop = share_up(desired, percentage)
        if least < percentage <= ceiling and (stop > done or top <= done):
            for rest in _places(desired, later, width, (max(stop, done), percentage)):
                yield (percentage, *rest)
