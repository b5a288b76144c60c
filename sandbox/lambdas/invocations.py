# SPDX-License-Identifier: Apache-2.0
"""Invoke functions: at once, or later with retries and a place for what can't be handled.

Asynchronous events wait as plain data in Lambda's own state, so that a restart of the region loses none.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from sandbox.clock import RegionClock
from sandbox.lambdas.function import RETRY_PAUSES_S, Function
from sandbox.lambdas.logs import FunctionLogs
from sandbox.lambdas.runner import Outcome, Runner
from sandbox.own_calls import OwnCalls

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that waits for its function. `attempts` counts the runs it has had."""

    request_id: str
    function: str
    event: str
    since: datetime
    attempts: int = 0


class Queue:
    """The pending events, kept in `store`; whoever calls holds no lock."""

    def __init__(self, store: Callable[[], dict[str, Pending]], lock: AbstractContextManager[Any]) -> None:
        self._store = store
        self._lock = lock

    def put(self, pending: Pending) -> None:
        """Add or replace."""
        with self._lock:
            self._store()[pending.request_id] = pending

    def remove(self, pending: Pending) -> None:
        """Forget."""
        with self._lock:
            self._store().pop(pending.request_id, None)

    def all(self) -> list[Pending]:
        """Return what waits, oldest first."""
        with self._lock:
            return sorted(self._store().values(), key=lambda each: each.since)


class Invocations:
    """Runs functions and decides what becomes of the outcome."""

    def __init__(  # noqa: PLR0913 - what it connects
        self,
        *,
        runner: Runner,
        queue: Queue,
        find: Callable[[str], Function | None],
        calls: OwnCalls,
        clock: RegionClock,
        endpoint: str,
        region: str,
        changed: Callable[[], None],
    ) -> None:
        self._runner = runner
        self._queue = queue
        self._find = find
        self._calls = calls
        self._clock = clock
        self._endpoint = endpoint
        self._region = region
        self._changed = changed
        self._logs = FunctionLogs(calls, clock)

    def run(self, function: Function, event: str) -> Outcome:
        """Run the function now and write its log."""
        return self._run(function, event, str(uuid.uuid4()))

    def later(self, function_name: str, event: str) -> None:
        """Accept an event; the run begins on another thread, which holds no lock."""
        pending = Pending(str(uuid.uuid4()), function_name, event, self._clock.now())
        self._clock.after(0, lambda: self._accept(pending))

    def pick_up(self) -> None:
        """Go on with what waited when the region ended."""
        for pending in self._queue.all():
            self._try_after(0, pending)

    def _accept(self, pending: Pending) -> None:
        self._queue.put(pending)
        self._changed()
        self._attempt(pending)

    def _try_after(self, seconds: float, pending: Pending) -> None:
        self._clock.after(seconds, lambda: self._attempt(pending))

    def _attempt(self, pending: Pending) -> None:
        function = self._find(pending.function)
        if function is None:
            log.warning("event %s: its function %s is gone", pending.request_id, pending.function)
            self._queue.remove(pending)
            return
        tried = replace(pending, attempts=pending.attempts + 1)
        outcome = self._run(function, pending.event, pending.request_id)
        if not outcome.is_error:
            self._end(function, tried, outcome, "Success", function.on_success_arn)
            return
        pause_s = RETRY_PAUSES_S[min(tried.attempts, len(RETRY_PAUSES_S)) - 1]
        age_s = (self._clock.now() - pending.since).total_seconds() + pause_s
        if tried.attempts >= function.attempts or age_s > function.longest_age_s:
            reason = "RetriesExhausted" if tried.attempts >= function.attempts else "EventAgeExceeded"
            self._send_to_dead_letters(function, tried, outcome)
            self._end(function, tried, outcome, reason, function.on_failure_arn)
            return
        self._queue.put(tried)
        self._try_after(pause_s, tried)

    def _end(
        self, function: Function, pending: Pending, outcome: Outcome, condition: str, destination: str
    ) -> None:
        if destination:
            document = _invocation_record(function, pending, outcome, condition, self._clock.now())
            self._deliver(destination, json.dumps(document), {})
        self._queue.remove(pending)
        self._changed()

    def _send_to_dead_letters(self, function: Function, pending: Pending, outcome: Outcome) -> None:
        if not function.dead_letter_arn:
            return
        message = str(json.loads(outcome.payload).get("errorMessage", ""))
        attributes = {
            "RequestID": {"DataType": "String", "StringValue": pending.request_id},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": message[:1024] or "-"},
        }
        self._deliver(function.dead_letter_arn, pending.event, attributes)

    def _deliver(self, arn: str, body: str, attributes: dict[str, Any]) -> None:
        service, name = arn.split(":")[2], arn.rsplit(":", maxsplit=1)[-1]
        try:
            if service == "sqs":
                url = self._calls.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
                self._calls.client("sqs").send_message(
                    QueueUrl=url, MessageBody=body, MessageAttributes=attributes
                )
            elif service == "sns":
                self._calls.client("sns").publish(TopicArn=arn, Message=body, MessageAttributes=attributes)
            else:
                self.later(name, body)
        except ClientError:
            log.exception("nothing takes what a function could not handle: %s", arn)

    def _run(self, function: Function, event: str, request_id: str) -> Outcome:
        stream = self._logs.stream(function)
        try:
            environ = self._credentials(function) | self._region_environ()
        except ClientError as error:
            message = f"The role defined for the function cannot be assumed by Lambda: {error}"
            return Outcome(json.dumps({"errorMessage": message}), is_error=True, log=message)
        outcome = self._runner.run(function, event, request_id=request_id, stream=stream, environ=environ)
        self._logs.write(function, stream, request_id, outcome.log)
        return outcome

    def _credentials(self, function: Function) -> dict[str, str]:
        """Return credentials of the function's role, as the runtime finds them in its environment."""
        given = self._calls.client("sts").assume_role(RoleArn=function.role, RoleSessionName=function.name)[
            "Credentials"
        ]
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }

    def _region_environ(self) -> dict[str, str]:
        return {
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_ENDPOINT_URL": self._endpoint,
        }


def _invocation_record(
    function: Function, pending: Pending, outcome: Outcome, condition: str, now: datetime
) -> dict[str, Any]:
    """Return what a destination gets.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    response: dict[str, Any] = {"statusCode": 200, "executedVersion": function.version}
    if outcome.is_error:
        response["functionError"] = "Unhandled"
    return {
        "version": "1.0",
        "timestamp": f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z",
        "requestContext": {
            "requestId": pending.request_id,
            "functionArn": f"{function.arn}:{function.version}",
            "condition": condition,
            "approximateInvokeCount": pending.attempts,
        },
        "requestPayload": json.loads(pending.event),
        "responseContext": response,
        "responsePayload": json.loads(outcome.payload),
    }
