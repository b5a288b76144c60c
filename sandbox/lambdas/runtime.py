# SPDX-License-Identifier: Apache-2.0
"""What runs inside the process of a function: `python runtime.py FD`, on its own, with nothing of the region.

The event comes on stdin, the answer goes to the descriptor; what the handler prints is its log.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
import traceback
from typing import Any


class Context:
    """What a handler gets beside the event.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    def __init__(self, environ: Any) -> None:
        self.aws_request_id = environ["_REQUEST_ID"]
        self.function_name = environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.invoked_function_arn = environ["_FUNCTION_ARN"]
        self.memory_limit_in_mb = environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._ends_at_s = time.monotonic() + float(environ["_TIMEOUT_S"])

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the function may still run."""
        return max(0, int(1000 * (self._ends_at_s - time.monotonic())))


def main() -> None:
    """Run the handler once."""
    environ = os.environ
    memory = int(environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]) * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    sys.path[:0] = [environ["LAMBDA_TASK_ROOT"], environ["_RUNTIME_PACKAGES"]]
    context = Context(environ)
    event = json.load(sys.stdin)
    try:
        module, _, name = environ["_HANDLER"].rpartition(".")
        handler = getattr(importlib.import_module(module.replace("/", ".")), name)
        answer: dict[str, Any] = {"result": json.dumps(handler(event, context))}
    except BaseException as error:  # noqa: BLE001 - whatever it was, the caller is told
        answer = {"error": _describe(error, context.aws_request_id)}
        traceback.print_exc()
    with os.fdopen(int(sys.argv[1]), "w") as pipe:
        json.dump(answer, pipe)


def _describe(error: BaseException, request_id: str) -> dict[str, Any]:
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_tb(error.__traceback__),
    }


if __name__ == "__main__":
    main()
