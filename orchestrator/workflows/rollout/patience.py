# SPDX-License-Identifier: Apache-2.0
"""Calls that AWS throttles or fails to answer are made again: the refresh goes on meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from orchestrator.clock import Clock
from orchestrator.errors import AwsError, WaitTimeout

T = TypeVar("T")

# So long nothing may be heard of AWS. Longer than outages of one API last, as a rule.
LIMIT = timedelta(minutes=15)
FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 20.0
# By code; the last is our own for a network that is down. S3 and EC2 have words of their own.
PASSING = frozenset(
    {
        "500",
        "503",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ResourceContention",
        "ServiceUnavailable",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "Unavailable",
        "Unreachable",
    }
)


def is_passing(error: AwsError) -> bool:
    """Tell whether the same call may well succeed later."""
    return error.code in PASSING


def persist(clock: Clock, what: str, call: Callable[[], T], *, next_command: str = "") -> T:
    """Call until AWS answers, and return or raise what it says.

    Args:
        call: May have taken effect although it failed, so it must be safe to be made again.

    Raises:
        WaitTimeout: AWS has not answered for a quarter of an hour.
    """
    deadline_s = clock.monotonic_s() + LIMIT.total_seconds()
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return call()
        except AwsError as error:
            if not is_passing(error):
                raise
            if clock.monotonic_s() >= deadline_s:
                raise WaitTimeout(
                    what, f"AWS has not answered for {LIMIT}; {error.cause}", next_command=next_command
                ) from error
        clock.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
