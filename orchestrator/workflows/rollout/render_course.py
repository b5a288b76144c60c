# SPDX-License-Identifier: Apache-2.0
"""The course of a rollout as a small picture of text: a bar for what is replaced when, and for each wait."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.domain.forecast.course import Batch, Course
from orchestrator.domain.rollout.wording import clock, counted

_BAR = 40
_ROWS_OF_BATCHES = 6  # of one stretch; more are gathered
_REPLACES, _WAITS = "━", "┄"


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A row of the picture; seconds from the beginning."""

    begins_s: float
    ends_s: float
    sign: str
    text: str


def course_lines(course: Course, *, delay_s: float, machines: int) -> tuple[str, ...]:
    """Return the picture, a line for a batch or for many like it, and for each checkpoint.

    Args:
        delay_s: How long AWS waits at a checkpoint before it goes on.
        machines: How many the fleet has.
    """
    total = max(course.duration_s.likely, 1.0)
    rows = [*_stretches(course, delay_s, machines)]
    width = max((len(clock(total)), *(len(clock(row.begins_s)) for row in rows)))
    lines = [f"{clock(row.begins_s):>{width}}  {_bar(row, total):<{_BAR}}  {row.text}" for row in rows]
    range_s = course.duration_s
    likely = "" if range_s.low == range_s.high else f", {clock(range_s.low)} to {clock(range_s.high)}"
    return (*lines, f"{clock(total):>{width}}  {'╵':>{_BAR}}  all machines are new{likely}")


def _bar(row: _Stretch, total: float) -> str:
    """Draw a row's time; even the shortest is seen."""
    left = min(int(row.begins_s / total * _BAR), _BAR - 1)
    right = max(min(round(row.ends_s / total * _BAR), _BAR), left + 1)
    return " " * left + row.sign * (right - left)


def _stretches(course: Course, delay_s: float, machines: int) -> Iterator[_Stretch]:
    """Yield batches up to each checkpoint, the checkpoint, and so on to the end."""
    rest = sorted(course.batches, key=lambda each: each.starts_s)
    for stop in sorted(course.checkpoints, key=lambda each: each.reached_s.likely):
        reached = stop.reached_s.likely
        before = [each for each in rest if each.starts_s < reached]
        rest = rest[len(before) :]
        yield from _batches(before, ends_s=reached)
        if rest or stop.percentage < 100:  # noqa: PLR2004 - at the last one nobody waits
            ends = rest[0].starts_s if rest else min(reached + delay_s, course.duration_s.likely)
            text = f"checkpoint {stop.percentage} %: {stop.machines:,} of {machines:,} new"
            wait = f", AWS waits {clock(ends - reached)}" if ends > reached else ""
            yield _Stretch(reached, ends, _WAITS, text + wait)
    yield from _batches(rest, ends_s=course.duration_s.likely)


def _batches(batches: Sequence[Batch], *, ends_s: float) -> Iterator[_Stretch]:
    """Yield a row a batch; many are gathered into one row for each size."""
    ends = [*(each.starts_s for each in batches[1:]), ends_s]
    if len(batches) <= _ROWS_OF_BATCHES:
        for each, end in zip(batches, ends, strict=False):
            yield _Stretch(each.starts_s, end, _REPLACES, counted(each.machines, "machine"))
        return
    runs = _runs(batches)
    if len(runs) > _ROWS_OF_BATCHES:
        runs = [(0, len(batches))]
    for first, after in runs:
        sizes = [each.machines for each in batches[first:after]]
        yield _Stretch(batches[first].starts_s, ends[after - 1], _REPLACES, _many(sizes))


def _runs(batches: Sequence[Batch]) -> list[tuple[int, int]]:
    """Return where batches of one size follow each other: from, and up to but not with."""
    edges = [at for at in range(1, len(batches)) if batches[at].machines != batches[at - 1].machines]
    return list(itertools.pairwise((0, *edges, len(batches))))


def _many(sizes: Sequence[int]) -> str:
    if len(sizes) == 1:
        return counted(sizes[0], "machine")
    least, most = min(sizes), max(sizes)
    each = counted(most, "machine") if least == most else f"{least:,} to {counted(most, 'machine')}"
    return f"{counted(len(sizes), 'batch')} of {each}"
