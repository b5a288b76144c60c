# SPDX-License-Identifier: Apache-2.0
"""CloudWatch's alarms and EventBridge's rules go round."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.cloudformation.handler import Call, HandlerError
from sandbox.cloudformation.registry import handlers

from .round_trip import REMOVED, Trip, handler_calls, made, travel

TAGS = [{"Key": "a", "Value": "b"}, {"Key": "z", "Value": "y"}]
TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"


@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    """Return what handlers work with."""
    yield from handler_calls()


ALARM = {
    "AlarmName": "jobs-wait",
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "EvaluationPeriods": 3,
    "Threshold": 10.0,
}
PLAIN = ALARM | {
    "Namespace": "AWS/SQS",
    "MetricName": "ApproximateAgeOfOldestMessage",
    "Dimensions": [{"Name": "QueueName", "Value": "jobs"}],
    "Period": 60,
    "Statistic": "Maximum",
}


def test_an_alarm_goes_round(call: Call) -> None:
    given = PLAIN | {
        "ActionsEnabled": False,
        "AlarmActions": [TOPIC],
        "AlarmDescription": "jobs wait",
        "DatapointsToAlarm": 2,
        "InsufficientDataActions": [TOPIC],
        "OKActions": [TOPIC],
        "Tags": TAGS,
        "TreatMissingData": "notBreaching",
        "Unit": "Seconds",
    }
    changes = (
        {"Threshold": 20.0, "OKActions": REMOVED, "Tags": TAGS[:1]},
        {name: REMOVED for name in given if name not in PLAIN and name != "OKActions"},
    )
    travel(call, Trip("AWS::CloudWatch::Alarm", given, changes))


def test_an_alarm_on_an_expression_goes_round(call: Call) -> None:
    metric = {
        "Metric": {
            "Namespace": "AWS/SQS",
            "MetricName": "NumberOfMessagesSent",
            "Dimensions": [{"Name": "QueueName", "Value": "jobs"}],
        },
        "Period": 60,
        "Stat": "Sum",
    }
    queries = [
        {"Id": "sent", "MetricStat": metric, "ReturnData": False},
        {"Id": "rate", "Expression": "sent / 60", "Label": "a second", "ReturnData": True},
    ]
    travel(call, Trip("AWS::CloudWatch::Alarm", ALARM | {"Metrics": queries}, ({"Threshold": 11.0},)))


def test_an_alarm_that_exists_is_not_taken_over(call: Call) -> None:
    with made(call, "AWS::CloudWatch::Alarm", PLAIN), pytest.raises(HandlerError, match="already exists"):
        handlers()["AWS::CloudWatch::Alarm"].create(call, PLAIN)
