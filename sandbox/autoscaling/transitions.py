# SPDX-License-Identifier: Apache-2.0
"""Carry out an instance's steps: its state, its activity, and the calls that a step asks for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sandbox.autoscaling import activities, events, steps
from sandbox.autoscaling.activities import Activity, Status
from sandbox.autoscaling.group import Group, Process
from sandbox.autoscaling.member import ON_LAUNCH, ON_TERMINATION, Hook, HookAction, Lifecycle, Member
from sandbox.autoscaling.state import State, new_id
from sandbox.autoscaling.steps import Step
from sandbox.autoscaling.work import Notice, Work

# AWS tries failed launches less and less often; it does not say how often.
FIRST_RETRY_S = 15
LAST_RETRY_S = 300
# The longest that the calls of a deregistration may take.
_CALLS = timedelta(seconds=10)


class Transitions:
    """Takes steps."""

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state
        self._steps: dict[Step, Callable[[Group, Member, Work, datetime], None]] = {
            Step.FAIL_LAUNCH: self._fail_launch,
            Step.WAIT_FOR_HOOKS: self._wait_for_hooks,
            Step.ABANDON_LAUNCH: self._abandon_launch,
            Step.PROCEED: self._proceed,
            Step.SERVE: self._serve,
            Step.MARK_UNHEALTHY: self._mark_unhealthy,
            Step.REPLACE: self._replace,
            Step.RETARGET: self._retarget,
            Step.DEREGISTER: self._deregister,
            Step.CHECK_DRAIN: self._check_drain,
            Step.END_TERMINATION: self._end_termination,
            Step.TERMINATE: self._terminate,
            Step.DROP: self._drop,
            Step.STAND_BY: self._stand_by,
            Step.DETACH: self._detach,
        }

    def take(self, step: Step, group: Group, member: Member, *, work: Work, now: datetime) -> None:
        """Take one step."""
        self._steps[step](group, member, work, now)

    def leave(self, group: Group, member: Member, cause: str, *, now: datetime) -> Activity:
        """Begin to terminate an instance."""
        before = self._state().activity_by_id.get(member.activity_id)
        if before is not None and before.ended_at is None:
            before.end(Status.CANCELLED, now)
        member.has_run_hooks = False
        member.actions = []
        activity = self._state().begin(
            group,
            f"{activities.TERMINATING}: {member.instance_id}",
            cause,
            now=now,
            details=activities.details(member.subnet_id, member.zone),
        )
        member.activity_id = activity.activity_id
        group.move(member, Lifecycle.TERMINATING)
        return activity

    def _end(self, group: Group, member: Member, now: datetime, *failure: str) -> None:
        if activity := self._state().activity_by_id.get(member.activity_id):
            status = Status.CANCELLED if failure else Status.SUCCESSFUL
            activity.end(status, now, *failure)
            is_launch = activity.description.startswith(activities.LAUNCHING)
            if is_launch or activity.description.startswith(activities.TERMINATING):
                group.outbox.append(
                    events.instance(group, activity, member.instance_id, now, is_launch=is_launch)
                )
        group.last_activity_at = now

    def _fail_launch(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        message = (
            "Instance became unhealthy while waiting for instance to be in InService state. "
            f"Termination Reason: {member.lost_because or 'Client.UserInitiatedShutdown'}"
        )
        self._end(group, member, now, message)
        hold_back(group, now)
        self.leave(group, member, activities.out_of_service(now, steps.LOST), now=now)
        del work

    def _wait_for_hooks(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        is_launch = member.state is Lifecycle.PENDING
        hooks = group.hooks_on(ON_LAUNCH if is_launch else ON_TERMINATION)
        member.actions = [_begin(hook, now) for hook in hooks]
        member.has_run_hooks = True
        member.drains_until = None
        group.move(member, Lifecycle.PENDING_WAIT if is_launch else Lifecycle.TERMINATING_WAIT)
        self._note(member, Status.MID_LIFECYCLE_ACTION)
        group.outbox += [events.hook(group, action, member.instance_id, now) for action in member.actions]
        work.notices += [
            Notice(action, member.instance_id, now) for action in member.actions if action.hook.target_arn
        ]

    def _abandon_launch(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        action = next(each for each in member.actions if each.result == steps.ABANDON)
        message = (
            "Instance failed to complete user's Lifecycle Action: "
            f"Lifecycle Action with token {action.token} was abandoned: {action.how}"
        )
        self._end(group, member, now, message)
        cause = activities.out_of_service(now, "a launch lifecycle action that was abandoned")
        self.leave(group, member, cause, now=now)
        # It never served: there is nothing to be saved from it.
        member.has_run_hooks = True
        del work

    def _proceed(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        member.actions = []
        group.move(member, Lifecycle.PENDING_PROCEED)
        del work, now

    def _serve(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        member.is_left_out = not group.is_active(Process.ADD_TO_LOAD_BALANCER)
        self._retarget(group, member, work, now)
        member.in_service_at = now
        if group.settings.checks_targets and group.settings.target_groups:
            group.unchecked[member.instance_id] = None
        group.failures = 0
        group.retry_at = None
        group.zone_retry_at.pop(member.zone, None)
        group.move(member, Lifecycle.IN_SERVICE)
        # The health may have changed meanwhile: the next step sees to it.
        group.look_at(member)
        self._end(group, member, now)

    def _mark_unhealthy(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        member.unhealthy = steps.fault(group, member, now) or ""
        del work

    def _replace(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        group.owed_replacements += 1
        self.leave(group, member, activities.out_of_service(now, member.unhealthy), now=now)
        del work

    def _retarget(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        for arn in steps.missing_targets(group, member):
            work.register.setdefault(arn, []).append(member.instance_id)
            member.target_groups.append(arn)
        for arn in steps.surplus_targets(group, member):
            work.deregister.setdefault(arn, []).append(member.instance_id)
            member.target_groups.remove(arn)
        del now

    def _deregister(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        for arn in member.target_groups:
            work.deregister.setdefault(arn, []).append(member.instance_id)
        member.target_groups = []
        # Until the calls are made nothing else shall happen to it.
        member.drains_until = now + _CALLS
        member.drain_checked_at = now
        self._note(member, Status.DRAINING)
        del group

    def _check_drain(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        member.drain_checked_at = now
        for arn in group.settings.target_groups:
            work.check_drain.setdefault(arn, []).append(member.instance_id)

    def _end_termination(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        member.actions = []
        group.move(member, Lifecycle.TERMINATING_PROCEED)
        self._note(member, Status.IN_PROGRESS)
        del work, now

    def _terminate(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        member.is_termination_asked = True
        member.drains_until = None
        self._note(member, Status.IN_PROGRESS)
        work.terminate.append(member.instance_id)
        del group, now

    def _drop(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        self._end(group, member, now)
        self._state().let_go(group, member)
        del work

    def _stand_by(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        member.drains_until = None
        group.move(member, Lifecycle.STANDBY)
        self._end(group, member, now)
        del work

    def _detach(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        self._end(group, member, now)
        self._state().let_go(group, member)
        del work

    def _note(self, member: Member, status: Status) -> None:
        if activity := self._state().activity_by_id.get(member.activity_id):
            activity.status = status


def hold_back(group: Group, now: datetime, *, zone: str | None = None) -> None:
    """Wait before launches are tried again, in one zone or in all."""
    group.failures += 1
    group.last_activity_at = now
    wait_s = min(FIRST_RETRY_S * 2 ** (group.failures - 1), LAST_RETRY_S)
    if zone is None:
        group.retry_at = now + timedelta(seconds=wait_s)
    else:
        group.zone_retry_at[zone] = now + timedelta(seconds=wait_s)
    # What balancing could not launch is not owed.
    group.surplus = 0


def _begin(hook: Hook, now: datetime) -> HookAction:
    action = HookAction(hook, new_id(), now, now + timedelta(seconds=hook.global_timeout_s))
    action.beat(now)
    return action
