# SPDX-License-Identifier: Apache-2.0
"""Say to CloudWatch each minute what waits in queues.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

NAMESPACE = "AWS/SQS"


def data(queues: Iterable[Any], now: datetime) -> list[dict[str, Any]]:
    """Return the metrics of moto's queues as PutMetricData takes them."""
    return [
        {
            "MetricName": name,
            "Dimensions": [{"Name": "QueueName", "Value": queue.name}],
            "Timestamp": now,
            "Value": value,
            "Unit": unit,
        }
        for queue in queues
        for name, value, unit in _measured(queue, now)
    ]


def _measured(queue: Any, now: datetime) -> list[tuple[str, float, str]]:
    waiting = list(queue.messages)
    oldest = min((message.sent_timestamp for message in queue._messages), default=None)
    age_s = 0.0 if oldest is None else max(now.timestamp() - oldest / 1000, 0.0)
    return [
        ("ApproximateNumberOfMessagesVisible", float(len(waiting)), "Count"),
        (
            "ApproximateNumberOfMessagesNotVisible",
            float(queue.approximate_number_of_messages_not_visible),
            "Count",
        ),
        ("ApproximateNumberOfMessagesDelayed", float(queue.approximate_number_of_messages_delayed), "Count"),
        ("ApproximateAgeOfOldestMessage", age_s, "Seconds"),
    ]
