# SPDX-License-Identifier: Apache-2.0
"""What is told of instances is read in the order in which it happened, whatever thread reads it."""

from __future__ import annotations

import threading
from types import TracebackType

from sandbox.api.ledger import State as Ec2State
from sandbox.autoscaling.loop import Loop
from sandbox.autoscaling.member import Power

from .autoscaling_fleet import BOOT_S, Fleet

HASTE_S = 0.3


class Overtaken:
    """A lock before which a second reader gets the time to overtake the first."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._lock = threading.RLock()
        self.second: threading.Thread | None = None
        self.is_armed = False

    def __enter__(self) -> None:
        if self.is_armed:
            self.is_armed = False
            self._fleet.loop.note("i-1", Ec2State.TERMINATED)
            self.second = threading.Thread(target=self._fleet.loop._read_notes)
            self.second.start()
            self.second.join(HASTE_S)
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


def test_an_end_is_not_forgotten_for_what_came_before_it() -> None:
    fleet = Fleet()
    group = fleet.group(1)
    fleet.clock.advance(BOOT_S)
    lock = Overtaken(fleet)
    fleet.loop = Loop(
        engine=fleet.engine,
        state=lambda: fleet.state,
        lock=lock,
        clock=fleet.clock,
        services=fleet,
        changed=lambda: None,
        reason=lambda _: "",
        state_of=lambda _: "",
    )
    fleet.loop.note("i-1", Ec2State.RUNNING)
    lock.is_armed = True
    fleet.loop._read_notes()
    assert lock.second is not None
    lock.second.join()
    assert group.members["i-1"].power is Power.TERMINATED
