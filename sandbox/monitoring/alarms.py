# SPDX-License-Identifier: Apache-2.0
"""How data decide the state of an alarm. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sandbox.monitoring import expressions

OK, ALARM, NO_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"

_COMPARING: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}

Fetch = Callable[[Mapping[str, Any], datetime, datetime, int], Sequence[Mapping[str, Any]]]


def datapoints(alarm: Mapping[str, Any], now: datetime, fetch: Fetch) -> list[float | None]:
    """Return the values of an alarm's last periods, the oldest first; None for those without data."""
    queries = alarm.get("Metrics") or [_single(alarm)]
    period_s = max(int(each["MetricStat"]["Period"]) for each in queries if each.get("MetricStat"))
    count = int(alarm["EvaluationPeriods"])
    end = datetime.fromtimestamp(now.timestamp() // period_s * period_s, now.tzinfo)
    start = end - timedelta(seconds=period_s * count)
    series = {
        each["Id"]: _by_period(fetch(each["MetricStat"], start, end, period_s), start, period_s, count, each)
        for each in queries
        if each.get("MetricStat")
    }
    wanted = next((each for each in queries if each.get("ReturnData", True)), queries[-1])
    if wanted["Id"] in series:
        return series[wanted["Id"]]
    return [
        expressions.evaluate(wanted["Expression"], {name: values[at] for name, values in series.items()})
        for at in range(count)
    ]


def state(alarm: Mapping[str, Any], values: Sequence[float | None], before: str) -> str:
    """Return the state that the values of the last periods give an alarm."""
    needed = int(alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"])
    treat = alarm.get("TreatMissingData") or "missing"
    is_over = _COMPARING[alarm["ComparisonOperator"]]
    threshold = float(alarm["Threshold"])
    if treat in ("breaching", "notBreaching"):
        verdicts = [treat == "breaching" if value is None else is_over(value, threshold) for value in values]
    else:
        verdicts = [is_over(value, threshold) for value in values if value is not None]
    if sum(verdicts) >= needed:
        return ALARM
    if not verdicts:
        return before if treat == "ignore" else NO_DATA
    # Too few are known, and all of those are over the threshold: that is no reason to change.
    return before if all(verdicts) and len(verdicts) < needed else OK


def reason(alarm: Mapping[str, Any], values: Sequence[float | None], entered: str) -> str:
    """Return why an alarm is in a state, as CloudWatch says it."""
    known = [value for value in values if value is not None]
    if entered == NO_DATA:
        return f"Insufficient Data: {len(values)} datapoints were unknown."
    count = f"{len(known)} datapoint{'s' if len(known) != 1 else ''} {known}"
    verb = "were" if len(known) != 1 else "was"
    word = {
        "GreaterThanThreshold": "greater than",
        "GreaterThanOrEqualToThreshold": "greater than or equal to",
        "LessThanThreshold": "less than",
        "LessThanOrEqualToThreshold": "less than or equal to",
    }[alarm["ComparisonOperator"]]
    negation = "" if entered == ALARM else "not "
    return f"Threshold Crossed: {count} {verb} {negation}{word} the threshold ({alarm['Threshold']})."


def _single(alarm: Mapping[str, Any]) -> dict[str, Any]:
    metric = {
        "Namespace": alarm["Namespace"],
        "MetricName": alarm["MetricName"],
        "Dimensions": alarm.get("Dimensions", []),
    }
    stat = {"Metric": metric, "Period": alarm["Period"], "Stat": alarm.get("Statistic", "Average")}
    return {"Id": "m1", "MetricStat": stat, "ReturnData": True}


def _by_period(
    found: Sequence[Mapping[str, Any]],
    start: datetime,
    period_s: int,
    count: int,
    query: Mapping[str, Any],
) -> list[float | None]:
    """Put data of any times into the alarm's periods."""
    buckets: list[list[Mapping[str, Any]]] = [[] for _ in range(count)]
    for each in found:
        at = int((each["Timestamp"] - start).total_seconds() // period_s)
        if 0 <= at < count:
            buckets[at].append(each)
    statistic = query["MetricStat"]["Stat"]
    return [_statistic(bucket, statistic) if bucket else None for bucket in buckets]


def _statistic(bucket: Sequence[Mapping[str, Any]], statistic: str) -> float:
    samples = sum(float(each["SampleCount"]) for each in bucket)
    match statistic:
        case "SampleCount":
            return samples
        case "Sum":
            return sum(float(each["Sum"]) for each in bucket)
        case "Minimum":
            return min(float(each["Minimum"]) for each in bucket)
        case "Maximum":
            return max(float(each["Maximum"]) for each in bucket)
    return sum(float(each["Sum"]) for each in bucket) / samples
