# SPDX-License-Identifier: Apache-2.0
"""A small play of instance refreshes: what FakeFleets does behind its port.

It keeps to AWS's outline: who is replaced when, checkpoints, an hour of retries, rollback. What it leaves out
the local region plays in full.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.domain.fleet import FleetInstance
from orchestrator.domain.refresh import (
    InstanceRefresh,
    ProtectedInstances,
    RefreshRequest,
    RefreshStatus,
    RollbackDetails,
    StandbyInstances,
)
from tests.fakes.basics import FakeClock
from tests.fakes.garage import REFRESH, Garage

HOUR_S = 3600.0
NEEDED = {"InstanceRefresh", "Launch", "Terminate"}
WORKING = (RefreshStatus.PENDING, RefreshStatus.IN_PROGRESS, RefreshStatus.ROLLBACK_IN_PROGRESS)


@dataclass
class Course:
    """A refresh under way or over. `version` is what it installs now; a rollback installs the old one."""

    shown: InstanceRefresh
    version: int
    old_version: int
    total: int
    passed: set[int] = field(default_factory=set)
    waits_until_s: float = 0.0
    failing_since_s: float | None = None

    def show(self, **fields: Any) -> None:
        self.shown = replace(self.shown, **fields)


class Refreshes(Garage):
    """What refreshes do with the groups' machines."""

    pending_s = 5.0

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.courses: dict[str, list[Course]] = {}

    def template_of(self, name: str) -> str:
        course = self.active(name)
        return course.shown.template_id if course else self.groups[name].template_id

    def warmup_of(self, name: str) -> float | None:
        course = self.active(name)
        asked_s = course.shown.preferences.instance_warmup_s if course else None
        return self.groups[name].instance_warmup_s if asked_s is None else asked_s

    def note(self, name: str, *, has_failed: bool) -> None:
        course = self.active(name)
        if course and has_failed:
            self._fail_in_an_hour(course)
        elif course:
            course.failing_since_s = None

    def active(self, name: str) -> Course | None:
        begun = self.courses.get(name)
        latest = begun[-1] if begun else None
        return latest if latest and latest.shown.status.is_active else None

    # What the port asks for.

    def start(self, name: str, refresh_id: str, request: RefreshRequest) -> None:
        group, now = self.groups[name], self.time.now()
        shown = InstanceRefresh(
            refresh_id,
            name,
            RefreshStatus.PENDING,
            started_at=now,
            template_id=request.template_id,
            version=request.version,
            preferences=request.preferences,
        )
        course = Course(shown, request.version, group.numbered_version or 0, 0)
        self.courses.setdefault(name, []).append(course)
        course.total = len(self._to_replace(course))
        course.show(instances_to_update=course.total)
        if request.preferences.skip_matching and not course.total:
            self._end(course, RefreshStatus.SUCCESSFUL)
            return
        self.time.after(self.pending_s, lambda: self._begin(course))

    def _begin(self, course: Course) -> None:
        if course.shown.status is RefreshStatus.PENDING:
            course.show(status=RefreshStatus.IN_PROGRESS)
            self.go_on(course.shown.group)

    def cancel(self, course: Course) -> None:
        course.show(status=RefreshStatus.CANCELLING, reason="Replacing instances before cancelling.")
        self.go_on(course.shown.group)

    def roll_back(self, course: Course, reason: str) -> None:
        shown = course.shown
        details = RollbackDetails(reason, self.time.now(), shown.percentage, shown.instances_to_update)
        course.show(status=RefreshStatus.ROLLBACK_IN_PROGRESS, reason=reason, rollback=details, percentage=0)
        course.version, course.failing_since_s, course.waits_until_s = course.old_version, None, 0.0
        course.total = len(self._to_replace(course))
        self._blocked_until_s.pop(shown.group, None)
        for each in self._to_replace(course):
            if each.instance_id not in self._warm and not self._is_held(each):
                self._leave(shown.group, each.instance_id, REFRESH)
        self.go_on(shown.group)

    def fail(self, course: Course, reason: str) -> None:
        """End a refresh for a reason of AWS's own, or begin to take it back."""
        if course.shown.status is RefreshStatus.ROLLBACK_IN_PROGRESS:
            self._end(course, RefreshStatus.ROLLBACK_FAILED, reason)
        elif course.shown.preferences.auto_rollback:
            self.roll_back(course, reason)
        else:
            self._end(course, RefreshStatus.FAILED, reason)

    # What a group does of its own.

    def go_on(self, name: str) -> None:
        """Do what can be done now: launch, terminate, wait or end."""
        course = self.active(name)
        if course is None:
            self._trim(name)
            self._fill(name, self.groups[name].numbered_version or 0)
            return
        self._count(course)
        if course.shown.status is RefreshStatus.CANCELLING:
            self._trim(name)
            if not self._in_flight(course):
                self._end(course, RefreshStatus.CANCELLED)
        elif self._may_replace(course):
            self._replace(course)

    def _trim(self, name: str) -> None:
        """Terminate machines too many, the oldest version first."""
        healthy = [each for each in self._alive(name) if each.instance_id in self._warm]
        surplus = max(0, len(healthy) - self.groups[name].desired_capacity)
        for each in sorted(healthy, key=lambda each: each.version or 0)[:surplus]:
            self._leave(name, each.instance_id, "a difference between desired and actual capacity")

    def _may_replace(self, course: Course) -> bool:
        is_stalled = {"InstanceRefresh", "Launch", "Terminate"} & self.groups[
            course.shown.group
        ].suspended.keys()
        return (
            course.shown.status in WORKING[1:] and not is_stalled and self.time.now_s >= course.waits_until_s
        )

    def _replace(self, course: Course) -> None:
        name = course.shown.group
        left = self._to_replace(course)
        has_surplus = len(self._alive(name)) > self.groups[name].desired_capacity
        is_idle = not self._in_flight(course) and not (left and has_surplus)
        ready = [each for each in left if not self._is_held(each)]
        if is_idle and self._reaches_checkpoint(course):
            return
        if is_idle and not left:
            self._finish(course)
        elif is_idle and not ready:
            self._fail_in_an_hour(course)
        else:
            self._renew(course, ready)
            self._fill(name, course.version, extra=self._surge(course, ready))

    def _renew(self, course: Course, ready: list[FleetInstance]) -> None:
        """Terminate what may go: what new machines stand in for, or as many at once as may be missing."""
        name, desired = course.shown.group, self.groups[course.shown.group].desired_capacity
        low, high = self._band(course)
        coming, leaving = self._moving(course)
        if high > desired:
            healthy = [each for each in self._alive(name) if each.instance_id in self._warm]
            count = len(healthy) - desired
        else:
            count = min(max(1, high - low), self._until_checkpoint(course)) - max(coming, leaving)
        gone, ready[:] = ready[: max(0, count)], ready[max(0, count) :]
        for each in gone:
            self._leave(name, each.instance_id, REFRESH)

    def _surge(self, course: Course, ready: list[FleetInstance]) -> int:
        """Return how many machines are to be launched beside those that the group wants."""
        low, high = self._band(course)
        if high <= self.groups[course.shown.group].desired_capacity:
            return 0
        coming, leaving = self._moving(course)
        room = min(max(1, high - low), self._until_checkpoint(course)) - coming - leaving
        return max(0, min(room, len(ready) - coming))

    def _moving(self, course: Course) -> tuple[int, int]:
        in_flight = self._in_flight(course)
        leaving = sum(each.lifecycle_state.startswith("Terminat") for each in in_flight)
        return len(in_flight) - leaving, leaving

    def _band(self, course: Course) -> tuple[int, int]:
        preferences = course.shown.preferences
        desired = self.groups[course.shown.group].desired_capacity
        least, most = preferences.min_healthy_percentage, preferences.max_healthy_percentage or 100
        high = max(math.floor(desired * most / 100), desired + (least == 100))  # noqa: PLR2004 - percent
        return math.ceil(desired * least / 100), high

    def _until_checkpoint(self, course: Course) -> int:
        desired = self.groups[course.shown.group].desired_capacity
        ahead = [each for each in self._checkpoints(course) if each not in course.passed]
        if not ahead:
            return desired
        return max(1, math.ceil(desired * ahead[0] / 100) - self._renewed(course))

    def _reaches_checkpoint(self, course: Course) -> bool:
        desired = self.groups[course.shown.group].desired_capacity
        share = 100 * self._renewed(course) / max(1, desired)
        reached = [each for each in self._checkpoints(course) if share >= each and each not in course.passed]
        if not reached:
            return False
        course.passed.update(reached)
        if reached[-1] == 100:  # noqa: PLR2004 - percent
            return False
        if reached[-1] == course.shown.preferences.checkpoint_percentages[-1]:
            self._finish(course)
            return True
        delay_s = course.shown.preferences.checkpoint_delay_s
        delay_s = HOUR_S if delay_s is None else delay_s
        course.waits_until_s = self.time.now_s + delay_s
        self.time.after(delay_s, lambda: self.go_on(course.shown.group))
        return True

    def _checkpoints(self, course: Course) -> tuple[int, ...]:
        is_back = course.shown.status is RefreshStatus.ROLLBACK_IN_PROGRESS
        return () if is_back else course.shown.preferences.checkpoint_percentages

    def _finish(self, course: Course) -> None:
        if course.shown.status is RefreshStatus.ROLLBACK_IN_PROGRESS:
            self._end(course, RefreshStatus.ROLLBACK_SUCCESSFUL)
        elif watched_s := course.shown.preferences.refresh_bake_time_s:
            course.show(status=RefreshStatus.BAKING, percentage=100)
            self.time.after(watched_s, lambda: self._succeed_after_watch(course))
        else:
            self._end(course, RefreshStatus.SUCCESSFUL)

    def _succeed_after_watch(self, course: Course) -> None:
        if course.shown.status is RefreshStatus.BAKING:
            self._end(course, RefreshStatus.SUCCESSFUL)

    def _end(self, course: Course, status: RefreshStatus, reason: str = "") -> None:
        self._count(course)
        course.show(status=status, reason=reason or course.shown.reason, ended_at=self.time.now())
        name = course.shown.group
        if status is RefreshStatus.SUCCESSFUL:
            version = str(course.version)
            course.show(reason="")
            self.groups[name] = replace(
                self.groups[name], template_id=course.shown.template_id, template_version=version
            )
        self.go_on(name)

    def _count(self, course: Course) -> None:
        left = len(self._to_replace(course))
        if course.shown.status is RefreshStatus.ROLLBACK_IN_PROGRESS:
            course.show(instances_to_update=left)
            return
        done = max(0, min(course.total - left, self._renewed(course)))
        course.show(instances_to_update=left, percentage=100 * done // course.total if course.total else 100)

    def _fail_in_an_hour(self, course: Course) -> None:
        if course.failing_since_s is None:
            course.failing_since_s = since_s = self.time.now_s
            self.time.after(HOUR_S, lambda: self._give_up(course, since_s))

    def _give_up(self, course: Course, since_s: float) -> None:
        if course.failing_since_s == since_s and course.shown.status in WORKING:
            self.fail(course, "Instances failed to become healthy within an hour.")

    # Machines.

    def _to_replace(self, course: Course) -> list[FleetInstance]:
        preferences, name = course.shown.preferences, course.shown.group
        found = [
            each
            for each in self.machines[name].values()
            if not each.is_of(course.shown.template_id, course.version)
            and not each.lifecycle_state.startswith("Terminat")
        ]
        if preferences.scale_in_protected_instances is ProtectedInstances.IGNORE:
            found = [each for each in found if not each.is_protected]
        if preferences.standby_instances is StandbyInstances.IGNORE:
            found = [each for each in found if not each.is_standby]
        return found

    @staticmethod
    def _is_held(machine: FleetInstance) -> bool:
        return machine.is_protected or machine.is_standby

    def _in_flight(self, course: Course) -> list[FleetInstance]:
        found = self.machines[course.shown.group].values()
        return [
            each
            for each in found
            if each.lifecycle_state.startswith("Terminat")
            or (each.is_of(course.shown.template_id, course.version) and each.instance_id not in self._warm)
        ]

    def _renewed(self, course: Course) -> int:
        alive = self._alive(course.shown.group)
        ours = [each for each in alive if each.is_of(course.shown.template_id, course.version)]
        return sum(each.instance_id in self._warm for each in ours)
