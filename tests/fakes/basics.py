# SPDX-License-Identifier: Apache-2.0
"""Time, and what all fakes have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """Time that passes when somebody sleeps or a test says so."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._monotonic_s = 1000.0
        self._lock = threading.RLock()
        self._due: list[tuple[float, Callable[[], None]]] = []
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass; what was scheduled meanwhile happens then."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
            self._monotonic_s += seconds
            due = [action for at_s, action in self._due if at_s <= self._monotonic_s]
            self._due = [entry for entry in self._due if entry[0] > self._monotonic_s]
        for action in due:
            action()

    def set_wall(self, now: datetime) -> None:
        """Set the time of day, as an operator or NTP does; seconds go on as before."""
        self._now = now

    def schedule(self, after_s: float, action: Callable[[], None]) -> None:
        """Do something once that much time has passed."""
        with self._lock:
            self._due.append((self._monotonic_s + after_s, action))


class Recorded:
    """Notes each call, and fails those that a test wants to fail."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.faults: dict[str, list[BaseException]] = {}
        self.after_call: Callable[[str], None] = lambda name: None

    def fail(self, call: str, *errors: BaseException) -> None:
        """Let the next calls of a method end with these errors."""
        self.faults.setdefault(call, []).extend(errors)

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self.after_call(call)
        if self.faults.get(call):
            raise self.faults[call].pop(0)
