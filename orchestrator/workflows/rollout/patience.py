# SPDX-License-Identifier: Apache-2.0
"""Calls that AWS throttles or fails to answer are made again: the refresh goes on meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
UNREACHABLE = "Unreachable"  # our own code for a network that is down
# By code. S3 and EC2 have words of their own.
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
        UNREACHABLE,
    }
)


def is_passing(error: AwsError) -> bool:
    """Tell whether the same call may well succeed later."""
    return error.code in PASSING


# Who makes such a call again has to look first what became of it.
_ONCE = frozenset({"start_refresh"})


@dataclass
class Contact:
    """Whether AWS was heard of yet: an endpoint that never answered is a wrong one, or one that is down."""

    was_heard: bool = False

    def take(self, error: AwsError | None) -> None:
        """Take what became of a call; errors are answers too, but for that of a network that is down."""
        self.was_heard = self.was_heard or error is None or error.code != UNREACHABLE


class Patient:
    """A port whose calls are made until AWS answers them."""

    def __init__(self, port: object, clock: Clock, contact: Contact) -> None:
        self._port, self._clock, self._contact = port, clock, contact

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name in _ONCE:
            return method
        return lambda *args, **kwargs: persist(
            self._clock, partial(method, *args, **kwargs), contact=self._contact
        )


def patient(world: RolloutWorld) -> RolloutWorld:
    """Return a world that does not give up when AWS throttles calls or fails to answer some.

    A call that took effect although it seemed to fail is made again: all are safe to be, but those of _ONCE.
    """
    if isinstance(world.fleets, Patient):
        return world
    contact = Contact()
    ports: dict[str, Any] = {name: Patient(getattr(world, name), world.clock, contact) for name in _PATIENT}
    return replace(world, **ports)


def persist(clock: Clock, call: Callable[[], T], *, contact: Contact | None = None) -> T:
    """Call until AWS answers, and return or raise what it says.

    Raises:
        AwsError: Also that AWS can't be reached, if it never was.
        WaitTimeout: AWS has not answered for a quarter of an hour.
    """
    contact = contact or Contact(was_heard=True)
    deadline_s = clock.monotonic_s() + LIMIT.total_seconds()
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            answer = call()
        except AwsError as error:
            contact.take(error)
            if not is_passing(error) or not contact.was_heard:
                raise
            if clock.monotonic_s() >= deadline_s:
                raise WaitTimeout(
                    error.what,
                    f"AWS has not answered for {LIMIT}; {error.cause}",
                    state="a refresh that was begun goes on",
                    next_command="the same command again, which goes on with it",
                ) from error
        else:
            contact.take(None)
            return answer
        clock.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
