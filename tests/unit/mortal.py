# SPDX-License-Identifier: Apache-2.0
"""Ports of a program that dies at one of its calls, before or after the call has taken effect."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from orchestrator.host_process import HostProcess
from orchestrator.locks import ObjectLocks
from orchestrator.workflows.rollout.world import RolloutWorld
from tests.fakes import FakeClock, FakeObjects

# What speaks to AWS, by the names of a world's fields.
PORTS = (
    "fleets",
    "templates",
    "targets",
    "images",
    "machines",
    "parameters",
    "objects",
    "identity",
    "notices",
    "stacks",
    "facts",
)
# How the names of calls end that change something.
CHANGING = (
    ".put",
    ".delete",
    ".create_version",
    ".set_default",
    ".start_refresh",
    ".cancel_refresh",
    ".rollback_refresh",
    ".suspend",
    ".resume",
    ".publish",
)
# No kernel gives a process this number, so whoever has it is gone.
NO_PID = 4_194_305


class Killed(BaseException):
    """The program is dead. No `except` of a library or of ours takes it for an error of a call."""


class Fate:
    """Counts calls, and lets the program die at one, counted from 1; from then on it gets nothing done."""

    def __init__(self, dies_at: int = 0, *, after: bool = False) -> None:
        self.calls: list[str] = []
        self._dies_at, self._dies_after, self._is_dead = dies_at, after, False
        self._lock = threading.Lock()

    def meet(self, name: str, call: Callable[[], Any]) -> Any:
        """Make a call, if the program lives to make it."""
        with self._lock:
            if self._is_dead:
                raise Killed
            self.calls.append(name)
            is_last = len(self.calls) == self._dies_at
            self._is_dead = is_last
            if is_last and not self._dies_after:
                raise Killed
        answer = call()
        if is_last:
            raise Killed
        return answer


class Mortal:
    """A port whose calls meet a fate."""

    def __init__(self, name: str, port: Any, fate: Fate) -> None:
        self._name, self._port, self._fate = name, port, fate

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._port, method)
        return lambda *args, **kwargs: self._fate.meet(
            f"{self._name}.{method}", lambda: found(*args, **kwargs)
        )


def mortal(world: RolloutWorld, fate: Fate, clock: FakeClock) -> RolloutWorld:
    """Return a world of a process that is gone as soon as somebody asks for it."""
    ports: dict[str, Any] = {name: Mortal(name, getattr(world, name), fate) for name in PORTS}
    process = replace(HostProcess.current(), pid=NO_PID)
    return replace(world, **ports, locks=object_locks(ports["objects"], clock, process))


def object_locks(objects: FakeObjects, clock: FakeClock, process: HostProcess | None = None) -> ObjectLocks:
    """Return real locks in a bucket, which are renewed by the fake clock."""

    @contextmanager
    def ticker(interval_s: float, action: Callable[[], None]) -> Iterator[None]:
        goes_on = [True]

        def tick() -> None:
            if goes_on[0]:
                clock.schedule(interval_s, tick)
                action()

        clock.schedule(interval_s, tick)
        try:
            yield
        finally:
            goes_on[0] = False

    return ObjectLocks(objects, clock, process=process, ticker=ticker)
