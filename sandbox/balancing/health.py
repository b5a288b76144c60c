# SPDX-License-Identifier: Apache-2.0
"""Tell from what the nodes' checks saw of a target what DescribeTargetHealth says of it. Pure.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sandbox.balancing.shape import HealthCheck


class TargetState(StrEnum):
    """The states of a target, in AWS's words."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNUSED = "unused"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Check:
    """What one node saw last: `result` is HAProxy's check status (L7OK, L4TOUT, ...), "" before the first."""

    is_up: bool
    result: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target's state, why, and since when it was looked at."""

    state: TargetState
    since: datetime
    reason: str | None = None
    description: str | None = None


REGISTERING = ("Elb.RegistrationInProgress", "Target registration is in progress")
CHECKING = ("Elb.InitialHealthChecking", "Initial health checks in progress")
NOT_REGISTERED = ("Target.NotRegistered", "Target is not registered to the target group")
NOT_IN_USE = (
    "Target.NotInUse",
    "Target group is not configured to receive traffic from the load balancer",
)
ZONE_NOT_IN_USE = (
    "Target.NotInUse",
    "Target is in an Availability Zone that is not enabled for the load balancer",
)
STOPPED = ("Target.InvalidState", "Target is in the stopped state")
TERMINATED = ("Target.InvalidState", "Target is in the terminated state")
DRAINING = ("Target.DeregistrationInProgress", "Target deregistration is in progress")

_NOT_YET = frozenset({"", "INI", "UNK"})
_TIMEOUTS = frozenset({"L4TOUT", "L6TOUT", "L7TOUT"})


def judge(before: Verdict | None, checks: Iterable[Check], *, config: HealthCheck, now: datetime) -> Verdict:
    """Return what is to be said now, given what was said before.

    A target is healthy when all nodes find it so. A new one is initial until its first check succeeds, or
    until so much time has passed that enough checks have failed.
    """
    seen = list(checks)
    since = before.since if before else now
    if not seen:
        return before or Verdict(TargetState.INITIAL, since, *REGISTERING)
    failing = [check for check in seen if not check.is_up]
    if not failing:
        return Verdict(TargetState.HEALTHY, since)
    known = next((check for check in failing if check.result not in _NOT_YET), None)
    was_initial = before is None or before.state is TargetState.INITIAL
    if known is None:
        # After a reload, a node has checked nothing yet but knows what it knew.
        return before if before and not was_initial else Verdict(TargetState.INITIAL, since, *CHECKING)
    patience = timedelta(seconds=config.interval_s * config.unhealthy_threshold)
    if was_initial and now - since < patience:
        return Verdict(TargetState.INITIAL, since, *CHECKING)
    return Verdict(TargetState.UNHEALTHY, since, *_failure(known))


def _failure(check: Check) -> tuple[str, str]:
    if check.result in _TIMEOUTS:
        return "Target.Timeout", "Request timed out"
    if check.result == "L7STS":
        return "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{check.code}]"
    return "Target.FailedHealthChecks", "Health checks failed"
