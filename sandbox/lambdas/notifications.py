# SPDX-License-Identifier: Apache-2.0
"""Tell queues, topics and functions of what happens to objects in buckets.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

from botocore.exceptions import ClientError

from sandbox.api.calls import Environ
from sandbox.clock import RegionClock
from sandbox.own_calls import OwnCalls

log = logging.getLogger(__name__)


class Notifications:
    """Delivers S3's events, each a moment after the call that caused it: S3's lock is held until then."""

    def __init__(
        self, *, calls: OwnCalls, clock: RegionClock, invoke: Callable[[str, str], None], region: str
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._invoke = invoke
        self._region = region
        self._numbers = itertools.count(1)

    def send(self, event_name: str, bucket: Any, key: Any, environ: Environ | None) -> None:
        """Queue an event of a bucket for everyone who asked for it; called with S3's lock held."""
        configuration = bucket.notification_configuration
        if configuration is None:
            return
        name = getattr(event_name, "value", event_name)
        for notification in (*configuration.cloud_function, *configuration.queue, *configuration.topic):
            if notification.matches(event_name, key.name):
                document = self._document(str(name), bucket, key, notification.id, environ)
                self._deliver_soon(notification.arn, document)

    def send_test(self, bucket: Any) -> None:
        """Send the event that queues and topics get when notifications are configured."""
        configuration = bucket.notification_configuration
        if configuration is None:
            return
        document = {
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": _stamp(self._clock.now()),
            "Bucket": bucket.name,
        }
        for arn in dict.fromkeys(each.arn for each in (*configuration.queue, *configuration.topic)):
            self._deliver_soon(arn, document)

    def _deliver_soon(self, arn: str, document: dict[str, Any]) -> None:
        self._clock.after(0, lambda: self._deliver(arn, json.dumps(document)))

    def _deliver(self, arn: str, body: str) -> None:
        service, name = arn.split(":")[2], arn.rsplit(":", maxsplit=1)[-1]
        try:
            if service == "sqs":
                url = self._calls.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
                self._calls.client("sqs").send_message(QueueUrl=url, MessageBody=body)
            elif service == "sns":
                self._calls.client("sns").publish(
                    TopicArn=arn, Message=body, Subject="Amazon S3 Notification"
                )
            else:
                self._invoke(arn, body)
        except ClientError as error:
            log.warning("a notification to %s was dropped: %s", arn, error)

    def _document(
        self, event_name: str, bucket: Any, key: Any, notification_id: str, environ: Environ | None
    ) -> dict[str, Any]:
        described: dict[str, Any] = {"key": quote_plus(key.name, safe="/"), "sequencer": self._sequencer()}
        if not event_name.startswith("s3:ObjectRemoved"):
            described |= {"size": key.size, "eTag": key.etag.replace('"', "")}
        if getattr(key, "version_id", None) not in (None, "null"):
            described["versionId"] = key.version_id
        record = {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": self._region,
            "eventTime": _stamp(self._clock.now()),
            "eventName": event_name.removeprefix("s3:"),
            "userIdentity": {"principalId": f"AWS:{bucket.account_id}"},
            "requestParameters": {"sourceIPAddress": (environ or {}).get("REMOTE_ADDR", "127.0.0.1")},
            "responseElements": {},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": notification_id,
                "bucket": {
                    "name": bucket.name,
                    "ownerIdentity": {"principalId": bucket.account_id},
                    "arn": bucket.arn,
                },
                "object": described,
            },
        }
        return {"Records": [record]}

    def _sequencer(self) -> str:
        """Return a number that grows with every event: later ones of an object compare as greater."""
        return f"{int(self._clock.now().timestamp() * 1e6):015X}{next(self._numbers):04X}"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
