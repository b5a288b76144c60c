# SPDX-License-Identifier: Apache-2.0
"""The resource types of SQS and SNS go round."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloudformation.handler import Call, HandlerError
from sandbox.cloudformation.registry import handlers

from .round_trip import REMOVED, Trip, handler_calls, made, travel

TAGS = [{"Key": "a", "Value": "b"}, {"Key": "z", "Value": "y"}]
KEY = "alias/aws/sqs"


@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    """Return what handlers work with."""
    yield from handler_calls()


@pytest.fixture(name="queue", scope="module")
def fixture_queue(call: Call) -> Iterator[Any]:
    """Return a queue."""
    with made(call, "AWS::SQS::Queue", {}) as queue:
        yield queue


@pytest.fixture(name="topic", scope="module")
def fixture_topic(call: Call) -> Iterator[Any]:
    """Return a topic."""
    with made(call, "AWS::SNS::Topic", {}) as topic:
        yield topic


def _policy(resource: str, *, sid: str = "Publish") -> dict[str, Any]:
    statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": resource,
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::uploads"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_a_queue_goes_round(call: Call, queue: Any) -> None:
    given = {
        "QueueName": "jobs",
        "DelaySeconds": 5,
        "KmsDataKeyReusePeriodSeconds": 600,
        "KmsMasterKeyId": KEY,
        "MaximumMessageSize": 65536,
        "MessageRetentionPeriod": 1209600,
        "ReceiveMessageWaitTimeSeconds": 20,
        "RedrivePolicy": {"deadLetterTargetArn": queue.attributes["Arn"], "maxReceiveCount": 5},
        "RedriveAllowPolicy": {"redrivePermission": "denyAll"},
        "VisibilityTimeout": 120,
        "Tags": TAGS,
    }
    changes = (
        {"VisibilityTimeout": 60, "Tags": TAGS[:1]},
        {name: REMOVED for name in given if name not in ("QueueName", "VisibilityTimeout")},
        {"SqsManagedSseEnabled": False},
        {"SqsManagedSseEnabled": REMOVED},
        {"KmsMasterKeyId": KEY},
    )
    travel(call, Trip("AWS::SQS::Queue", given, changes))


def test_an_ordered_queue_goes_round(call: Call) -> None:
    given = {
        "FifoQueue": True,
        "ContentBasedDeduplication": True,
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
    }
    changes = ({"ContentBasedDeduplication": REMOVED, "DeduplicationScope": "queue"},)
    travel(call, Trip("AWS::SQS::Queue", given, changes))


def test_a_queue_policy_goes_round(call: Call, queue: Any) -> None:
    given = {"Queues": [queue.physical_id], "PolicyDocument": _policy(queue.attributes["Arn"])}
    changes = ({"PolicyDocument": _policy(queue.attributes["Arn"], sid="Other")},)
    travel(call, Trip("AWS::SQS::QueuePolicy", given, changes))


def test_a_queue_keeps_its_policy_when_other_attributes_change(call: Call, queue: Any) -> None:
    policy = {"Queues": [queue.physical_id], "PolicyDocument": _policy(queue.attributes["Arn"])}
    with made(call, "AWS::SQS::QueuePolicy", policy) as physical:
        handlers()["AWS::SQS::Queue"].update(
            call, queue.physical_id, before={}, after={"VisibilityTimeout": 40}
        )
        assert handlers()["AWS::SQS::QueuePolicy"].read(call, physical.physical_id) == policy


def test_a_queue_has_the_url_and_attributes_that_aws_gives(call: Call) -> None:
    with made(call, "AWS::SQS::Queue", {"QueueName": "named"}) as queue:
        url = "https://sqs.us-east-1.amazonaws.com/123456789012/named"
        assert queue.physical_id == url
        assert queue.attributes == {
            "Arn": "arn:aws:sqs:us-east-1:123456789012:named",
            "QueueName": "named",
            "QueueUrl": url,
        }
        call.client("sqs").send_message(QueueUrl=url, MessageBody="hello")
        messages = call.client("sqs").receive_message(QueueUrl=url)["Messages"]
        assert [message["Body"] for message in messages] == ["hello"]
        with pytest.raises(HandlerError, match="already exists"):
            handlers()["AWS::SQS::Queue"].create(call, {"QueueName": "named"})


def test_a_topic_goes_round(call: Call, queue: Any) -> None:
    subscription = {"Protocol": "sqs", "Endpoint": queue.attributes["Arn"]}
    given = {
        "TopicName": "alerts",
        "DisplayName": "Alerts",
        "KmsMasterKeyId": "alias/aws/sns",
        "SignatureVersion": "2",
        "TracingConfig": "Active",
        "Subscription": [subscription, {"Protocol": "email", "Endpoint": "ops@example.com"}],
        "Tags": TAGS,
    }
    changes = (
        {"DisplayName": "Others", "Subscription": [subscription], "Tags": TAGS[1:]},
        {name: REMOVED for name in given if name != "TopicName"},
    )
    travel(call, Trip("AWS::SNS::Topic", given, changes))


def test_an_attribute_of_a_topic_that_nobody_reads_is_refused_by_name(call: Call, topic: Any) -> None:
    with pytest.raises(ClientError, match="archive_policy is not supported"):
        call.client("sns").set_topic_attributes(
            TopicArn=topic.physical_id, AttributeName="ArchivePolicy", AttributeValue="{}"
        )


def test_an_ordered_topic_goes_round(call: Call) -> None:
    given = {"FifoTopic": True, "ContentBasedDeduplication": True}
    travel(call, Trip("AWS::SNS::Topic", given, ({"ContentBasedDeduplication": False},)))


def test_a_topic_policy_goes_round(call: Call, topic: Any) -> None:
    given = {"Topics": [topic.physical_id], "PolicyDocument": _policy(topic.physical_id)}
    changes = ({"PolicyDocument": _policy(topic.physical_id, sid="Other")},)
    travel(call, Trip("AWS::SNS::TopicPolicy", given, changes))


def test_a_subscription_goes_round(call: Call, queue: Any, topic: Any) -> None:
    given = {
        "TopicArn": topic.physical_id,
        "Protocol": "sqs",
        "Endpoint": queue.attributes["Arn"],
        "FilterPolicy": {"kind": ["photo"]},
        "FilterPolicyScope": "MessageBody",
        "RawMessageDelivery": True,
        "RedrivePolicy": {"deadLetterTargetArn": queue.attributes["Arn"]},
    }
    changes = (
        {"FilterPolicy": {"kind": ["video"]}, "RawMessageDelivery": False},
        {"FilterPolicy": REMOVED, "FilterPolicyScope": REMOVED, "RedrivePolicy": REMOVED},
    )
    travel(call, Trip("AWS::SNS::Subscription", given, changes))


@pytest.mark.parametrize("is_raw", [True, False], ids=["raw", "wrapped"])
def test_a_subscription_delivers_as_it_says(call: Call, topic: Any, *, is_raw: bool) -> None:
    with made(call, "AWS::SQS::Queue", {}) as queue:
        given = {
            "TopicArn": topic.physical_id,
            "Protocol": "sqs",
            "Endpoint": queue.attributes["Arn"],
            "RawMessageDelivery": is_raw,
        }
        with made(call, "AWS::SNS::Subscription", given):
            call.client("sns").publish(TopicArn=topic.physical_id, Message="hello")
            (message,) = call.client("sqs").receive_message(QueueUrl=queue.physical_id)["Messages"]
        assert (message["Body"] if is_raw else json.loads(message["Body"])["Message"]) == "hello"
