# SPDX-License-Identifier: Apache-2.0
"""Carry decisions into a group's state, and collect the calls that follow from them.

Everything here is done with the lock of Auto Scaling held and calls nothing: `look` gives the work to do, and
`absorb` takes in what came of it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

from sandbox.autoscaling import activities, decide, events, steps
from sandbox.autoscaling.activities import Status
from sandbox.autoscaling.decide import Balanced, Launch, Stuck, Terminate
from sandbox.autoscaling.group import Group, LaunchOrder, Process
from sandbox.autoscaling.member import Lifecycle, Member, Power
from sandbox.autoscaling.refresh.choices import DEFAULT, Choices
from sandbox.autoscaling.refresh.drive import Outside, Refreshing
from sandbox.autoscaling.state import State, new_id
from sandbox.autoscaling.transitions import Transitions, hold_back
from sandbox.autoscaling.work import Launched, Outcome, Refused, Work

# How often the balancer is asked for the health of a group's targets.
TARGET_LOOK = timedelta(seconds=10)
# A launch whose call came to no answer is asked for again: it is the same launch.
ORDER_RETRY = timedelta(seconds=5)
_POWERS = {power.value: power for power in Power}
TARGET_UNHEALTHY = "an ELB system health check failure"


class Engine:
    """Looks at groups."""

    def __init__(self, state: Callable[[], State], outside: Outside, choices: Choices = DEFAULT) -> None:
        self._state = state
        self._transitions = Transitions(state)
        self._refreshing = Refreshing(self._transitions, outside, choices)

    def look(self, group: Group, now: datetime) -> Work:
        """Take every step that is due, and return the calls to be made for them."""
        work = Work(group.name, group.settings.template, tags=launch_tags(group))
        self._call_up(group, now)
        is_settled = False
        while not is_settled:
            self._refreshing.look(group, self._advance_all(group, work, now), now)
            self._decide(group, now)
            is_settled = not group.touched
        work.orders = list(group.orders)
        work.events, group.outbox = group.outbox, []
        if self._checks_targets(group, now):
            group.targets_checked_at = now
            work.check_health = list(group.settings.target_groups)
        return work

    def absorb(self, group: Group, work: Work, outcome: Outcome, now: datetime) -> None:
        """Take in what the calls answered."""
        for order in work.orders:
            self._answered(group, order, outcome.launches.get(order.token), now)
        self._drain(group, work, outcome, now)
        checked = {instance_id for ids in work.check_drain.values() for instance_id in ids}
        for member in filter(None, map(group.members.get, sorted(checked - outcome.still_draining))):
            member.drains_until = None
            group.look_at(member)
        if work.check_health:
            self._check(group, [each for each in group.unchecked if each not in outcome.unready_targets])
        for instance_id in sorted(outcome.unhealthy_targets):
            self._target_unhealthy(group, instance_id, now)

    def due(self, group: Group, looked_at: datetime) -> datetime | None:
        """Return when the group has to be looked at although nothing happens.

        What was due at the last look is done, or can't be done before something happens.
        """
        now = looked_at
        waits = [*(at for at, _, _ in group.agenda[:1]), *self._refreshing.due(group)]
        missing = group.target - group.capacity
        if group.orders:
            waits.append(now + ORDER_RETRY)
        if missing > 0:
            retries = [group.retry_at, *group.zone_retry_at.values()]
            waits += [at for at in retries if at is not None]
        if self._has_target_checks(group):
            waits.append((group.targets_checked_at or now) + TARGET_LOOK)
        return min((at for at in waits if at > now), default=None)

    @property
    def transitions(self) -> Transitions:
        """What carries out steps."""
        return self._transitions

    @property
    def refreshing(self) -> Refreshing:
        """What carries refreshes on."""
        return self._refreshing

    def _call_up(self, group: Group, now: datetime) -> None:
        """Touch the instances whose time has come."""
        while group.agenda and group.agenda[0][0] <= now:
            instance_id = heapq.heappop(group.agenda)[2]
            if instance_id in group.members:
                group.touched[instance_id] = None
        if group.unchecked and not self._has_target_checks(group):
            self._check(group, list(group.unchecked))

    def _check(self, group: Group, instance_ids: list[str]) -> None:
        """Take instances for healthy: the balancer has found them so, or is not asked."""
        for instance_id in instance_ids:
            del group.unchecked[instance_id]
            group.touched[instance_id] = None

    def _advance_all(self, group: Group, work: Work, now: datetime) -> list[str]:
        """Let the touched instances take their steps, and return which they were."""
        seen: dict[str, None] = {}
        while group.touched:
            touched, group.touched = group.touched, {}
            seen.update(touched)
            for instance_id in touched:
                if member := group.members.get(instance_id):
                    self._advance(group, member, work, now)
        return list(seen)

    def _advance(self, group: Group, member: Member, work: Work, now: datetime) -> None:
        steps.expire(member, now)
        while member.instance_id in group.members and (step := steps.next_step(group, member, now)):
            self._transitions.take(step, group, member, work=work, now=now)
        due = steps.due(group, member)
        if due is None and member.state in (Lifecycle.IN_SERVICE, Lifecycle.STANDBY):
            group.moving.pop(member.instance_id, None)
        if due is not None and due > now:
            heapq.heappush(group.agenda, (due, member.number, member.instance_id))

    def _decide(self, group: Group, now: datetime) -> None:
        """Decide until there is nothing more: that the zones are balanced asks for terminations."""
        while decisions := decide.decide(group, now):
            for decision in decisions:
                self._follow(group, decision, now)
        if group.capacity == group.target and not group.orders:
            group.reason = ""
            group.owed_replacements = 0
            if refresh := group.refresh:
                refresh.owed = 0
            group.stuck_at = None

    def _follow(self, group: Group, decision: decide.Decision, now: datetime) -> None:
        match decision:
            case Launch():
                self._order(group, decision, now)
            case Terminate(instance_id=instance_id, cause=cause):
                self._transitions.leave(group, group.members[instance_id], cause, now=now)
            case Stuck(message=message):
                group.stuck_at = group.settings.desired
                activity = self._state().begin(group, "Terminating EC2 instance", group.reason, now=now)
                activity.end(Status.FAILED, now, message)
            case Balanced(reason=reason):
                group.surplus = 0
                group.reason = reason

    def _order(self, group: Group, launch: Launch, now: datetime) -> None:
        refresh = group.refresh
        group.orders.append(
            LaunchOrder(
                new_id(),
                launch.subnet,
                launch.count,
                launch.cause,
                now,
                is_replacement=launch.is_replacement,
                template=group.template,
                made_by=refresh.mark if refresh else "",
                is_refresh=launch.is_refresh,
            )
        )
        if refresh and launch.is_refresh:
            refresh.owed -= launch.count
        if launch.is_surplus:
            group.surplus += launch.count
        if launch.is_replacement:
            group.owed_replacements -= launch.count

    def _drain(self, group: Group, work: Work, outcome: Outcome, now: datetime) -> None:
        delays: dict[str, float] = {}
        for arn, instance_ids in work.deregister.items():
            for instance_id in instance_ids:
                delays[instance_id] = max(delays.get(instance_id, 0.0), outcome.delays.get(arn, 0.0))
        for instance_id, delay_s in delays.items():
            member = group.members.get(instance_id)
            if member is not None and member.state is not Lifecycle.IN_SERVICE:
                member.drains_until = now + timedelta(seconds=delay_s)
                member.drain_checked_at = now
                group.look_at(member)

    def _answered(
        self, group: Group, order: LaunchOrder, answer: list[Launched] | Refused | None, now: datetime
    ) -> None:
        if answer is None:
            return
        group.orders.remove(order)
        if isinstance(answer, Refused):
            self._refused(group, order, answer, now)
        else:
            self._launched(group, order, answer)

    def _launched(self, group: Group, order: LaunchOrder, launched: list[Launched]) -> None:
        for each in launched:
            activity = self._state().begin(
                group,
                f"{activities.LAUNCHING}: {each.instance_id}",
                order.cause,
                now=order.ordered_at,
                status=Status.PRE_IN_SERVICE,
                details=activities.details(each.subnet_id, each.zone),
            )
            group.launched += 1
            member = Member(
                instance_id=each.instance_id,
                number=group.launched,
                zone=each.zone,
                subnet_id=each.subnet_id,
                instance_type=each.instance_type,
                image_id=each.image_id,
                launched_at=order.ordered_at,
                state=Lifecycle.PENDING,
                template=each.template,
                is_protected=group.settings.protects_new,
                activity_id=activity.activity_id,
                made_by=order.made_by,
            )
            self._state().take_in(group, member)

    def _refused(self, group: Group, order: LaunchOrder, refused: Refused, now: datetime) -> None:
        activity = self._state().begin(
            group,
            activities.LAUNCHING,
            order.cause,
            now=order.ordered_at,
            details=activities.details(order.subnet.subnet_id, order.subnet.zone),
        )
        if order.is_replacement:
            group.owed_replacements += order.count
        if order.is_refresh and group.refresh is not None:
            group.refresh.owed += order.count
        activity.end(Status.FAILED, now, f"{refused.message} Launching EC2 instance failed.")
        group.outbox.append(events.instance(group, activity, "", now, is_launch=True))
        hold_back(group, now, zone=order.subnet.zone if refused.is_capacity else None)

    def _has_target_checks(self, group: Group) -> bool:
        is_wanted = group.settings.checks_targets and group.is_active(Process.HEALTH_CHECK)
        return is_wanted and bool(group.settings.target_groups and group.members)

    def _checks_targets(self, group: Group, now: datetime) -> bool:
        if not self._has_target_checks(group):
            return False
        return group.targets_checked_at is None or group.targets_checked_at + TARGET_LOOK <= now

    def _target_unhealthy(self, group: Group, instance_id: str, now: datetime) -> None:
        member = group.members.get(instance_id)
        if member is None or member.state is not Lifecycle.IN_SERVICE or member.unhealthy:
            return
        if steps.grace_ends(group, member) <= now:
            member.unhealthy = TARGET_UNHEALTHY
            group.look_at(member)


def launch_tags(group: Group) -> dict[str, str]:
    """Return the tags that a group's instances get."""
    tags = {tag.key: tag.value for tag in group.tags.values() if tag.propagates}
    return tags | {"aws:autoscaling:groupName": group.name}


def power_of(state: str) -> Power:
    """Return what a group makes of an instance's state in EC2."""
    return _POWERS.get(state, Power.STOPPED)
