# SPDX-License-Identifier: Apache-2.0
"""Who waits for a message keeps nobody from sending it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.region.conftest import LocalRegion


def test_a_message_that_is_sent_while_somebody_waits_is_received(local: LocalRegion) -> None:
    sqs = local.client("sqs")
    url = sqs.create_queue(QueueName="jobs")["QueueUrl"]

    def receive() -> list[dict[str, Any]]:
        return list(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20).get("Messages", []))

    with ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(receive)
        local.until(waiting.running, bool)
        sqs.send_message(QueueUrl=url, MessageBody="job")
        [message] = waiting.result()
    assert message["Body"] == "job"


def test_an_empty_queue_is_told_when_the_wait_is_over(local: LocalRegion) -> None:
    sqs = local.client("sqs")
    url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
