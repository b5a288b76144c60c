# SPDX-License-Identifier: Apache-2.0
"""What happens each minute: groups' metrics are published, schedules and alarms are followed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from botocore.exceptions import ClientError

from sandbox.autoscaling import metrics, scaling
from sandbox.autoscaling.state import State
from sandbox.clock import RegionClock
from sandbox.substrate import SubstrateError

log = logging.getLogger(__name__)

MINUTE_S = 60.0
# PutMetricData takes this many at once.
_MOST_DATA = 1000


class Minutes:
    """Ticks, once for all groups."""

    def __init__(
        self,
        *,
        state: Callable[[], State],
        lock: AbstractContextManager[object],
        clock: RegionClock,
        client: Callable[[str], Any],
        wake: Callable[[str], None],
        changed: Callable[[], None],
        cpu_seconds: Callable[[], Mapping[str, float]],
        cpus: Callable[[str], int],
    ) -> None:
        self._state = state
        self._lock = lock
        self._clock = clock
        self._client = client
        self._wake = wake
        self._changed = changed
        self._cpu_seconds = cpu_seconds
        self._meter = metrics.CpuMeter(cpus)
        self._is_closed = False

    def start(self) -> None:
        """Tick at each full minute."""
        if not self._is_closed:
            past_s = self._clock.now().timestamp() % MINUTE_S
            self._clock.after(MINUTE_S - past_s, self._tick)

    def close(self) -> None:
        """Tick no more."""
        self._is_closed = True

    def _tick(self) -> None:
        try:
            if not self._is_closed:
                self._follow_schedules()
                self._publish()
        except (ClientError, SubstrateError) as error:
            log.warning("the minute's work failed: %s", error)
        finally:
            self.start()

    def _follow_schedules(self) -> None:
        now = self._clock.now()
        with self._lock:
            state = self._state()
            due = [each for each in state.schedules.values() if each.next_at and each.next_at <= now]
            for schedule in due:
                group = state.groups[schedule.group]
                if scaling.follow(group, schedule, now):
                    self._wake(group.name)
                schedule.plan(now)
                if schedule.next_at is None:
                    del state.schedules[schedule.arn]
        if due:
            self._changed()

    def _publish(self) -> None:
        now = self._clock.now()
        with self._lock:
            has_groups = bool(self._state().groups)
        # Outside the lock: it reads a file for each machine.
        used = self._cpu_seconds() if has_groups else {}
        with self._lock:
            groups = list(self._state().groups.values())
            found = [each for group in groups for each in metrics.data(group, now)]
            shares = self._meter.data(groups, used, now)
        self._put(metrics.NAMESPACE, found)
        self._put(metrics.CPU_NAMESPACE, shares)

    def _put(self, namespace: str, found: Sequence[Mapping[str, Any]]) -> None:
        for start in range(0, len(found), _MOST_DATA):
            self._client("cloudwatch").put_metric_data(
                Namespace=namespace, MetricData=found[start : start + _MOST_DATA]
            )

    def follow_alarm(self, alarm: Mapping[str, Any], metric: float) -> None:
        """Follow an alarm, each minute that it lasts, by the policies that it triggers."""
        with self._lock:
            state = self._state()
            for arn in alarm.get("AlarmActions", ()):
                policy = state.policies.get(arn)
                if policy is not None and scaling.trigger(
                    state.groups[policy.group],
                    policy,
                    alarm=alarm["AlarmName"],
                    metric=metric,
                    threshold=float(alarm["Threshold"]),
                    now=self._clock.now(),
                ):
                    self._wake(policy.group)
                    self._changed()
