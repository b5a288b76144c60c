# SPDX-License-Identifier: Apache-2.0
"""Look at groups when something happened to them or something is due, by the region's clock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime

from sandbox.api.ledger import Health
from sandbox.api.ledger import State as Ec2State
from sandbox.autoscaling.engine import Engine, power_of
from sandbox.autoscaling.group import Group
from sandbox.autoscaling.member import LAUNCHING, Power
from sandbox.autoscaling.state import State
from sandbox.autoscaling.work import Refused, Services, Work
from sandbox.clock import RegionClock, Timer

log = logging.getLogger(__name__)

# After a look that failed.
LOOK_AGAIN_S = 5.0

Note = tuple[str, str]
_HEALTHS = frozenset(Health)


class Loop:
    """One look at a time at a group; looks at different groups run side by side."""

    def __init__(
        self,
        *,
        engine: Engine,
        state: Callable[[], State],
        lock: AbstractContextManager[object],
        clock: RegionClock,
        services: Services,
        changed: Callable[[], None],
        reason: Callable[[str], str],
        state_of: Callable[[str], str],
    ) -> None:
        self._engine = engine
        self._state = state
        self._lock = lock
        self._clock = clock
        self._services = services
        self._changed = changed
        self._reason = reason
        self._state_of = state_of
        self._own = threading.Lock()
        self._reading = threading.Lock()
        self._waiting: set[str] = set()
        self._busy: set[str] = set()
        self._timers: dict[str, tuple[datetime, Timer]] = {}
        self._notes: list[Note] = []
        self._is_closed = False

    def close(self) -> None:
        """Look at nothing any more."""
        with self._own:
            self._is_closed = True

    def wake(self, name: str) -> None:
        """Look at a group soon. May be called with any lock held."""
        with self._own:
            if name in self._waiting or self._is_closed:
                return
            self._waiting.add(name)
            if name in self._busy:
                return
        self._clock.after(0, lambda: self._run(name))

    def note(self, instance_id: str, what: Ec2State | Health) -> None:
        """Take note of what an instance enters; the lock of EC2 is held."""
        with self._own:
            if self._is_closed:
                return
            self._notes.append((instance_id, str(what)))
            is_first = len(self._notes) == 1
        if is_first:
            self._clock.after(0, self._read_notes)

    def look_at_all(self) -> None:
        """Look at every group, after a restart."""
        with self._lock:
            names = list(self._state().groups)
        for name in names:
            self.wake(name)

    def _read_notes(self) -> None:
        # One after the other: an end that is read before what came earlier would be forgotten for ever.
        with self._reading:
            with self._own:
                notes, self._notes = self._notes, []
            with self._lock:
                touched = dict.fromkeys(
                    name for instance_id, what in notes if (name := self._read(instance_id, what)) is not None
                )
        for name in touched:
            self.wake(name)

    def _read(self, instance_id: str, what: str) -> str | None:
        found = self._state().member(instance_id)
        if found is None:
            # It may be being launched: what became of it is looked up once its group knows it.
            return None
        group, member = found
        if what in _HEALTHS:
            member.is_impaired = what == Health.IMPAIRED
        else:
            member.power = power_of(what)
            if member.power.is_lost and member.state in LAUNCHING:
                member.lost_because = self._reason(instance_id)
        group.look_at(member)
        return group.name

    def _run(self, name: str) -> None:
        with self._own:
            self._waiting.discard(name)
            if self._is_closed or name in self._busy:
                # Who looks at it now will look again.
                self._waiting.add(name)
                return
            self._busy.add(name)
        try:
            self._look(name)
        except Exception:  # whatever failed may go well the next time, and nobody else would look
            log.exception("could not look at the group %s", name)
            self._clock.after(LOOK_AGAIN_S, lambda: self.wake(name))
        finally:
            with self._own:
                self._busy.discard(name)
                is_wanted = name in self._waiting and not self._is_closed
            if is_wanted:
                self._clock.after(0, lambda: self._run(name))

    def _look(self, name: str) -> None:
        while True:
            with self._lock:
                now = self._clock.now()
                group = self._state().groups.get(name)
                if group is None:
                    return
                work = self._engine.look(group, now)
            self._changed()
            if work.is_empty:
                break
            self._carry_out(group, work)
        with self._lock:
            if group.is_being_deleted and not group.members and not group.orders:
                work = Work(name, group.settings.template, stale_alarms=self._state().forget(group))
                is_gone = True
            else:
                self._set_timer(group, now)
                is_gone = False
        if is_gone:
            self._services.carry_out(work)
            self._changed()

    def _carry_out(self, group: Group, work: Work) -> None:
        outcome = self._services.carry_out(work)
        with self._lock:
            self._engine.absorb(group, work, outcome, self._clock.now())
            for launched in outcome.launches.values():
                if not isinstance(launched, Refused):
                    self._catch_up(each.instance_id for each in launched)

    def _catch_up(self, instance_ids: Iterable[str]) -> None:
        """Look up what became of instances while nobody knew yet that they are the group's."""
        for instance_id in instance_ids:
            state = self._state_of(instance_id)
            if state and power_of(state) is not Power.PENDING:
                self._read(instance_id, state)

    def _set_timer(self, group: Group, looked_at: datetime) -> None:
        due = self._engine.due(group, looked_at)
        with self._own:
            before = self._timers.get(group.name)
            if before is not None:
                if before[0] == due:
                    return
                before[1].cancel()
                del self._timers[group.name]
            if due is None or self._is_closed:
                return
            wait_s = max((due - self._clock.now()).total_seconds(), 0.0)
            self._timers[group.name] = (due, self._clock.after(wait_s, lambda: self._ring(group.name)))

    def _ring(self, name: str) -> None:
        with self._own:
            self._timers.pop(name, None)
        self.wake(name)
