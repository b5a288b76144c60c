# SPDX-License-Identifier: Apache-2.0
"""Queues on SQS and topics on SNS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from orchestrator.aws.session import AwsSession, translated


class AwsMessages:
    """Sends to queues and hears topics."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    @translated
    def send(self, queue_url: str, body: str) -> None:
        """Put a message into a queue."""
        self._session.client("sqs").send_message(QueueUrl=queue_url, MessageBody=body)

    @contextmanager
    def listen(self, topic_arn: str, name: str) -> Iterator[QueueListener]:
        """Hear a topic for the block, through a queue of that name that goes again."""
        url, subscription_arn = self._subscribe(topic_arn, name)
        try:
            yield QueueListener(self._session, url)
        finally:
            self._unsubscribe(url, subscription_arn)

    @translated
    def _subscribe(self, topic_arn: str, name: str) -> tuple[str, str]:
        sqs, sns = self._session.client("sqs"), self._session.client("sns")
        url = str(sqs.create_queue(QueueName=name)["QueueUrl"])
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        policy = _may_send(attributes["QueueArn"], topic_arn)
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        answer = sns.subscribe(
            TopicArn=topic_arn,
            Protocol="sqs",
            Endpoint=attributes["QueueArn"],
            Attributes={"RawMessageDelivery": "true"},
            ReturnSubscriptionArn=True,
        )
        return url, str(answer["SubscriptionArn"])

    @translated
    def _unsubscribe(self, url: str, subscription_arn: str) -> None:
        self._session.client("sns").unsubscribe(SubscriptionArn=subscription_arn)
        self._session.client("sqs").delete_queue(QueueUrl=url)


class QueueListener:
    """Hears what a queue gets."""

    def __init__(self, session: AwsSession, url: str) -> None:
        self._session = session
        self._url = url

    @translated
    def receive(self) -> tuple[str, ...]:
        """Return the messages that came since the last call, in no certain order."""
        sqs = self._session.client("sqs")
        answer = sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        messages = answer.get("Messages", ())
        for message in messages:
            sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return tuple(str(message["Body"]) for message in messages)


def _may_send(queue_arn: str, topic_arn: str) -> dict[str, Any]:
    """Return the policy that lets a topic send to a queue.

    https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
    """
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
