# SPDX-License-Identifier: Apache-2.0
"""Write what functions print to CloudWatch Logs, as Lambda does."""

from __future__ import annotations

import logging
import uuid

from botocore.exceptions import ClientError

from sandbox.clock import RegionClock
from sandbox.lambdas.function import Function
from sandbox.own_calls import OwnCalls

log = logging.getLogger(__name__)


class FunctionLogs:
    """Writes logs. A log that can't be written never changes how an invocation ends."""

    def __init__(self, calls: OwnCalls, clock: RegionClock) -> None:
        self._calls = calls
        self._clock = clock

    def stream(self, function: Function) -> str:
        """Return a name for the log stream of one run."""
        return f"{self._clock.now():%Y/%m/%d}/[{function.version}]{uuid.uuid4().hex}"

    def write(self, function: Function, stream: str, request_id: str, text: str) -> None:
        """Write the lines of one run, between the lines that Lambda itself writes."""
        group = f"/aws/lambda/{function.name}"
        lines = [
            f"START RequestId: {request_id} Version: {function.version}",
            *text.splitlines(),
            f"END RequestId: {request_id}",
        ]
        stamp = int(self._clock.now().timestamp() * 1000)
        client = self._calls.client("logs")
        try:
            self._make_group(group)
            client.create_log_stream(logGroupName=group, logStreamName=stream)
            client.put_log_events(
                logGroupName=group,
                logStreamName=stream,
                logEvents=[{"timestamp": stamp, "message": line or " "} for line in lines],
            )
        except ClientError:
            log.exception("the log of %s could not be written", function.name)

    def _make_group(self, group: str) -> None:
        try:
            self._calls.client("logs").create_log_group(logGroupName=group)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise
