# SPDX-License-Identifier: Apache-2.0
"""Which new machines have failed since a refresh began: what Slipway rolls back by, sooner than AWS. Pure.

AWS replaces a new machine that fails and goes on for an hour before it gives a refresh up.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.domain.fleet import FleetGroup, FleetInstance, ScalingActivity, TargetHealth
from orchestrator.domain.rollout.machines import is_leaving
from orchestrator.domain.rollout.progress import FailureKind, MachineFailure

# So long a machine that is going may lack the activity that says why: both come from different calls.
_PATIENCE = timedelta(seconds=30)
_UNHEALTHY = "unhealthy"
# AWS says in English only why a machine is taken out of service, or not launched.
_HEALTH_CHECK = re.compile(r"health.?check|status.?check", re.IGNORECASE)
_TARGET_CHECK = re.compile(r"\bELB\b|target group|VPC lattice", re.IGNORECASE)
_GONE = re.compile(r"terminated or stopped", re.IGNORECASE)
_WHY = re.compile(r"in response to (.+?)\.?(?: At |$)")
_HOOK = re.compile(r"lifecycle action", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Look:
    """What one poll has read. None where it did not ask."""

    at: datetime
    group: FleetGroup
    activities: tuple[ScalingActivity, ...] | None = None
    targets: tuple[TargetHealth, ...] | None = None


class Guard:
    """Finds the new machines that failed, each once, in what the polls of one refresh have read."""

    def __init__(
        self,
        template_id: str,
        version: int,
        *,
        since: datetime,
        known: Iterable[MachineFailure] = (),
    ) -> None:
        """Begin to watch.

        Args:
            since: When the refresh began: what was launched earlier is none of its machines.
            known: Failures that an earlier run has found.
        """
        self._template_id = template_id
        self._version = version
        self._since = since
        self.failures: list[MachineFailure] = []
        self._failed: set[str] = set()
        # Machines of the new version by id, with when each was first seen in service.
        self._seen: dict[str, datetime | None] = {}
        self._missed: dict[str, datetime] = {}
        self._reasons: dict[str, ScalingActivity] = {}
        self._most_wanted = 0
        for failure in known:
            self._add(failure)

    def take(self, look: Look) -> tuple[MachineFailure, ...]:
        """Take what a poll has read, and return the failures that it shows for the first time."""
        before = len(self.failures)
        for activity in reversed(look.activities or ()):
            if activity.started_at >= self._since:
                self._take_activity(activity)
        present = {each.instance_id: each for each in look.group.instances if self._is_new(each)}
        for machine in present.values():
            self._note_machine(machine, look)
        for failure in (*self._unhealthy(look, present), *self._lost(look, present)):
            self._add(failure)
        return tuple(self.failures[before:])

    def _is_new(self, machine: FleetInstance) -> bool:
        return machine.is_of(self._template_id, self._version)

    def _add(self, failure: MachineFailure) -> None:
        names = {failure.instance_id, failure.activity_id} - {""}
        if names & self._failed:
            return
        self._failed |= names
        self.failures.append(failure)

    def _take_activity(self, activity: ScalingActivity) -> None:
        if activity.is_launch and activity.has_failed:
            is_hook = bool(_HOOK.search(activity.message))
            kind = FailureKind.HOOK if is_hook else FailureKind.LAUNCH
            self._add(_told_by(activity, kind, activity.message or activity.status))
        elif activity.is_launch and activity.instance_id:
            # A launch has ended when the machine is in service.
            self._seen[activity.instance_id] = self._seen.get(activity.instance_id) or activity.ended_at
        elif activity.is_termination:
            self._reasons[activity.instance_id] = activity
            kind_found = _why_terminated(activity)
            if kind_found and activity.instance_id in self._seen:
                self._add(_told_by(activity, kind_found, _short(activity.cause)))

    def _note_machine(self, machine: FleetInstance, look: Look) -> None:
        since = self._seen.get(machine.instance_id)
        self._seen[machine.instance_id] = since or (look.at if machine.is_in_service else None)

    def _unhealthy(self, look: Look, present: dict[str, FleetInstance]) -> Iterator[MachineFailure]:
        """Give the machines that the group or the balancer calls unhealthy once health checks count."""
        bad = {each.instance_id: each for each in look.targets or () if each.state == _UNHEALTHY}
        grace = timedelta(seconds=look.group.grace_period_s)
        for machine in present.values():
            target, since = bad.get(machine.instance_id), self._seen[machine.instance_id]
            if target and machine.is_in_service and since and look.at >= since + grace:
                says = f"the balancer says {target.state}" + (f" ({target.reason})" if target.reason else "")
                yield MachineFailure(machine.instance_id, FailureKind.TARGET_HEALTH, says, look.at)
            elif not machine.is_healthy and not is_leaving(machine):
                kind = FailureKind.TARGET_HEALTH if target else FailureKind.STATUS_CHECK
                yield MachineFailure(machine.instance_id, kind, "the group says Unhealthy", look.at)

    def _lost(self, look: Look, present: dict[str, FleetInstance]) -> Iterator[MachineFailure]:
        """Give the machines that are going or gone while nothing says why, unless the group got smaller."""
        has_shrunk = look.group.desired_capacity < self._most_wanted
        self._most_wanted = max(self._most_wanted, look.group.desired_capacity)
        for instance_id in self._seen.keys() - self._failed - self._reasons.keys():
            machine = present.get(instance_id)
            if (machine and not is_leaving(machine)) or has_shrunk:
                self._missed.pop(instance_id, None)
                continue
            missed_at = self._missed.setdefault(instance_id, look.at)
            if look.at - missed_at >= _PATIENCE:
                yield MachineFailure(instance_id, FailureKind.LOST, "it is gone, nothing says why", look.at)


def _told_by(activity: ScalingActivity, kind: FailureKind, says: str) -> MachineFailure:
    at = activity.ended_at or activity.started_at
    return MachineFailure(activity.instance_id, kind, says, at, activity_id=activity.activity_id)


def _short(cause: str) -> str:
    found = _WHY.search(cause)
    return found.group(1) if found else cause


def _why_terminated(activity: ScalingActivity) -> FailureKind | None:
    """Return how a terminated machine failed; None if it did not: the group got smaller, or was balanced."""
    if _HOOK.search(activity.cause):
        return FailureKind.HOOK
    if not _HEALTH_CHECK.search(activity.cause):
        return None
    if _GONE.search(activity.cause):
        return FailureKind.LOST
    is_target = _TARGET_CHECK.search(activity.cause)
    return FailureKind.TARGET_HEALTH if is_target else FailureKind.STATUS_CHECK
