# SPDX-License-Identifier: Apache-2.0
"""Time: the only place that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from orchestrator.errors import WaitTimeout

T = TypeVar("T")


class Clock(Protocol):
    """What a workflow needs of time."""

    def now(self) -> datetime:
        """Return the current time, with its zone (UTC)."""

    def monotonic_s(self) -> float:
        """Return seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The wall clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def wait_until(  # noqa: PLR0913 - each is a decision of the caller
    fetch: Callable[[], T],
    done: Callable[[T], bool],
    *,
    clock: Clock,
    timeout: timedelta,
    what: str,
    interval_s: float = 1.0,
    on_change: Callable[[T], None] | None = None,
) -> T:
    """Fetch again and again until `done`, and return what was fetched then.

    Args:
        what: Names the thing waited for in the error: `image ami-1 to become available`.
        on_change: Called with every value that differs from the one before.

    Raises:
        WaitTimeout: `timeout` passed first; elapsed time is measured, not summed up from sleeps.
    """
    deadline = clock.monotonic_s() + timeout.total_seconds()
    previous: T | None = None
    while True:
        value = fetch()
        if value != previous and on_change:
            on_change(value)
        previous = value
        if done(value):
            return value
        if clock.monotonic_s() >= deadline:
            raise WaitTimeout(f"wait for {what}", f"not there after {timeout}", state=f"last seen: {value}")
        clock.sleep(interval_s)
