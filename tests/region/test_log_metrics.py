# SPDX-License-Identifier: Apache-2.0
"""Metric filters make metrics of what is logged."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.log_metrics import matches


@pytest.mark.parametrize(
    ("pattern", "message", "does_match"),
    [
        ("", "anything", True),
        ("ERROR", "2026 ERROR disk full", True),
        ("ERROR", "2026 error disk full", False),
        ("ERROR full", "ERROR disk full", True),
        ("ERROR empty", "ERROR disk full", False),
        ('"disk full"', "ERROR disk full", True),
        ('"full disk"', "ERROR disk full", False),
        ("ERROR -disk", "ERROR disk full", False),
        ("?ERROR ?WARN", "WARN slow", True),
        ("?ERROR ?WARN", "INFO fast", False),
    ],
)
def test_words_of_a_pattern_match(pattern: str, message: str, does_match: bool) -> None:
    assert matches(pattern, message) is does_match


def _put_filter(local: Any, pattern: str, value: str = "1") -> None:
    transformation = {
        "metricName": "Errors",
        "metricNamespace": "Slipway",
        "metricValue": value,
        "defaultValue": 0,
    }
    local.client("logs").put_metric_filter(
        logGroupName="g", filterName="f", filterPattern=pattern, metricTransformations=[transformation]
    )


def _log(local: Any, *messages: str) -> None:
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": message} for message in messages]
    local.client("logs").put_log_events(logGroupName="g", logStreamName="s", logEvents=events)


def _statistics(local: Any) -> tuple[float, float]:
    now = datetime.now(UTC)
    answer = local.client("cloudwatch").get_metric_statistics(
        Namespace="Slipway",
        MetricName="Errors",
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=86400,
        Statistics=["Sum", "SampleCount"],
    )
    points = answer["Datapoints"]
    return sum(each["Sum"] for each in points), sum(each["SampleCount"] for each in points)


@pytest.fixture(name="logs")
def fixture_logs(local: Any) -> Any:
    """Return the client of a region with a log stream."""
    logs = local.client("logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    return logs


def test_events_that_match_are_counted(local: Any, logs: Any) -> None:
    del logs
    _put_filter(local, "ERROR")
    _log(local, "ERROR one", "fine", "ERROR two")
    _log(local, "fine")
    assert local.until(lambda: _statistics(local), lambda seen: seen[1] == 3) == (2, 3)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [('{ $.level = "error" }', "1"), ("[ip, user, status]", "1"), ("%err%", "1"), ("ERROR", "$.size")],
)
def test_what_takes_events_apart_is_refused(local: Any, logs: Any, pattern: str, value: str) -> None:
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        _put_filter(local, pattern, value)
    assert logs.describe_metric_filters(logGroupName="g")["metricFilters"] == []
