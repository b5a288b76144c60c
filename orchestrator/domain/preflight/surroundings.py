# SPDX-License-Identifier: Apache-2.0
"""Checks of what is around the group: alarms, targets, locks and stacks. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.domain.preflight.check import Check, counted, listed
from orchestrator.domain.preflight.facts import AlarmState, known
from orchestrator.domain.preflight.situation import Situation
from orchestrator.domain.preflight_finding import Level
from orchestrator.domain.stack import Health

# `draining` targets are on their way out, `unused` ones get no requests anyway.
_UNHEALTHY = frozenset({"unhealthy", "unavailable"})


def _alarms_exist(situation: Situation) -> Iterator[str]:
    wanted = situation.intent.preferences.alarms
    if missing := [name for name in wanted if name not in known(situation.alarms)]:
        yield f"there is no alarm {listed(missing)}"


def _alarms_are_quiet(situation: Situation) -> Iterator[str]:
    for name in situation.intent.preferences.alarms:
        state = known(situation.alarms).get(name, AlarmState.OK)
        if state is not AlarmState.OK:
            yield f"alarm {name} is in {state}"


def _targets_are_healthy(situation: Situation) -> Iterator[str]:
    every = [target for targets in known(situation.target_health).values() for target in targets]
    if bad := sorted({each.instance_id for each in every if each.state in _UNHEALTHY}):
        yield f"{counted(len(bad), 'target')} of the load balancer are unhealthy: {listed(bad)}"


def _lock_is_free(situation: Situation) -> Iterator[str]:
    for holder in known(situation.holders):
        since = f" since {holder.since:%Y-%m-%d %H:%M:%S} UTC" if holder.since else ""
        yield f"{holder.user} on {holder.host} holds the lock {holder.lock}{since}"


def _stack_is_settled(situation: Situation) -> Iterator[str]:
    stack = known(situation.stack)
    if stack and stack.health is Health.BUSY:
        yield f"stack {stack.name} is {stack.status}"


def _stack_is_sound(situation: Situation) -> Iterator[str]:
    stack = known(situation.stack)
    if stack and stack.health in (Health.STUCK, Health.STILLBORN):
        yield f"stack {stack.name} is {stack.status}"


def _no_change_waits(situation: Situation) -> Iterator[str]:
    if names := known(situation.change_sets):
        yield f"change set {listed(names)} of the fleets stack waits to be executed"


CHECKS = (
    Check(
        "alarms-exist",
        Level.ERROR,
        "The alarms that shall take the rollout back are there.",
        "correct the fleet's rollout.alarms, or make the alarm",
        _alarms_exist,
    ),
    Check(
        "alarms-are-quiet",
        Level.ERROR,
        "None of them is in ALARM or INSUFFICIENT_DATA: AWS begins no refresh then.",
        "see to what the alarm tells of, or take it out of the fleet's rollout.alarms",
        _alarms_are_quiet,
    ),
    Check(
        "targets-are-healthy",
        Level.WARNING,
        "The load balancer finds all of the fleet's targets healthy before anything changes.",
        "find out why first: what is wrong now will be taken for the new image's fault",
        _targets_are_healthy,
    ),
    Check(
        "lock-is-free",
        Level.ERROR,
        "Nobody else rolls this fleet or provisions its environment.",
        "wait for that run to end; the lock of a run that was killed frees itself",
        _lock_is_free,
    ),
    Check(
        "stack-is-settled",
        Level.ERROR,
        "The environment's fleets stack is not being changed: CloudFormation and the refresh would both "
        "change the group, and AWS refuses the one that comes second.",
        "wait until the stack's operation has ended",
        _stack_is_settled,
    ),
    Check(
        "stack-is-sound",
        Level.WARNING,
        "The fleets stack's last operation did not leave it stuck.",
        "look at the stack's events, then: `invoke provision --environment {environment}`",
        _stack_is_sound,
    ),
    Check(
        "no-change-waits",
        Level.WARNING,
        "No change set of the fleets stack waits to be executed: it must not be while the rollout goes on.",
        "execute it first, or delete it",
        _no_change_waits,
    ),
)
