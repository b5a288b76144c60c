# SPDX-License-Identifier: Apache-2.0
"""What is to be seen of a rollout at which time: stretches of one kind, and marks of what happened. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orchestrator.domain.forecast.course import Spread
from orchestrator.domain.rollout.record import Happened, Note, RolloutRecord


class Stretch(StrEnum):
    """What a stretch of time was spent with."""

    PREPARES = "prepared"
    REPLACES = "machines are replaced"
    WAITS = "waited at a checkpoint"
    PAUSED = "paused"
    GOES_BACK = "taken back"
    STOPS = "stopped"
    VERIFIES = "verified"


# What begins with what is noted; other notes change nothing.
_BEGINS = {
    Happened.BEGUN: Stretch.PREPARES,
    Happened.REFRESH: Stretch.REPLACES,
    Happened.CHECKPOINT: Stretch.WAITS,
    Happened.PAUSED: Stretch.PAUSED,
    Happened.RESUMED: Stretch.REPLACES,
    Happened.PROMOTED: Stretch.REPLACES,
    Happened.ABORTED: Stretch.STOPS,
    Happened.ROLLBACK: Stretch.GOES_BACK,
    Happened.VERIFYING: Stretch.VERIFIES,
}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a rollout; seconds from its beginning."""

    begins_s: float
    ends_s: float
    stretch: Stretch


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, or several alike close together; `text` tells it."""

    at_s: float
    what: str
    text: str


def spans(record: RolloutRecord) -> tuple[Span, ...]:
    """Return what a rollout's time was spent with, without gaps, up to its end or the last that is known."""
    turns = [*_turns(record)]
    ends = [*(at for at, _ in turns[1:]), end_s(record)]
    return tuple(Span(at, end, stretch) for (at, stretch), end in zip(turns, ends, strict=True) if end > at)


def _turns(record: RolloutRecord) -> Iterator[tuple[float, Stretch]]:
    """Yield when each stretch begins; AWS ends the wait at a checkpoint by itself, and nobody notes it."""
    delay = record.preferences.checkpoint_delay_s or 0
    ends = wait_ends = end_s(record)
    stretch = Stretch.PREPARES
    yield 0.0, stretch
    is_waiting = False
    for note in _notes(record):
        at = _seconds(record, note.at)
        if is_waiting and wait_ends < at:
            yield wait_ends, Stretch.REPLACES
            is_waiting = False
        if (begun := _stretch(note)) is None:
            continue
        is_waiting, wait_ends = begun is Stretch.WAITS, at + delay
        yield at, begun
    if is_waiting and wait_ends < ends:
        yield wait_ends, Stretch.REPLACES


def _stretch(note: Note) -> Stretch | None:
    return next((stretch for word, stretch in _BEGINS.items() if note.what == word), None)


def _notes(record: RolloutRecord) -> Sequence[Note]:
    return sorted(record.notes, key=lambda note: note.at)


def marks(record: RolloutRecord, *, apart_s: float) -> tuple[Mark, ...]:
    """Return what happened, in order; what is alike and closer than `apart_s` becomes one mark."""
    gathered: list[list[Note]] = []
    for note in _notes(record):
        last = gathered[-1] if gathered else []
        if last and last[0].what == note.what and (note.at - last[0].at).total_seconds() < apart_s:
            last.append(note)
        else:
            gathered.append([note])
    return tuple(_mark(record, notes) for notes in gathered)


def _mark(record: RolloutRecord, notes: Sequence[Note]) -> Mark:
    more = f" and {len(notes) - 1} more" if len(notes) > 1 else ""
    first = notes[0]
    text = first.says if first.says.startswith(first.what) else f"{first.what}: {first.says}"
    return Mark(_seconds(record, first.at), first.what, text + more)


def foreseen(record: RolloutRecord) -> Spread:
    """Return when it was to end, in seconds from its beginning: a forecast counts from the refresh."""
    refresh = next((note for note in _notes(record) if note.what == Happened.REFRESH), None)
    return record.predicted_s.plus(Spread.exactly(_seconds(record, refresh.at) if refresh else 0.0))


def end_s(record: RolloutRecord) -> float:
    """Return the end, or the last that is known of one that goes on."""
    known = (*(note.at for note in record.notes), record.begun_at)
    return _seconds(record, record.ended_at or max(known))


def _seconds(record: RolloutRecord, at: datetime) -> float:
    return max(0.0, (at - record.begun_at).total_seconds())
