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
from datetime import UTC, datetime, timedelta
from typing import Protocol

log = logging.getLogger(__name__)

WORKERS = 8
# So many actions at one moment are taken for a loop that never lets time pass.
MOST_AT_ONCE = 250_000


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


class _Due:
    """A call to come; heaps hold it behind its time and number, which compare faster than it would."""

    __slots__ = ("action", "is_cancelled")

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


# When, in seconds; a number that grows; and what.
_Entry = tuple[float, int, _Due]


class WallClock:
    """Real time. Calls that are due at once run side by side."""

    def __init__(self) -> None:
        self._due: list[_Entry] = []
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
        due = _Due(action)
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), due))
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
                wait_s = self._due[0][0] - time.monotonic() if self._due else None
                if wait_s is None or wait_s > 0:
                    self._changed.wait(wait_s)
                    continue
                due = heapq.heappop(self._due)[2]
                if not due.is_cancelled:
                    self._pool.submit(_guarded, due.action)


class Runaway(Exception):
    """Actions at one moment ask for ever more actions at the same moment."""


class VirtualClock:
    """Time that stands still until it is advanced. The same calls in the same order give the same region."""

    def __init__(
        self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC), *, most_at_once: int = MOST_AT_ONCE
    ) -> None:
        self._start = start
        self._most_at_once = most_at_once
        self._elapsed_s = 0.0
        self._due: list[_Entry] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        # Who lets time pass; actions that call back into the region find themselves holding it.
        self._advancing = threading.RLock()
        self._is_running = False

    @property
    def elapsed_s(self) -> float:
        """The seconds since the start."""
        return self._elapsed_s

    def now(self) -> datetime:
        """Return the time."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Call `action` once the clock has been advanced by `seconds`."""
        due = _Due(action)
        with self._lock:
            heapq.heappush(self._due, (self._elapsed_s + max(seconds, 0.0), next(self._numbers), due))
        return due

    def go_on_at(self, elapsed_s: float) -> None:
        """Begin at a later time than the start, before anything is due."""
        self._elapsed_s = elapsed_s

    def advance(self, seconds: float) -> int:
        """Let time pass: call, on this thread and in order, what is due until then, at its own time.

        Returns how many actions that were.

        Raises:
            Runaway: actions ask for ever more actions at one moment; time stands there.
        """
        with self._advancing:
            self._is_running = True
            try:
                return self._run_until(self._elapsed_s + seconds)
            finally:
                self._is_running = False

    def run_due(self) -> int:
        """Call what is due now, unless somebody lets time pass already: they will."""
        done = 0
        while self._is_due() and self._advancing.acquire(blocking=False):
            try:
                # An action of this very thread may be what called.
                if self._is_running:
                    break
                done += self.advance(0)
            finally:
                self._advancing.release()
        return done

    def close(self) -> None:
        """Call nothing any more."""
        with self._lock:
            self._due.clear()

    def _run_until(self, end_s: float) -> int:
        done = at_once = 0
        while (entry := self._next(end_s)) is not None:
            at_s, _, due = entry
            if at_s <= self._elapsed_s:
                at_once += 1
            else:
                at_once = 1
                self._elapsed_s = at_s
            _guarded(due.action)
            done += 1
            if at_once >= self._most_at_once:
                raise Runaway(f"{at_once} actions at {self.now().isoformat()}, and there are more")
        self._elapsed_s = end_s
        return done

    def _is_due(self) -> bool:
        with self._lock:
            return any(not due.is_cancelled and at_s <= self._elapsed_s for at_s, _, due in self._due[:1])

    def _next(self, end_s: float) -> _Entry | None:
        with self._lock:
            while self._due and self._due[0][0] <= end_s:
                entry = heapq.heappop(self._due)
                if not entry[2].is_cancelled:
                    return entry
        return None


def _guarded(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception:  # the clock outlives whatever it calls
        log.exception("a timed action failed")
