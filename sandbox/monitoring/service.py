# SPDX-License-Identifier: Apache-2.0
"""Judge alarms each minute, tell topics what changes, and let policies follow what lasts."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from moto.ec2.models import ec2_backends
from moto.sqs.models import sqs_backends

from sandbox.api import service_quotas
from sandbox.api.patches import Patches
from sandbox.monitoring import alarms, corrections, queues, vcpus
from sandbox.monitoring.alarms import ALARM, NO_DATA, OK
from sandbox.monitoring.expressions import Unsupported
from sandbox.services import Surroundings

log = logging.getLogger(__name__)

MINUTE_S = 60.0
_USAGE_MINUTES = 5
TOPIC = "arn:aws:sns:"
# PutMetricData takes this many at once.
_MOST_DATA = 1000
# GetMetricStatistics gives this many data at once.
_MOST_STATISTICS = 1440
_ACTIONS = {OK: "OKActions", ALARM: "AlarmActions", NO_DATA: "InsufficientDataActions"}

# An alarm in ALARM and its latest value.
Follower = Callable[[Mapping[str, Any], float], None]


class Monitoring:
    """Ticks once a minute for all alarms."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._followers: list[Follower] = []
        self._observers: list[Callable[[str], None]] = []
        self._is_closed = False

    def follow(self, follower: Follower) -> None:
        """Tell `follower` each minute of every alarm in ALARM, as Auto Scaling is told on AWS."""
        self._followers.append(follower)

    def observe(self, observer: Callable[[str], None]) -> None:
        """Tell `observer` the name of each alarm that enters another state, with no lock held."""
        self._observers.append(observer)

    def install(self, patches: Patches) -> None:
        """Put corrections into moto."""
        corrections.install(patches, self._note_change)

    def start(self) -> None:
        """Tick at each full minute."""
        if not self._is_closed:
            past_s = self._around.clock.now().timestamp() % MINUTE_S
            self._around.clock.after(MINUTE_S - past_s, self._tick)

    def close(self) -> None:
        """Tick no more."""
        self._is_closed = True

    def _tick(self) -> None:
        try:
            if not self._is_closed:
                self._measure_queues()
                self._measure_vcpus()
                self._judge()
        except ClientError as error:
            log.warning("the alarms could not be judged: %s", error)
        finally:
            self.start()

    def _measure_queues(self) -> None:
        now = self._around.clock.now()
        with self._around.locks.of("sqs"):
            backend: Any = sqs_backends[self._around.account_id][self._around.region]
            found = queues.data(backend.queues.values(), now)
        self._put(queues.NAMESPACE, found)

    def _measure_vcpus(self) -> None:
        """Say what on-demand instances use of their quotas; AWS does it each minute."""
        now = self._around.clock.now()
        if now.minute % _USAGE_MINUTES:
            return
        with self._around.locks.of("ec2"):
            backend: Any = ec2_backends[self._around.account_id][self._around.region]
            running = vcpus.running(backend)
        self._put(service_quotas.NAMESPACE, service_quotas.usage(running, now))

    def _put(self, namespace: str, found: Sequence[Mapping[str, Any]]) -> None:
        for start in range(0, len(found), _MOST_DATA):
            self._around.calls.client("cloudwatch").put_metric_data(
                Namespace=namespace, MetricData=found[start : start + _MOST_DATA]
            )

    def _judge(self) -> None:
        found = self._around.calls.client("cloudwatch").describe_alarms()["MetricAlarms"]
        for alarm in found:
            try:
                self._judge_one(alarm)
            except Unsupported as error:
                log.warning("alarm %s: no metric math such as %s here", alarm["AlarmName"], error)

    def _judge_one(self, alarm: Mapping[str, Any]) -> None:
        values = alarms.datapoints(alarm, self._around.clock.now(), self._fetch)
        before = alarm["StateValue"]
        entered = alarms.state(alarm, values, before)
        if entered != before:
            self._around.calls.client("cloudwatch").set_alarm_state(
                AlarmName=alarm["AlarmName"],
                StateValue=entered,
                StateReason=alarms.reason(alarm, values, entered),
            )
        known = [value for value in values if value is not None]
        if entered == ALARM and known and alarm.get("ActionsEnabled", True):
            for follower in self._followers:
                follower(alarm, known[-1])

    def _note_change(self, name: str, before: str) -> None:
        self._around.clock.after(0, lambda: self._tell(name, before))

    def _tell(self, name: str, before: str) -> None:
        for observer in self._observers:
            observer(name)
        found = self._around.calls.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        for alarm in found:
            if alarm.get("ActionsEnabled", True):
                self._tell_topics(alarm, before)

    def _tell_topics(self, alarm: Mapping[str, Any], before: str) -> None:
        entered = alarm["StateValue"]
        message = {
            "AlarmName": alarm["AlarmName"],
            "AlarmDescription": alarm.get("AlarmDescription"),
            "AWSAccountId": self._around.account_id,
            "NewStateValue": entered,
            "NewStateReason": alarm["StateReason"],
            "StateChangeTime": f"{self._around.clock.now():%Y-%m-%dT%H:%M:%S.000+0000}",
            "Region": self._around.region,
            "AlarmArn": alarm["AlarmArn"],
            "OldStateValue": before,
        }
        for arn in alarm.get(_ACTIONS[entered], ()):
            if arn.startswith(TOPIC):
                try:
                    self._around.calls.client("sns").publish(
                        TopicArn=arn,
                        Subject=f'{entered}: "{alarm["AlarmName"]}"'[:100],
                        Message=json.dumps(message),
                    )
                except ClientError as error:
                    log.warning("alarm %s: could not tell %s: %s", alarm["AlarmName"], arn, error)

    def _fetch(
        self, stat: Mapping[str, Any], start: datetime, end: datetime, period_s: int
    ) -> Sequence[Mapping[str, Any]]:
        """Fetch finer data than asked: moto's periods begin with the first datum, not with the alarm's."""
        window_s = (end - start).total_seconds()
        metric = stat["Metric"]
        found: Sequence[Mapping[str, Any]] = self._around.calls.client("cloudwatch").get_metric_statistics(
            Namespace=metric["Namespace"],
            MetricName=metric["MetricName"],
            Dimensions=metric.get("Dimensions", []),
            StartTime=start,
            EndTime=end,
            Period=min(max(1, int(window_s // _MOST_STATISTICS)), period_s),
            Statistics=["SampleCount", "Sum", "Minimum", "Maximum"],
        )["Datapoints"]
        return found
