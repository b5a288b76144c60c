# SPDX-License-Identifier: Apache-2.0
"""Alarms tell their topics, and queues what waits in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .autoscaling_world import World, make_world

ALARM: dict[str, Any] = {
    "AlarmName": "waiting",
    "Namespace": "AWS/SQS",
    "MetricName": "ApproximateNumberOfMessagesVisible",
    "Dimensions": [{"Name": "QueueName", "Value": "jobs"}],
    "Statistic": "Maximum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 0,
    "ComparisonOperator": "GreaterThanThreshold",
}


@pytest.fixture(name="world", scope="module")
def fixture_world() -> Iterator[World]:
    """Return a region by a clock that tests advance."""
    yield from make_world()


def test_an_alarm_tells_its_topics_when_its_state_changes(world: World) -> None:
    sqs, sns, cloudwatch = (world.local.client(name) for name in ("sqs", "sns", "cloudwatch"))
    jobs, told = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("jobs", "told"))
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    arn = sqs.get_queue_attributes(QueueUrl=told, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    cloudwatch.put_metric_alarm(**ALARM, AlarmActions=[topic], OKActions=[topic])

    def state() -> tuple[str, list[list[str]]]:
        messages = sqs.receive_message(QueueUrl=told, MaxNumberOfMessages=10).get("Messages", [])
        bodies = [json.loads(each["Body"]) for each in messages]
        said = [[each["AlarmName"], each["OldStateValue"], each["NewStateValue"]] for each in bodies]
        return str(cloudwatch.describe_alarms()["MetricAlarms"][0]["StateValue"]), said

    assert state() == ("INSUFFICIENT_DATA", [])
    world.pass_time(120)
    assert state() == ("OK", [["waiting", "INSUFFICIENT_DATA", "OK"]])
    sqs.send_message(QueueUrl=jobs, MessageBody="work")
    world.pass_time(180)
    assert state() == ("ALARM", [["waiting", "OK", "ALARM"]])
    reason = cloudwatch.describe_alarms()["MetricAlarms"][0]["StateReason"]
    assert reason == "Threshold Crossed: 1 datapoint [1.0] was greater than the threshold (0.0)."
    cloudwatch.set_alarm_state(AlarmName="waiting", StateValue="OK", StateReason="a drill")
    world.pass_time()
    assert state() == ("OK", [["waiting", "ALARM", "OK"]])


def test_an_action_that_nothing_would_carry_out_is_refused(world: World) -> None:
    put = world.local.client("cloudwatch").put_metric_alarm
    with pytest.raises(ClientError) as caught:
        put(**ALARM | {"AlarmName": "other"}, AlarmActions=["arn:aws:automate:us-east-1:ec2:recover"])
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"
