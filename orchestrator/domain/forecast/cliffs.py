# SPDX-License-Identifier: Apache-2.0
"""Name what a small change of a number would change a lot, by trying it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from orchestrator.domain.forecast.band import band_of, most_percentage
from orchestrator.domain.forecast.course import FleetShape, Timing
from orchestrator.domain.forecast.simulate import Sketch, sketch
from orchestrator.domain.forecast.stretches import stretches
from orchestrator.domain.forecast.words import at_a_time, listed, percentages, time_of
from orchestrator.domain.refresh import RefreshPreferences

# https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html
LONGEST_S = 14 * 86400.0
_WHOLE, _DOUBLE = 100, 200
# A change is a cliff if it changes the time by so much more than the change itself accounts for.
_CLIFF = 1.3
# So much longer is worth a sentence.
_NOTED = 1.1
_MACHINES_TRIED = 2
_PERCENT_TRIED = 5
_ROOM_TRIED = 110


@dataclass(frozen=True, slots=True)
class _Case:
    """A refresh, and what its course comes to."""

    shape: FleetShape
    preferences: RefreshPreferences
    outline: Sketch

    @property
    def bounds(self) -> str:
        return percentages(self.preferences.min_healthy_percentage, most_percentage(self.preferences))

    @property
    def pace(self) -> str:
        return f"{at_a_time(self.outline.width)}, in {time_of(self.outline.duration_s)}"

    @property
    def unrounded_s(self) -> float:
        """Return what is proportional to the time if nothing were rounded."""
        wide = most_percentage(self.preferences) - self.preferences.min_healthy_percentage
        return self.shape.replacements / max(1.0, self.shape.desired * wide / _WHOLE)

    def is_cliff_to(self, other: _Case) -> bool:
        """Tell whether the time differs a lot, and not because the numbers do."""
        if not other.outline.duration_s:
            return False
        faster = self.outline.duration_s / other.outline.duration_s
        beyond = faster / (self.unrounded_s / other.unrounded_s)
        if other.outline.width > self.outline.width:
            return min(faster, beyond) >= _CLIFF
        return other.outline.width < self.outline.width and max(faster, beyond) <= 1 / _CLIFF


def cliffs(shape: FleetShape, preferences: RefreshPreferences, timing: Timing) -> tuple[str, ...]:
    """Return the sentences."""
    if not shape.replacements:
        return ()
    case = _case(shape, preferences, timing)
    return (
        *_lasting(case, timing),
        *_rounding(case, timing),
        *_at_the_maximum(case, timing),
        *_checkpoints(case),
        *_emptiness(case),
    )


def _case(shape: FleetShape, preferences: RefreshPreferences, timing: Timing) -> _Case:
    return _Case(shape, preferences, sketch(shape, preferences, timing))


def _lasting(case: _Case, timing: Timing) -> Iterator[str]:
    """Say that a refresh would outlast what AWS allows, and that one by one is a choice."""
    preferences, took_s = case.preferences, case.outline.duration_s
    bounds = case.bounds
    if took_s - preferences.refresh_bake_time_s > LONGEST_S:
        yield (
            f"{bounds}: {at_a_time(case.outline.width)}, it would take {time_of(took_s)}, longer than the "
            "14 days that a refresh may last."
        )
    if preferences.min_healthy_percentage == most_percentage(preferences):
        other = _case(case.shape, replace(preferences, max_healthy_percentage=_ROOM_TRIED), timing)
        if took_s >= 2 * other.outline.duration_s:
            yield f"{bounds}: {case.pace}; with a maximum of {_ROOM_TRIED} % {other.pace}."


def _rounding(case: _Case, timing: Timing) -> Iterator[str]:
    machines = case.shape.replacements
    here = f"{machines} machines at {case.bounds} go {case.pace}"
    if case.bounds.startswith("min"):
        return
    for step in (1, -1):
        for count in range(1, _MACHINES_TRIED + 1):
            other = _of_size(case, step * count, timing)
            if other and case.is_cliff_to(other):
                yield f"{here}; {other.shape.replacements} would go {other.pace}."
                break
    for neighbours in _other_percentages(case.preferences):
        for preferences in neighbours:
            other = _case(case.shape, preferences, timing)
            if case.is_cliff_to(other):
                yield f"{here}; at {other.bounds} they would go {other.pace}."
                break


def _of_size(case: _Case, more: int, timing: Timing) -> _Case | None:
    shape = case.shape
    zone = max(shape.to_replace, key=lambda name: shape.to_replace[name])
    if shape.to_replace[zone] + more < 1:
        return None
    to_replace = {**shape.to_replace, zone: shape.to_replace[zone] + more}
    return _case(
        replace(shape, to_replace=to_replace, desired=shape.desired + more), case.preferences, timing
    )


def _other_percentages(preferences: RefreshPreferences) -> Iterator[list[RefreshPreferences]]:
    """Yield what to try: each bound down and up, in small steps first.

    Without room above 100 % machines are terminated first, with it launched first: that is another choice.
    """
    least, most = preferences.min_healthy_percentage, most_percentage(preferences)
    for sign in (-1, 1):
        steps = [sign * step for step in range(1, _PERCENT_TRIED + 1)]
        lower = [least + step for step in steps if 0 <= least + step <= _WHOLE]
        yield [replace(preferences, min_healthy_percentage=each) for each in lower if most - each <= _WHOLE]
        upper = [most + step for step in steps if _WHOLE < most + step <= min(_DOUBLE, least + _WHOLE)]
        yield [replace(preferences, max_healthy_percentage=each) for each in upper if most > _WHOLE]


def _at_the_maximum(case: _Case, timing: Timing) -> Iterator[str]:
    """Say what it means that the group may have no room for the surge: AWS does not document it."""
    shape, preferences = case.shape, case.preferences
    band = band_of(shape.desired, preferences)
    if band.highest <= shape.max_size or shape.max_size < shape.desired:
        return
    size = shape.max_size
    doubt = (
        f"The group may have {size} machines, and AWS does not say whether a refresh goes beyond: if not, "
    )
    if shape.max_size <= band.lowest:
        yield f"{doubt}it could replace none of them."
        return
    kept = sketch(shape, preferences, timing, ceiling=shape.max_size)
    if kept.duration_s >= _NOTED * case.outline.duration_s:
        instead = time_of(case.outline.duration_s)
        yield f"{doubt}{at_a_time(kept.width)}, in {time_of(kept.duration_s)} instead of {instead}."


def _checkpoints(case: _Case) -> Iterator[str]:
    way = stretches(case.shape, case.preferences)
    for stretch in way:
        if stretch.passed_over:
            names = listed([f"{each} %" for each in stretch.passed_over])
            is_one = len(stretch.passed_over) == 1
            yield (
                f"The checkpoint{'' if is_one else 's'} {names} {'is' if is_one else 'are'} passed over: "
                f"{case.shape.desired} machines are too few to tell {'it' if is_one else 'them'} from "
                f"{stretch.percentage} %."
            )
    left = case.shape.replacements - sum(stretch.machines for stretch in way)
    if left and case.preferences.checkpoint_percentages:
        last = case.preferences.checkpoint_percentages[-1]
        yield f"The refresh ends at its last checkpoint, {last} %: {left} machines stay as they are."


def _emptiness(case: _Case) -> Iterator[str]:
    """Say that a zone, or the fleet, would serve nothing for a while."""
    least = case.outline.least_in_service
    counts = [
        case.shape.to_replace.get(zone, 0) + case.shape.to_keep.get(zone, 0)
        for zone in {*case.shape.to_replace, *case.shape.to_keep}
    ]
    zones = sum(count > 0 for count in counts)
    if least <= 0:
        yield "No machine is in service while a batch is replaced."
    elif least < zones:
        yield (
            f"{least} of {case.shape.in_service} machines are in service while a batch is replaced: "
            "not every zone has one."
        )
