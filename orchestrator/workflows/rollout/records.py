# SPDX-License-Identifier: Apache-2.0
"""Records of rollouts in the config bucket, one object each; the last key is the latest rollout.

Commands that control a rollout write beside the run that watches it, so each change is made on what the
object says at that moment, and given up on none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from orchestrator.domain.rollout.document import from_json, to_json
from orchestrator.domain.rollout.record import Happened, Note, RolloutRecord
from orchestrator.errors import Refused
from orchestrator.workflows.rollout.names import RECORDS, record_key
from orchestrator.workflows.rollout.world import RolloutWorld

_RACES = 20

Change = Callable[[RolloutRecord], RolloutRecord]


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as it was read, and what tells whether it still is so."""

    record: RolloutRecord
    etag: str


def latest(world: RolloutWorld, fleet: str) -> Kept | None:
    """Return the record of a fleet's latest rollout, None before the first. Two calls."""
    keys = world.objects.keys(f"{RECORDS}{fleet}/")
    return _read(world, max(keys)) if keys else None


def history(world: RolloutWorld, fleet: str) -> tuple[RolloutRecord, ...]:
    """Return the records of all rollouts of a fleet, newest first."""
    return tuple(newest_first(world, fleet))


def newest_first(world: RolloutWorld, fleet: str) -> Iterator[RolloutRecord]:
    """Give the records of a fleet's rollouts, each read when it is asked for."""
    keys = world.objects.keys(f"{RECORDS}{fleet}/")
    for key in sorted(keys, reverse=True):
        if kept := _read(world, key):
            yield kept.record


def begin(world: RolloutWorld, record: RolloutRecord) -> Kept:
    """Write a new record.

    Raises:
        Refused: There is another one with this id.
    """
    key, body = record_key(record.fleet, record.rollout_id), to_json(record)
    etag = world.objects.put(key, body, if_none_match=True)
    if etag is not None:
        return Kept(record, etag)
    # The answer to our first try may have got lost, and the client tried again.
    stored = world.objects.get(key)
    if stored is None or stored.body != body:
        raise Refused(f"rollout of {record.environment}/{record.fleet}", f"there is a record {key} already")
    return Kept(record, stored.etag)


def change(world: RolloutWorld, kept: Kept, how: Change) -> Kept:
    """Change a record, on top of what others have written meanwhile.

    Args:
        how: Must give the same for what it has changed already; may raise to give it up.
    """
    key = record_key(kept.record.fleet, kept.record.rollout_id)
    for _ in range(_RACES):
        wanted = how(kept.record)
        if wanted == kept.record:
            return kept
        written = world.objects.put(key, to_json(wanted), if_match=kept.etag)
        if written is not None:
            return Kept(wanted, written)
        kept = reread(world, kept)
    raise Refused(f"record {key}", "others write it all the time", next_command="try again")


def reread(world: RolloutWorld, kept: Kept) -> Kept:
    """Return a record as it is now."""
    found = _read(world, record_key(kept.record.fleet, kept.record.rollout_id))
    return found or kept


def noted(record: RolloutRecord, note: Note) -> RolloutRecord:
    """Return a record with a note more, unless it has it already: an answer got lost, and we try again."""
    if note in record.notes:
        return record
    return replace(record, notes=(*record.notes, note))


def has_noted(record: RolloutRecord, what: Happened, says: str) -> bool:
    """Tell whether a record has such a note."""
    return any((each.what, each.says) == (what, says) for each in record.notes)


def _read(world: RolloutWorld, key: str) -> Kept | None:
    stored = world.objects.get(key)
    if stored is None:
        return None
    try:
        return Kept(from_json(stored.body), stored.etag)
    except ValueError as exc:
        raise Refused(
            f"record {key}", str(exc), next_command="use the version of Slipway that wrote it"
        ) from exc
