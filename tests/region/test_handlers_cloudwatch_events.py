# SPDX-License-Identifier: Apache-2.0
"""CloudWatch's alarms and EventBridge's rules go round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloudformation.handler import Call, HandlerError, Physical
from sandbox.cloudformation.registry import handlers

from .round_trip import REMOVED, Trip, handler_calls, made, travel

TAGS = [{"Key": "a", "Value": "b"}, {"Key": "z", "Value": "y"}]
TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"
LOG_GROUP = "arn:aws:logs:us-east-1:123456789012:log-group:alerts"


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


PATTERN = {"source": ["levels"], "detail-type": ["finished"]}


def _lets_events_send(queue: Physical) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue.attributes["Arn"],
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {"Queues": [queue.physical_id], "PolicyDocument": document}


def test_a_rule_goes_round(call: Call) -> None:
    with made(call, "AWS::SQS::Queue", {}) as one, made(call, "AWS::SQS::Queue", {}) as other:
        targets = [{"Id": "one", "Arn": one.attributes["Arn"]}]
        given = {
            "Name": "finished",
            "Description": "a level is finished",
            "EventPattern": PATTERN,
            "State": "ENABLED",
            "Targets": targets,
            "Tags": TAGS,
        }
        changes = (
            {"Targets": [{"Id": "other", "Arn": other.attributes["Arn"]}], "State": "DISABLED"},
            {"Targets": REMOVED, "Description": REMOVED, "Tags": TAGS[1:]},
        )
        travel(call, Trip("AWS::Events::Rule", given, changes))


@pytest.mark.parametrize(("state", "count"), [("ENABLED", 1), ("DISABLED", 0)])
def test_events_reach_the_queue_of_a_rule_that_is_enabled(call: Call, state: str, count: int) -> None:
    event = {"Source": "levels", "DetailType": "finished", "Detail": "{}"}
    with made(call, "AWS::SQS::Queue", {}) as queue:
        rule = {
            "EventPattern": PATTERN,
            "State": state,
            "Targets": [{"Id": "queue", "Arn": queue.attributes["Arn"]}],
        }
        with made(call, "AWS::Events::Rule", rule):
            call.client("events").put_events(Entries=[event])
            assert _messages(call, queue) == 0, "the queue lets nobody send"
            with made(call, "AWS::SQS::QueuePolicy", _lets_events_send(queue)):
                call.client("events").put_events(Entries=[event])
        assert _messages(call, queue) == count


def _messages(call: Call, queue: Physical) -> int:
    answer = call.client("sqs").receive_message(QueueUrl=queue.physical_id)
    return len(answer.get("Messages", []))


def test_a_target_that_would_get_nothing_is_refused_by_name(call: Call) -> None:
    rule = {"EventPattern": PATTERN, "Targets": [{"Id": "group", "Arn": LOG_GROUP}]}
    with pytest.raises(ClientError, match="neither a queue nor a topic"):
        handlers()["AWS::Events::Rule"].create(call, rule)
    assert call.client("events").list_rules()["Rules"] == []
