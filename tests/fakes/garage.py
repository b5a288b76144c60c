# SPDX-License-Identifier: Apache-2.0
"""Machines of fake fleets: how they come up, fail and leave, by the fake clock."""

from __future__ import annotations

import heapq
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from orchestrator.domain.fleet import FleetGroup, FleetInstance, LifecycleHook, ScalingActivity, TargetHealth
from tests.fakes.basics import FakeClock

REFRESH = "an instance refresh"
NOBODY = FleetInstance("", "", "")


class Trouble(StrEnum):
    """What becomes of a new machine."""

    LAUNCH = "launch"  # it does not come to be
    HOOK = "hook"  # its launch hook is abandoned
    STATUS_CHECK = "status check"  # in service, EC2 finds it impaired
    TARGET_HEALTH = "target health"  # in service, its target group never finds it healthy
    LOST = "lost"  # in service, somebody terminates it


class Timeline:
    """What is to happen, each at its own time, however far the clock jumps."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._at_s: float | None = None

    @property
    def now_s(self) -> float:
        return self._clock.monotonic_s() if self._at_s is None else self._at_s

    def now(self) -> datetime:
        return self._clock.now() - timedelta(seconds=self._clock.monotonic_s() - self.now_s)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now_s + seconds, next(self._numbers), action))

    def catch_up(self) -> None:
        while self._due and self._due[0][0] <= self._clock.monotonic_s():
            self._at_s, _, action = heapq.heappop(self._due)
            action()
        self._at_s = None


class Garage(ABC):
    """The groups' machines."""

    def __init__(self, clock: FakeClock) -> None:
        self.time = Timeline(clock)
        self.boot_s, self.warmup_s, self.leave_s = 30.0, 60.0, 20.0
        self.retry_s, self.notice_s = 60.0, 60.0
        self.groups: dict[str, FleetGroup] = {}
        self.machines: dict[str, dict[str, FleetInstance]] = {}
        self.activities: dict[str, dict[str, ScalingActivity]] = {}
        self.hooks: dict[str, tuple[LifecycleHook, ...]] = {}
        self.trouble: dict[int, Trouble] = {}
        self.spared: dict[int, int] = {}
        self._troubled: dict[str, Trouble] = {}
        self._warm: set[str] = set()
        self._blocked_until_s: dict[str, float] = {}
        self._numbers = itertools.count(1)

    @abstractmethod
    def go_on(self, name: str) -> None:
        """Do what can be done now that a machine came or went."""

    @abstractmethod
    def template_of(self, name: str) -> str:
        """Return the launch template that new machines are made from."""

    @abstractmethod
    def warmup_of(self, name: str) -> float | None:
        """Return the warm-up in seconds that is asked for."""

    @abstractmethod
    def note(self, name: str, *, has_failed: bool) -> None:
        """Take note of a new machine that failed, or that has warmed up."""

    def have(self, group: FleetGroup, version: int) -> None:
        self.groups[group.name] = group
        self.machines[group.name], self.activities[group.name] = {}, {}
        for _ in range(group.desired_capacity):
            machine = self._new(group, version, "InService")
            self._warm.add(machine.instance_id)

    def target_health(self, name: str) -> Iterator[TargetHealth]:
        for each in self.machines[name].values():
            if each.lifecycle_state.startswith("Pending"):
                continue
            if each.lifecycle_state.startswith("Terminating"):
                yield TargetHealth(each.instance_id, "draining", "Target.DeregistrationInProgress")
            elif self._troubled.get(each.instance_id) in (Trouble.TARGET_HEALTH, Trouble.STATUS_CHECK):
                yield TargetHealth(each.instance_id, "unhealthy", "Target.FailedHealthChecks")
            else:
                yield TargetHealth(each.instance_id, "healthy")

    def _alive(self, name: str) -> list[FleetInstance]:
        found = self.machines[name].values()
        return [each for each in found if not each.lifecycle_state.startswith(("Terminat", "Standby"))]

    def _fill(self, name: str, version: int, *, extra: int = 0) -> None:
        missing = max(0, self.groups[name].desired_capacity - len(self._alive(name))) + extra
        if self.time.now_s >= self._blocked_until_s.get(name, 0):
            for _ in range(missing):
                self._launch(name, version)

    def _launch(self, name: str, version: int) -> None:
        trouble = self.trouble.get(version)
        if trouble and self.spared.get(version, 0) > 0:
            self.spared[version] -= 1
            trouble = None
        cause = f"At {self.time.now():%Y-%m-%dT%H:%M:%SZ} an instance was launched in response to {REFRESH}."
        if trouble is Trouble.LAUNCH:
            activity = self._act(name, "Launching a new EC2 instance", cause)
            self._close(
                name, activity, "Failed", "The image can't be launched. Launching EC2 instance failed."
            )
            self._blocked_until_s[name] = self.time.now_s + self.retry_s
            self.time.after(self.retry_s, lambda: self.go_on(name))
            self.note(name, has_failed=True)
            return
        has_hook = any(hook.is_on_launch for hook in self.hooks.get(name, ()))
        machine = self._new(self.groups[name], version, "Pending:Wait" if has_hook else "Pending")
        activity = self._act(name, f"Launching a new EC2 instance: {machine.instance_id}", cause)
        if trouble:
            self._troubled[machine.instance_id] = trouble
        self.time.after(self.boot_s, lambda: self._enter(name, machine.instance_id, activity))

    def _new(self, group: FleetGroup, version: int, state: str) -> FleetInstance:
        instance_id = f"i-{next(self._numbers):017x}"
        # Into the place of a machine to be replaced: counted are those of the same version.
        alive = [each.zone for each in self._alive(group.name) if each.version == version]
        zone = min(group.zones, key=lambda each: (alive.count(each), each)) if group.zones else "us-east-1a"
        made = FleetInstance(
            instance_id,
            zone,
            state,
            instance_type="t3.small",
            template_id=self.template_of(group.name),
            version=version,
        )
        self.machines[group.name][instance_id] = made
        return made

    def _enter(self, name: str, instance_id: str, activity: str) -> None:
        trouble = self._troubled.get(instance_id)
        if not self.machines[name].get(instance_id, NOBODY).lifecycle_state.startswith("Pending"):
            self._close(name, activity, "Cancelled")
            return
        if trouble is Trouble.HOOK:
            self._close(name, activity, "Cancelled", "Lifecycle Action was abandoned: ABANDON")
            self._leave(name, instance_id, "a launch lifecycle action that was abandoned")
            self.note(name, has_failed=True)
            return
        self._become(name, instance_id, lifecycle_state="InService")
        self._close(name, activity, "Successful")
        if trouble is None:
            asked_s = self.warmup_of(name)
            warmup_s = self.warmup_s if asked_s is None else asked_s
            self.time.after(warmup_s, lambda: self._warm_up(name, instance_id))
        else:
            wait_s = max(self.notice_s, self.groups[name].grace_period_s)
            self.time.after(wait_s, lambda: self._find_bad(name, instance_id, trouble))

    def _warm_up(self, name: str, instance_id: str) -> None:
        if instance_id in self.machines[name]:
            self._warm.add(instance_id)
            self.note(name, has_failed=False)
            self.go_on(name)

    def _find_bad(self, name: str, instance_id: str, trouble: Trouble) -> None:
        why = {
            Trouble.STATUS_CHECK: "an EC2 instance status checks failure",
            Trouble.TARGET_HEALTH: "an ELB system health check failure",
        }.get(trouble, "an EC2 health check indicating it has been terminated or stopped")
        if not self.machines[name].get(instance_id, NOBODY).is_in_service:
            return
        self._become(name, instance_id, is_healthy=False)
        self._leave(name, instance_id, why)
        self.note(name, has_failed=True)

    def _leave(self, name: str, instance_id: str, why: str) -> None:
        self._become(name, instance_id, lifecycle_state="Terminating")
        at = f"At {self.time.now():%Y-%m-%dT%H:%M:%SZ}"
        cause = f"{at} an instance was taken out of service in response to {why}."
        activity = self._act(name, f"Terminating EC2 instance: {instance_id}", cause)
        self.time.after(self.leave_s, lambda: self._gone(name, instance_id, activity))

    def _gone(self, name: str, instance_id: str, activity: str) -> None:
        self.machines[name].pop(instance_id, None)
        self._warm.discard(instance_id)
        self._close(name, activity, "Successful")
        self.go_on(name)

    def _become(self, name: str, instance_id: str, **fields: Any) -> None:
        self.machines[name][instance_id] = replace(self.machines[name][instance_id], **fields)

    def _act(self, name: str, description: str, cause: str) -> str:
        activity_id = f"00000000-0000-4000-9000-{next(self._numbers):012x}"
        began = ScalingActivity(activity_id, description, cause, "InProgress", self.time.now())
        self.activities[name][activity_id] = began
        return activity_id

    def _close(self, name: str, activity_id: str, status: str, message: str = "") -> None:
        activity = self.activities[name][activity_id]
        said = f"{activity.description}.  Status Reason: {message}" if message else activity.description
        self.activities[name][activity_id] = replace(
            activity, status=status, message=message, ended_at=self.time.now(), description=said
        )
