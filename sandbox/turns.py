# SPDX-License-Identifier: Apache-2.0
"""Work that waits in the middle, by a virtual clock: one thread at a time, in an order that repeats.

Stack operations wait by calling and not by asking for a call later. Each has a thread, but that thread runs
only while the clock's own waits for it: until it waits itself, or ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

from sandbox.clock import RegionClock

T = TypeVar("T")


class _Turn:
    """A thread, and the two signals that pass the word between it and the clock's."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._may_run = threading.Event()
        self._has_paused = threading.Event()
        self._work = work
        self.is_over = False
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def resume(self) -> None:
        """Let the thread run until it waits or ends."""
        if self.is_over:
            return
        self._has_paused.clear()
        self._may_run.set()
        if not self.thread.is_alive():
            self.thread.start()
        self._has_paused.wait()

    def pause(self) -> None:
        """Wait, on the thread itself, until it is resumed."""
        self._may_run.clear()
        self._has_paused.set()
        self._may_run.wait()

    def _run(self) -> None:
        self._may_run.wait()
        try:
            self._work()
        finally:
            self.is_over = True
            self._has_paused.set()


class Turns:
    """Workers for a virtual clock (see `sandbox.cloudformation.workers`)."""

    def __init__(self, clock: RegionClock) -> None:
        self._clock = clock
        self._turns: list[_Turn] = []
        self._is_closing = False

    def begin(self, name: str, work: Callable[[], None]) -> None:
        """Start work at this moment of the region's time; it may be called with any lock held."""
        turn = _Turn(name, work)
        self._turns = [each for each in self._turns if not each.is_over]
        self._turns.append(turn)
        self._soon(turn)

    def submit(self, work: Callable[..., T], *arguments: Any) -> Future[T]:
        """Start work and return what will come of it."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(work(*arguments))
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                future.set_exception(error)

        self.begin("resource", run)
        return future

    def first_done(self, running: Iterable[Future[T]]) -> list[Future[T]]:
        """Wait until some of what runs is done, and return that, in the order it was begun."""
        futures = list(running)
        if not any(each.done() for each in futures):
            turn = self._own()
            for each in futures:
                each.add_done_callback(lambda _: self._soon(turn))
            while not any(each.done() for each in futures):
                turn.pause()
        return [each for each in futures if each.done()]

    def sleep(self, seconds: float, is_alive: Callable[[], bool]) -> None:
        """Wait so many seconds of the region's time; not at all when nobody wants to wait any more."""
        if not is_alive():
            return
        turn = self._own()
        is_over = threading.Event()

        def wake() -> None:
            is_over.set()
            turn.resume()

        timer = self._clock.after(seconds, wake)
        while is_alive() and not is_over.is_set():
            turn.pause()
        timer.cancel()

    def close(self) -> None:
        """End what waits: each is let run on, and finds that nobody wants it any more."""
        self._is_closing = True
        while waiting := [each for each in self._turns if not each.is_over]:
            for turn in waiting:
                turn.resume()

    def _soon(self, turn: _Turn) -> None:
        if not self._is_closing:
            self._clock.after(0, turn.resume)

    def _own(self) -> _Turn:
        own = threading.current_thread()
        return next(each for each in self._turns if each.thread is own)
