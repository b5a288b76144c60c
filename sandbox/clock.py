# SPDX-License-Identifier: Apache-2.0
"""The region's time: what it is, and what shall happen later.

What waits in the region (warm-ups, grace periods, lifecycle hooks, health checks) asks for a call
at a later time instead of sleeping: the same code runs by the wall clock and by one that a test moves.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

log = logging.getLogger(__name__)

WORKERS = 8


class Timer(Protocol):
    """A call to come."""

    def cancel(self) -> None:
        """Don't call; harmless when it was called already."""


class RegionClock(Protocol):
    """Tells the time and calls back."""

    def now(self) -> datetime:
        """Return the region's time, in UTC."""

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Call `action` once, `seconds` from now, on a thread that holds no lock of the region."""

    def close(self) -> None:
        """Call nothing any more."""


@dataclass(order=True)
class _Due:
    at_s: float
    number: int
    action: Callable[[], None] = field(compare=False)
    is_cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.is_cancelled = True


class WallClock:
    """Real time. Calls that are due at once run side by side."""

    def __init__(self) -> None:
        self._due: list[_Due] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._is_closed = False
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="timer")
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
        self._thread.start()

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Call `action` in `seconds`; errors of an action are logged and end nothing."""
        due = _Due(time.monotonic() + seconds, next(self._numbers), action)
        with self._changed:
            heapq.heappush(self._due, due)
            self._changed.notify()
        return due

    def close(self) -> None:
        """Call nothing any more, and wait for what runs."""
        with self._changed:
            self._is_closed = True
            self._due.clear()
            self._changed.notify()
        self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._is_closed:
                    return
                wait_s = self._due[0].at_s - time.monotonic() if self._due else None
                if wait_s is None or wait_s > 0:
                    self._changed.wait(wait_s)
                    continue
                due = heapq.heappop(self._due)
                if not due.is_cancelled:
                    self._pool.submit(_guarded, due.action)


class VirtualClock:
    """Time that stands still until it is advanced. The same calls in the same order give the same region."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed_s = 0.0
        self._due: list[_Due] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the time."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Call `action` once the clock has been advanced by `seconds`."""
        with self._lock:
            due = _Due(self._elapsed_s + max(seconds, 0.0), next(self._numbers), action)
            heapq.heappush(self._due, due)
        return due

    def advance(self, seconds: float) -> None:
        """Let time pass: call, on this thread and in order, what is due until then, at its own time."""
        end_s = self._elapsed_s + seconds
        while (due := self._next(end_s)) is not None:
            self._elapsed_s = max(self._elapsed_s, due.at_s)
            _guarded(due.action)
        self._elapsed_s = end_s

    def close(self) -> None:
        """Call nothing any more."""
        with self._lock:
            self._due.clear()

    def _next(self, end_s: float) -> _Due | None:
        with self._lock:
            while self._due and self._due[0].at_s <= end_s:
                due = heapq.heappop(self._due)
                if not due.is_cancelled:
                    return due
        return None


def _guarded(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception:  # the clock outlives whatever it calls
        log.exception("a timed action failed")
