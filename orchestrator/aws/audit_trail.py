# SPDX-License-Identifier: Apache-2.0
"""Records of who went through which door, in CloudWatch Logs and in a bucket."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.aws.session import AwsSession, translated
from orchestrator.clock import Clock
from orchestrator.domain.door import access_log_group
from orchestrator.domain.stack import bucket_name
from orchestrator.errors import AwsError, NotFound

_THERE_ALREADY = "ResourceAlreadyExistsException"


class AwsAuditTrail:
    """An environment's log group for access, with a stream for each operator, and its logs bucket."""

    def __init__(self, session: AwsSession, environment: str, account_id: str, clock: Clock) -> None:
        self._session = session
        self._group = access_log_group(environment)
        self._bucket = bucket_name(environment, "logs", account_id)
        self._clock = clock

    @property
    def _logs(self) -> Any:
        return self._session.client("logs")

    def write(self, record: Mapping[str, object], *, key: str) -> None:
        """Add a record to both, whichever fails; `key` names its object below `access/`.

        Raises:
            AwsError: One of them, or both, did not take it; it says which.
        """
        text = json.dumps(record, default=str)
        no_line = _failure(lambda: self._add_line(f"operators/{record['who']}", text))
        no_object = _failure(lambda: self._add_object(f"access/{key}", text))
        if no_line:
            there = "neither there nor" if no_object else "only"
            no_line.state = f"the record is {there} in the bucket {self._bucket}"
            raise no_line from no_object
        if no_object:
            no_object.state = f"the record is only in the log group {self._group}"
            raise no_object

    def _add_line(self, stream: str, text: str) -> None:
        try:
            self._put_event(stream, text)
        except NotFound:
            self._create_stream(stream)
            self._put_event(stream, text)

    def _create_stream(self, stream: str) -> None:
        try:
            self._make_stream(stream)
        except AwsError as exc:
            if exc.code != _THERE_ALREADY:  # another command of the same operator made it
                raise

    @translated
    def _make_stream(self, stream: str) -> None:
        self._logs.create_log_stream(logGroupName=self._group, logStreamName=stream)

    @translated
    def _put_event(self, stream: str, text: str) -> None:
        event = {"timestamp": int(self._clock.now().timestamp() * 1000), "message": text}
        answer = self._logs.put_log_events(logGroupName=self._group, logStreamName=stream, logEvents=[event])
        if answer.get("rejectedLogEventsInfo"):
            cause = "this machine's clock is too far from AWS's for a record"
            raise AwsError("logs", "PutLogEvents", "RejectedLogEvents", cause)

    @translated
    def _add_object(self, key: str, text: str) -> None:
        body = f"{text}\n".encode()
        self._session.client("s3").put_object(
            Bucket=self._bucket, Key=key, Body=body, ContentType="application/json"
        )


def _failure(call: Callable[[], None]) -> AwsError | None:
    try:
        call()
    except AwsError as exc:
        return exc
    return None
