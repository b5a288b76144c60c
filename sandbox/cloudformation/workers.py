# SPDX-License-Identifier: Apache-2.0
"""Who carries out stack operations: threads side by side, or, by a virtual clock, `sandbox.turns.Turns`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol, TypeVar

from sandbox.clock import RegionClock

T = TypeVar("T")

PATIENCE_S = 10.0
# How soon a wait of any length notices that it is not wanted any more, in real seconds.
_LOOK_S = 0.2


class Workers(Protocol):
    """What runs operations and their steps, and lets them wait."""

    def begin(self, name: str, work: Callable[[], None]) -> None:
        """Start an operation; it may be called with any lock held."""

    def submit(self, work: Callable[..., T], *arguments: Any) -> Future[T]:
        """Start a step and return what will come of it."""

    def first_done(self, running: Iterable[Future[T]]) -> Iterable[Future[T]]:
        """Wait until some of what runs is done, and return that."""

    def sleep(self, seconds: float, is_alive: Callable[[], bool]) -> None:
        """Wait until the region's clock is so much further, or nobody wants to wait any more."""

    def close(self) -> None:
        """Wait a little for what was told to end."""


class Threads:
    """A thread per operation, and a pool for steps."""

    def __init__(self, clock: RegionClock, most: int) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="resource")
        self._threads: set[threading.Thread] = set()

    def begin(self, name: str, work: Callable[[], None]) -> None:
        """Start an operation."""

        def run() -> None:
            try:
                work()
            finally:
                self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.add(thread)
        thread.start()

    def submit(self, work: Callable[..., T], *arguments: Any) -> Future[T]:
        """Start a step in the pool."""
        return self._pool.submit(work, *arguments)

    def first_done(self, running: Iterable[Future[T]]) -> Iterable[Future[T]]:
        """Wait for the first."""
        return wait(running, return_when=FIRST_COMPLETED).done

    def sleep(self, seconds: float, is_alive: Callable[[], bool]) -> None:
        """Wait for the clock, and look now and then whether it is worth it."""
        over = threading.Event()
        timer = self._clock.after(seconds, over.set)
        while is_alive() and not over.wait(_LOOK_S):
            pass
        timer.cancel()

    def close(self) -> None:
        """Wait for operations that were told to end; what is in the middle of a call may finish it."""
        end = time.monotonic() + PATIENCE_S
        for thread in list(self._threads):
            thread.join(max(0.0, end - time.monotonic()))
        self._pool.shutdown(wait=False, cancel_futures=True)


def in_order(workers: Workers, work: Callable[[Any], T], things: Iterable[Any]) -> list[T]:
    """Do the same for each thing, side by side, and return what came of it in their order."""
    futures = [workers.submit(work, each) for each in things]
    running = set(futures)
    while running:
        running -= set(workers.first_done([each for each in futures if each in running]))
    return [each.result() for each in futures]
