# SPDX-License-Identifier: Apache-2.0
"""What happens each minute: groups' metrics are published, alarms are judged, schedules are followed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from sandbox.autoscaling import alarms, metrics, scaling
from sandbox.autoscaling.expressions import Unsupported
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
                self._judge()
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

    def _judge(self) -> None:
        with self._lock:
            arns = {arn for arn, policy in self._state().policies.items() if policy.is_enabled}
        if not arns:
            return
        pages = self._client("cloudwatch").get_paginator("describe_alarms").paginate()
        for alarm in [each for page in pages for each in page["MetricAlarms"]]:
            followed = [arn for arn in alarm.get("AlarmActions", ()) if arn in arns]
            if followed and alarm.get("ActionsEnabled", True):
                self._judge_one(alarm, followed)

    def _judge_one(self, alarm: Mapping[str, Any], followed: Sequence[str]) -> None:
        now = self._clock.now()
        try:
            values = alarms.datapoints(alarm, now, self._fetch)
        except Unsupported as error:
            log.warning("alarm %s: no metric math such as %s here", alarm["AlarmName"], error)
            return
        entered = alarms.state(alarm, values, alarm["StateValue"])
        if entered != alarm["StateValue"]:
            self._client("cloudwatch").set_alarm_state(
                AlarmName=alarm["AlarmName"],
                StateValue=entered,
                StateReason=alarms.reason(alarm, values, entered),
            )
        known = [value for value in values if value is not None]
        if entered == alarms.ALARM and known:
            self._trigger(alarm, followed, known[-1])

    def _trigger(self, alarm: Mapping[str, Any], followed: Sequence[str], metric: float) -> None:
        """Follow an alarm each minute that it lasts, as Auto Scaling does."""
        with self._lock:
            state = self._state()
            for policy in [state.policies[arn] for arn in followed if arn in state.policies]:
                is_change = scaling.trigger(
                    state.groups[policy.group],
                    policy,
                    alarm=alarm["AlarmName"],
                    metric=metric,
                    threshold=float(alarm["Threshold"]),
                    now=self._clock.now(),
                )
                if is_change:
                    self._wake(policy.group)

    def _fetch(
        self, stat: Mapping[str, Any], start: datetime, end: datetime, period_s: int
    ) -> Sequence[Mapping[str, Any]]:
        """Fetch data by the second: moto's periods begin with the first datum, not with the alarm's."""
        del period_s
        metric = stat["Metric"]
        found: Sequence[Mapping[str, Any]] = self._client("cloudwatch").get_metric_statistics(
            Namespace=metric["Namespace"],
            MetricName=metric["MetricName"],
            Dimensions=metric.get("Dimensions", []),
            StartTime=start,
            EndTime=end,
            Period=1,
            Statistics=["SampleCount", "Sum", "Minimum", "Maximum"],
        )["Datapoints"]
        return found
