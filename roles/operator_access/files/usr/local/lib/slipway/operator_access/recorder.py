# SPDX-License-Identifier: Apache-2.0
"""Tell who came and went. sshd never waits for it, and what was told once may be told again, never not."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from . import cache
from .cloud import ERRORS, code_of
from .evict import is_alive, started
from .machine import Machine
from .sessions import Line, Session, Sessions
from .spool import LOGS, OBJECTS, Item, Spool

MEMORY = "records.json"
LOG_BATCH, OBJECT_BATCH = 500, 20
REFUSALS_A_MINUTE = 60
MINUTE_MICROS = 60_000_000
# How long the journal may take to tell the end of a process that is gone.
SILENCE_S = 10.0

log = logging.getLogger(__name__)


class Destination(Protocol):
    """Where records go."""

    def put_events(self, items: list[Item]) -> None:
        """Write records to the log group."""

    def put_object(self, item: Item) -> None:
        """Write the record of a session that ended to the bucket."""


class Recorder:
    """Reads sshd's lines, keeps what they mean, and sends it on. Any thread may call its methods."""

    def __init__(
        self, machine: Machine, destination: Destination, sessions: Sessions, *, places: tuple[Path, ...]
    ) -> None:
        self._machine = machine
        self._destination = destination
        self._sessions = sessions
        self._places = places
        self._lock = threading.Lock()
        self._spool = Spool()
        self._silent: dict[int, float] = {}
        self._refused = _Meter(REFUSALS_A_MINUTE)
        self._trouble: dict[str, str] = {}
        self._is_changed = False
        self._last_seen = 0.0
        self.cursor: str | None = None
        self._restore()

    def feed(self, line: Line | None, cursor: str) -> None:
        """Take in a line of the journal; with it, all lines before it are dealt with."""
        with self._lock:
            self.cursor = cursor
            if line is None:
                return
            self._add(self._sessions.feed(line), line.micros)
            if line.pid in self._sessions.open and self._sessions.open[line.pid].started is None:
                self._sessions.started(line.pid, started(line.pid))
            self._is_changed = True

    def open_sessions(self) -> list[Session]:
        """Return the sessions that are open."""
        with self._lock:
            return list(self._sessions.open.values())

    def sweep(self, boot: str, *, now: Callable[[], float] = time.time) -> None:
        """End the sessions whose process is gone although the journal says nothing, as when it was killed."""
        with self._lock:
            for session in list(self._sessions.open.values()):
                if session.boot == boot and is_alive(session):
                    self._silent.pop(session.pid, None)
                    continue
                since = self._silent.setdefault(session.pid, now())
                if now() - since >= SILENCE_S:
                    del self._silent[session.pid]
                    micros = int((since if session.boot == boot else self._last_seen) * 1e6)
                    self._add(self._sessions.lost(session.pid, micros), micros)
                    self._is_changed = True

    def send(self) -> bool:
        """Send what waits, and tell whether all of it arrived."""
        results = [self._try(LOGS, self._send_events), self._try(OBJECTS, self._send_objects)]
        return all(results)

    def save(self) -> None:
        """Keep what must outlast a restart. A full disk keeps nobody from anything: memory has it as well."""
        with self._lock:
            if not self._is_changed:
                return
            self._is_changed = False
            text = json.dumps(self._state())
        for path in [place / MEMORY for place in self._places]:
            self._try(str(path), partial(cache.write, path, text, mode=0o600))

    def _add(self, records: list[dict[str, Any]], micros: int) -> None:
        for record in records:
            if record["event"] == "refused" and not self._refused.admits(micros):
                continue
            to = {LOGS, OBJECTS} if record["event"] == "ended" else {LOGS}
            self._spool.add(Item(micros, self._whole(record), to))

    def _whole(self, record: dict[str, Any]) -> dict[str, Any]:
        machine = self._machine
        return record | {
            "environment": machine.environment,
            "fleet": machine.fleet,
            "instance_id": machine.instance_id,
        }

    def _send_events(self) -> None:
        with self._lock:
            self._tell_what_is_missing()
            items = self._spool.waiting(LOGS, LOG_BATCH)
        if items:
            self._destination.put_events(items)
            self._arrived(LOGS, items)

    def _send_objects(self) -> None:
        with self._lock:
            items = self._spool.waiting(OBJECTS, OBJECT_BATCH)
        for item in items:
            self._destination.put_object(item)
            self._arrived(OBJECTS, [item])

    def _arrived(self, destination: str, items: list[Item]) -> None:
        with self._lock:
            self._spool.arrived(destination, items)
            self._is_changed = True

    def _tell_what_is_missing(self) -> None:
        counts = {"dropped": self._spool.dropped, "refused": self._refused.taken()}
        self._spool.dropped = 0
        if any(counts.values()):
            record = {"event": "missing", "records": counts["dropped"], "refusals": counts["refused"]}
            self._spool.add(Item(int(time.time() * 1e6), self._whole(record), {LOGS}))
            self._is_changed = True

    def _try(self, what: str, do: Callable[[], None]) -> bool:
        """Do something that may fail for a while; that it does is said once, and that it is over."""
        try:
            do()
        except (*ERRORS, OSError) as error:
            if self._trouble.get(what) != code_of(error):
                log.warning("records to %s: %s; they are kept", what, error)
            self._trouble[what] = code_of(error)
            return False
        if self._trouble.pop(what, None):
            log.info("records to %s: well again", what)
        return True

    def _state(self) -> dict[str, Any]:
        return {
            "written": time.time(),
            "instance_id": self._machine.instance_id,
            "cursor": self.cursor,
            "sessions": [
                {name: getattr(session, name) for name in Session.__slots__}
                for session in self._sessions.open.values()
            ],
            "spool": self._spool.to_dict(),
        }

    def _restore(self) -> None:
        """Go on where the last run stopped: by the newest of what it could write."""
        states = [_state_at(place / MEMORY) for place in self._places]
        # A machine of an image that was made of a running one is another machine.
        found = [state for state in states if state and state["instance_id"] == self._machine.instance_id]
        if not found:
            return
        newest = max(found, key=lambda state: float(state["written"]))
        self.cursor = newest["cursor"]
        self._last_seen = newest["written"]
        self._spool.restore(newest["spool"])
        self._sessions.open.update({each["pid"]: Session(**each) for each in newest["sessions"]})


def _state_at(path: Path) -> dict[str, Any] | None:
    text = cache.read(path)
    try:
        state: dict[str, Any] = json.loads(text or "")
        return state if {"written", "instance_id", "cursor", "sessions", "spool"} <= state.keys() else None
    except (ValueError, AttributeError):
        return None


class _Meter:
    """Lets so many through a minute, and counts the others: whoever knocks all day fills no log group."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._minute = -1
        self._count = 0
        self._over = 0

    def admits(self, micros: int) -> bool:
        minute = micros // MINUTE_MICROS
        if minute != self._minute:
            self._minute, self._count = minute, 0
        self._count += 1
        is_within = self._count <= self._most
        self._over += not is_within
        return is_within

    def taken(self) -> int:
        """Return how many were counted since the last time."""
        over, self._over = self._over, 0
        return over
