# SPDX-License-Identifier: Apache-2.0
"""Let ReceiveMessage wait for messages without keeping everybody else from SQS.

moto waits inside of one call, with the service's lock held: who wants to send would wait for the receiver.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
"""

from __future__ import annotations

import threading
import time
from typing import Any

from moto.sqs.models import SQSBackend

from sandbox.api.patches import Patches

_LOOK_EVERY_S = 0.1


def install(patches: Patches, lock: threading.RLock) -> None:
    """Wait between looks, each of which holds the lock; the gateway calls without it."""
    receive = SQSBackend.receive_message
    pause = threading.Event()

    def receive_message(
        backend: Any, queue_name: str, count: int, wait_seconds_timeout: int, *options: Any
    ) -> list[Any]:
        end = time.monotonic() + wait_seconds_timeout
        while True:
            with lock:
                found: list[Any] = receive(backend, queue_name, count, 0, *options)
            left_s = end - time.monotonic()
            if found or left_s <= 0:
                return found
            pause.wait(min(_LOOK_EVERY_S, left_s))

    patches.replace(SQSBackend, "receive_message", receive_message)
