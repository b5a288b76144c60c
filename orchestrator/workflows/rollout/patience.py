# SPDX-License-Identifier: Apache-2.0
"""Calls that AWS throttles or fails to answer are made again: the refresh goes on meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from orchestrator.clock import Clock
from orchestrator.errors import AwsError, WaitTimeout
from orchestrator.workflows.rollout.world import RolloutWorld

T = TypeVar("T")
# Ports all of whose calls may be made again. Messages and console output are worth no waiting.
_PATIENT = (
    "facts",
    "fleets",
    "identity",
    "images",
    "locks",
    "objects",
    "parameters",
    "stacks",
    "targets",
    "templates",
)

# So long nothing may be heard of AWS. Longer than outages of one API last, as a rule.
LIMIT = timedelta(minutes=15)
FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0
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


# Who makes such a call again has to look first what became of it.
_ONCE = frozenset({"start_refresh"})


class Patient:
    """A port whose calls are made until AWS answers them."""

    def __init__(self, port: object, clock: Clock) -> None:
        self._port, self._clock = port, clock

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name in _ONCE:
            return method
        return lambda *args, **kwargs: persist(self._clock, partial(method, *args, **kwargs))


def patient(world: RolloutWorld) -> RolloutWorld:
    """Return a world that does not give up when AWS throttles calls or fails to answer some.

    A call that took effect although it seemed to fail is made again: all are safe to be, but those of _ONCE.
    """
    if isinstance(world.fleets, Patient):
        return world
    ports: dict[str, Any] = {name: Patient(getattr(world, name), world.clock) for name in _PATIENT}
    return replace(world, **ports)


def persist(clock: Clock, call: Callable[[], T]) -> T:
    """Call until AWS answers, and return or raise what it says.

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
                    error.what,
                    f"AWS has not answered for {LIMIT}; {error.cause}",
                    state="a refresh that was begun goes on",
                    next_command="the same command again, which goes on with it",
                ) from error
        clock.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
