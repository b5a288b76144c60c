# SPDX-License-Identifier: Apache-2.0
"""Correct how moto begins an alarm and keeps data.

Without data an alarm is not OK, a changed alarm keeps its state, and of data only so much is kept. A metric
is found in whichever order its dimensions are named.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, Dimension

from sandbox.api.errors import unsupported
from sandbox.api.patches import Patches
from sandbox.monitoring.alarms import NO_DATA

_ACTIONS = ("alarm_actions", "ok_actions", "insufficient_data_actions")
_CARRIED_OUT = ("arn:aws:sns:", "arn:aws:autoscaling:")
# More than an hour of what a whole architecture measures.
MOST_DATA = 10_000
# What is saved with the region: it is written at each change, with everything held meanwhile.
MOST_SAVED = 2_000
_KEPT = ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history")


Changed = Callable[[str, str], None]


def install(patches: Patches, changed: Changed) -> None:
    """Put the corrections into moto; `changed` is told an alarm's name and the state it left.

    It is called with the lock of CloudWatch held, and must only take note.
    """
    setting = _telling(CloudWatchBackend.set_alarm_state, changed)
    patches.replace(CloudWatchBackend, "set_alarm_state", setting)
    patches.replace(CloudWatchBackend, "put_metric_alarm", _putting(CloudWatchBackend.put_metric_alarm))
    patches.replace(CloudWatchBackend, "__getstate__", _saved)
    patches.replace(CloudWatchBackend, "put_metric_data", _keeping_few(CloudWatchBackend.put_metric_data))
    patches.replace(Dimension, "__lt__", _precedes)


def _precedes(dimension: Any, other: Any) -> bool:
    """Order dimensions by name: moto's order is none, and takes a metric for another with the same ones."""
    return bool((dimension.name, dimension.value) < (other.name, other.value))


def _saved(backend: Any) -> dict[str, Any]:
    """Return what is pickled of the backend: all but its older data."""
    return {**vars(backend), "metric_data": backend.metric_data[-MOST_SAVED:]}


def _keeping_few(original: Callable[..., Any]) -> Callable[..., Any]:
    def put_metric_data(backend: Any, namespace: str, metric_data: Any) -> None:
        """Put data, and forget the oldest: moto reads all there is at each question, and all is saved."""
        original(backend, namespace, metric_data)
        if len(backend.metric_data) > 2 * MOST_DATA:
            del backend.metric_data[:-MOST_DATA]

    return put_metric_data


def _telling(original: Callable[..., Any], changed: Changed) -> Callable[..., Any]:
    def set_alarm_state(backend: Any, alarm_name: str, *arguments: Any) -> None:
        """Set the state, and let what an alarm triggers happen, whoever has set it."""
        alarm = backend.alarms.get(alarm_name)
        before = alarm.state_value if alarm else ""
        original(backend, alarm_name, *arguments)
        if alarm.state_value != before:
            changed(alarm_name, before)

    return set_alarm_state


def _putting(original: Callable[..., Any]) -> Callable[..., Any]:
    def put_metric_alarm(backend: Any, name: str, *arguments: Any, **options: Any) -> Any:
        """Put an alarm in the state it had, or in none; refuse actions that nothing would carry out."""
        given = [action for kind in _ACTIONS for action in options.get(kind) or ()]
        if strange := [action for action in given if not action.startswith(_CARRIED_OUT)]:
            raise unsupported(f"cloudwatch.PutMetricAlarm with the action {strange[0]}")
        before = backend.alarms.get(name)
        alarm = original(backend, name, *arguments, **options)
        if before is None:
            alarm.state_value = NO_DATA
        else:
            for attribute in _KEPT:
                setattr(alarm, attribute, getattr(before, attribute))
        return alarm

    return put_metric_alarm
