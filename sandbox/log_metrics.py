# SPDX-License-Identifier: Apache-2.0
"""Make metrics of what is logged, as the metric filters of log groups say; moto only lists the filters.

Patterns of words are matched; those that take events apart (JSON, columns, regular expressions) are refused.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from moto.logs.models import LogsBackend

from sandbox.api.errors import unsupported
from sandbox.api.patches import Patches
from sandbox.services import Surroundings

_TERM = re.compile(r'([-?]?)(?:"((?:[^"\\]|\\.)*)"|(\S+))')
_PARTS_EVENTS = ("{", "[", "%")


class LogMetrics:
    """Follows what is put into log groups (see `sandbox.services.Service`)."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings

    def install(self, patches: Patches) -> None:
        """Look at every event that is put."""
        patches.replace(LogsBackend, "put_metric_filter", _checked(LogsBackend.put_metric_filter))
        patches.replace(LogsBackend, "put_log_events", self._followed(LogsBackend.put_log_events))

    def start(self) -> None:
        """Do nothing: filters are moto's state."""

    def close(self) -> None:
        """Do nothing: there is no thread."""

    def _followed(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def put_log_events(
            backend: Any, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]]
        ) -> Any:
            answer = original(backend, log_group_name, log_stream_name, log_events)
            messages = [event["message"] for event in log_events]
            for each in backend.filters.get_matching_filters(log_group_name=log_group_name):
                for namespace, data in _data(each, messages):
                    # Logs' lock is held here, and CloudWatch's must not be taken under it.
                    self._around.clock.after(0, partial(self._publish, namespace, data))
            return answer

        return put_log_events

    def _publish(self, namespace: str, data: list[dict[str, Any]]) -> None:
        self._around.calls.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)


def matches(pattern: str, message: str) -> bool:
    """Whether an event matches: all words, none that has a minus, and one of those with a question mark."""
    terms = [(sign, quoted or word) for sign, quoted, word in _TERM.findall(pattern)]
    wanted = [text for sign, text in terms if not sign]
    unwanted = [text for sign, text in terms if sign == "-"]
    optional = [text for sign, text in terms if sign == "?"]
    return (
        all(text in message for text in wanted)
        and not any(text in message for text in unwanted)
        and (not optional or any(text in message for text in optional))
    )


def _checked(original: Callable[..., None]) -> Callable[..., None]:
    def put_metric_filter(
        backend: Any, filter_name: str, filter_pattern: str, log_group_name: str, transformations: Any
    ) -> None:
        if filter_pattern.strip().startswith(_PARTS_EVENTS):
            raise unsupported(f"logs.PutMetricFilter with the pattern {filter_pattern}")
        for each in transformations:
            if not re.fullmatch(r"-?\d+(\.\d+)?", str(each["metricValue"])):
                raise unsupported(f"logs.PutMetricFilter with metricValue {each['metricValue']}")
        original(backend, filter_name, filter_pattern, log_group_name, transformations)

    return put_metric_filter


def _data(
    metric_filter: dict[str, Any], messages: Iterable[str]
) -> Iterable[tuple[str, list[dict[str, Any]]]]:
    """Give per metric its namespace and points: one an event that matches, or the default if none does."""
    count = sum(matches(metric_filter["filterPattern"], message) for message in messages)
    for each in metric_filter["metricTransformations"]:
        point = {"MetricName": each["metricName"], "Unit": each.get("unit", "None")}
        if count:
            values = {"Values": [float(each["metricValue"])], "Counts": [float(count)]}
            yield each["metricNamespace"], [point | values]
        elif each.get("defaultValue") is not None:
            yield each["metricNamespace"], [point | {"Value": float(each["defaultValue"])}]
