# SPDX-License-Identifier: Apache-2.0
"""Carry a refresh on: its status, what it ends, and what it waits for.

Everything here is done with the lock of Auto Scaling held, and nothing is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from sandbox.autoscaling import activities, events
from sandbox.autoscaling.group import Group, Process, TemplateReference
from sandbox.autoscaling.member import Member
from sandbox.autoscaling.refresh import pace, words
from sandbox.autoscaling.refresh.capacity import WHOLE, Band, band
from sandbox.autoscaling.refresh.choices import Choices
from sandbox.autoscaling.refresh.pace import View
from sandbox.autoscaling.refresh.reasons import reason_of
from sandbox.autoscaling.refresh.record import Refresh, RefreshStatus, Rollback
from sandbox.autoscaling.refresh.tally import Kind, Tally
from sandbox.autoscaling.transitions import Transitions

HOUR = timedelta(hours=1)
LONGEST = timedelta(days=14)
ALARM, NO_DATA = "ALARM", "INSUFFICIENT_DATA"
_NEEDED = (Process.INSTANCE_REFRESH, Process.LAUNCH, Process.TERMINATE)


class Outside(Protocol):
    """What a refresh asks of other services."""

    def alarm_state(self, name: str) -> str:
        """Return the state of a CloudWatch alarm; empty if there is none."""

    def version_of(self, template: TemplateReference) -> int:
        """Return the number of the version that a reference stands for now."""


class Refreshing:
    """Looks at refreshes."""

    def __init__(self, transitions: Transitions, outside: Outside, choices: Choices) -> None:
        self._transitions = transitions
        self._outside = outside
        self._choices = choices
        self._tallies: dict[str, Tally] = {}
        self._at: dict[RefreshStatus, Callable[[Group, Refresh, datetime], bool]] = {
            RefreshStatus.PENDING: self._begin,
            RefreshStatus.IN_PROGRESS: self._go_on,
            RefreshStatus.ROLLBACK_IN_PROGRESS: self._go_on,
            RefreshStatus.CANCELLING: self._cancel,
            RefreshStatus.BAKING: self._bake,
        }

    def look(self, group: Group, touched: Iterable[str], now: datetime) -> None:
        """Take every decision that is due; `touched` are the instances that something has happened to."""
        refresh = group.refresh
        if refresh is None:
            self._tallies.pop(group.name, None)
            return
        self._follow(group, refresh)
        self._tally(group, refresh, now).see(touched, now)
        self._note_progress(group, refresh, now)
        while refresh.is_active and self._at[refresh.status](group, refresh, now):
            pass
        if refresh.is_active:
            self._measure(group, refresh, now)

    def due(self, group: Group) -> list[datetime]:
        """Return when the refresh has to be looked at although nothing happens."""
        refresh, tally = group.refresh, self._tallies.get(group.name)
        if refresh is None or tally is None:
            return []
        times = [refresh.waits_until, refresh.bakes_until, tally.next_warm_at]
        if refresh.status is not RefreshStatus.BAKING:
            times += [self._fails_at(refresh, tally), (refresh.began_at or refresh.started_at) + LONGEST]
        return [at for at in times if at is not None]

    def roll_back(self, group: Group, refresh: Refresh, reason: str, now: datetime) -> None:
        """Begin to take a refresh back."""
        tally = self._tally(group, refresh, now)
        self._measure(group, refresh, now)
        kept = sum(tally.counts[each] for each in (Kind.STALE, Kind.COMING, Kind.PROTECTED, Kind.STANDBY))
        refresh.rollback = Rollback(reason, now, refresh.percentage, refresh.to_update)
        refresh.to_update = kept
        refresh.status, refresh.reason = RefreshStatus.ROLLBACK_IN_PROGRESS, reason
        refresh.surge = refresh.owed = 0
        refresh.waits_until = refresh.bakes_until = None
        refresh.is_paused = False
        refresh.began_at = refresh.progressed_at = now
        # What could not be launched says nothing of what is launched from now on.
        group.failures, group.retry_at = 0, None
        group.zone_retry_at.clear()
        group.outbox.append(events.refresh(group, refresh, "Rollback Started", now))
        tally = self._tally(group, refresh, now)
        if self._choices.ends_unready_at_rollback:
            for member in tally.unhealthy_stale():
                refresh.owed += member.is_counted
                self._end(group, member, now, is_first=True)
        # New instances that are too many go, not those that stay.
        refresh.surge = max(group.capacity - group.settings.desired - group.surplus, 0)

    def cancel(self, group: Group, refresh: Refresh, now: datetime, *, waits: bool) -> None:
        """Begin to cancel a refresh; at once unless it waits for what is on its way."""
        refresh.status, refresh.reason = RefreshStatus.CANCELLING, words.CANCELLING
        refresh.waits_until = refresh.bakes_until = None
        refresh.progressed_at = now
        if not waits:
            self.finish(group, refresh, RefreshStatus.CANCELLED, now, reason=words.CANCELLED)

    def finish(
        self, group: Group, refresh: Refresh, status: RefreshStatus, now: datetime, *, reason: str = ""
    ) -> None:
        """End a refresh; one that succeeds leaves the group with the desired configuration."""
        self._measure(group, refresh, now)
        refresh.status, refresh.reason, refresh.ended_at = status, reason, now
        refresh.waits_until = refresh.bakes_until = None
        if status is RefreshStatus.SUCCESSFUL and refresh.desired is not None:
            group.settings = replace(group.settings, template=refresh.desired)
        group.outbox.append(events.refresh(group, refresh, events.ENDS[status], now))
        self._tallies.pop(group.name, None)

    def _tally(self, group: Group, refresh: Refresh, now: datetime) -> Tally:
        found = self._tallies.get(group.name)
        is_same = found is not None and (found.mark, found.followed) == (refresh.mark, refresh.followed)
        if found is None or not is_same or found.settings is not group.settings:
            found = self._tallies[group.name] = Tally(group, refresh, now)
        return found

    def _follow(self, group: Group, refresh: Refresh) -> None:
        """See which version is to be matched now: what $Latest and $Default stand for may change."""
        if refresh.preferences.skips_matching and not refresh.is_rollback:
            refresh.followed = self._outside.version_of(group.template)

    def _note_progress(self, group: Group, refresh: Refresh, now: datetime) -> None:
        tally = self._tallies[group.name]
        if tally.successes:
            refresh.progressed_at = now
            tally.successes = 0

    def _begin(self, group: Group, refresh: Refresh, now: datetime) -> bool:
        refresh.status = RefreshStatus.IN_PROGRESS
        refresh.began_at = refresh.progressed_at = now
        group.outbox.append(events.refresh(group, refresh, "Started", now))
        return True

    def _go_on(self, group: Group, refresh: Refresh, now: datetime) -> bool:
        """Take one decision; True if another may follow from it."""
        if reason := self._reason_to_fail(refresh, now):
            return self._fail(group, refresh, reason, now)
        if self._is_paused(group, refresh, now):
            return self._choices.keeps_hour_while_paused and self._expire(group, refresh, now)
        if refresh.waits_until is not None and now >= refresh.waits_until:
            refresh.waits_until, refresh.progressed_at = None, now
        tally, limits = self._tallies[group.name], self._band(group, refresh)
        if self._end_standby(group, tally, now) or self._close(group, refresh, limits, now):
            return True
        seen = pace.view(group, tally)
        if not refresh.is_rollback and self._check(group, refresh, seen, now):
            return True
        return refresh.waits_until is None and self._advance(group, refresh, seen, now)

    def _advance(self, group: Group, refresh: Refresh, seen: View, now: datetime) -> bool:
        """End, replace the next instances, or give up; True if another decision may follow from it."""
        if seen.is_complete or self._is_at_last(refresh):
            self._complete(group, refresh, now)
            return False
        self._replace(group, refresh, now)
        return self._expire(group, refresh, now)

    def _reason_to_fail(self, refresh: Refresh, now: datetime) -> str:
        """Return why a refresh can't go on, whatever its instances do; empty if it can."""
        if refresh.began_at and now >= refresh.began_at + LONGEST:
            return words.OUT_OF_DAYS
        name = self._alarm_in(refresh, ALARM)
        return words.ALARM.format(name) if name else ""

    def _cancel(self, group: Group, refresh: Refresh, now: datetime) -> bool:
        if self._close(group, refresh, self._band(group, refresh), now):
            return True
        tally = self._tallies[group.name]
        if pace.view(group, tally).is_settled or now >= self._fails_at(refresh, tally):
            self.finish(group, refresh, RefreshStatus.CANCELLED, now, reason=words.CANCELLED)
        return False

    def _bake(self, group: Group, refresh: Refresh, now: datetime) -> bool:
        if name := self._alarm_in(refresh, ALARM):
            return self._fail(group, refresh, words.ALARM.format(name), now)
        if refresh.bakes_until is not None and now >= refresh.bakes_until:
            self.finish(group, refresh, RefreshStatus.SUCCESSFUL, now)
        return False

    def _alarm_in(self, refresh: Refresh, state: str) -> str:
        """Return an alarm in a state; a rollback minds no alarms, and one that is gone has no data."""
        if refresh.is_rollback:
            return ""
        for name in refresh.preferences.alarms:
            if (self._outside.alarm_state(name) or NO_DATA) == state:
                return name
        return ""

    def _is_paused(self, group: Group, refresh: Refresh, now: datetime) -> bool:
        suspended = next((each for each in _NEEDED if not group.is_active(each)), None)
        silent = self._alarm_in(refresh, NO_DATA)
        was_paused, refresh.is_paused = refresh.is_paused, bool(suspended or silent)
        if refresh.is_paused:
            refresh.reason = words.SUSPENDED.format(suspended) if suspended else words.NO_DATA.format(silent)
        elif was_paused and not self._choices.keeps_hour_while_paused:
            refresh.progressed_at = now
        return refresh.is_paused

    def _band(self, group: Group, refresh: Refresh) -> Band:
        settings = group.settings
        return band(settings.desired, refresh.preferences, self._choices, max_size=settings.max_size)

    def _end_standby(self, group: Group, tally: Tally, now: datetime) -> bool:
        if not tally.counts[Kind.DOOMED]:
            return False
        for member in tally.all_of(Kind.DOOMED):
            self._end(group, member, now, is_first=True)
        return True

    def _close(self, group: Group, refresh: Refresh, limits: Band, now: datetime) -> bool:
        """End what has been replaced by now."""
        if not refresh.surge:
            return False
        seen = pace.view(group, self._tallies[group.name])
        count = pace.closes(seen, limits, slot_by_slot=self._choices.refills_slot_by_slot)
        for _ in range(count):
            self._end_next(group, now, is_first=False)
        refresh.surge -= count
        if not seen.stale and refresh.surge:
            refresh.surge = 0
            return True
        return count > 0

    def _check(self, group: Group, refresh: Refresh, seen: View, now: datetime) -> bool:
        """See to checkpoints: reached, no longer reached because the group has grown, or the last."""
        percentages = refresh.preferences.checkpoints
        found = pace.reached(seen, percentages)
        if found < refresh.checkpoint and seen.desired > refresh.checkpoint_size:
            refresh.checkpoint, refresh.waits_until = found, None
            return True
        if found <= refresh.checkpoint or not seen.is_settled:
            return False
        refresh.checkpoint, refresh.checkpoint_size = found, seen.desired
        percentage = percentages[found - 1]
        if percentage == WHOLE:
            return True
        group.outbox.append(events.checkpoint(group, refresh, percentage, now))
        is_last = found == len(percentages)
        if is_last and not self._choices.delays_after_last_checkpoint:
            self._complete(group, refresh, now)
            return True
        refresh.waits_until = now + timedelta(seconds=refresh.preferences.checkpoint_delay_s)
        return True

    def _is_at_last(self, refresh: Refresh) -> bool:
        """Whether the last checkpoint is reached, and leaves the rest of the group as it is."""
        percentages = () if refresh.is_rollback else refresh.preferences.checkpoints
        return bool(percentages) and refresh.checkpoint == len(percentages) and percentages[-1] < WHOLE

    def _complete(self, group: Group, refresh: Refresh, now: datetime) -> None:
        if refresh.is_rollback:
            self.finish(group, refresh, RefreshStatus.ROLLBACK_SUCCESSFUL, now)
        elif bake_s := refresh.preferences.refresh_bake_time_s:
            refresh.status = RefreshStatus.BAKING
            refresh.bakes_until = now + timedelta(seconds=bake_s)
            group.outbox.append(events.refresh(group, refresh, "Started Baking", now))
        else:
            self.finish(group, refresh, RefreshStatus.SUCCESSFUL, now)

    def _replace(self, group: Group, refresh: Refresh, now: datetime) -> None:
        tally, slot_by_slot = self._tallies[group.name], self._choices.refills_slot_by_slot
        if self._choices.orders_anew_each_time:
            tally = self._tallies[group.name] = Tally(group, refresh, now)
        seen = pace.view(group, tally)
        checkpoints = () if refresh.is_rollback else refresh.preferences.checkpoints
        budget = pace.budget(seen, checkpoints, refresh.checkpoint)
        limits = self._band(group, refresh)
        first, last = pace.replacements(seen, limits, budget=budget, slot_by_slot=slot_by_slot)
        for _ in range(first):
            self._end_next(group, now, is_first=True)
        refresh.surge += last
        refresh.owed += first + last
        refresh.stale_zones = dict(tally.stale_zones) if self._choices.surges_where_room_is_made else {}
        if first or last:
            refresh.progressed_at = now

    def _expire(self, group: Group, refresh: Refresh, now: datetime) -> bool:
        """Fail when nothing has got better for an hour."""
        if now < self._fails_at(refresh, self._tallies[group.name]):
            return False
        reason = reason_of(refresh, pace.view(group, self._tallies[group.name]), self._tallies[group.name])
        return self._fail(group, refresh, words.timed_out(reason), now)

    def _fails_at(self, refresh: Refresh, tally: Tally) -> datetime:
        """Return when the hour is over; what is healthy and only warms up may take its time."""
        ends_at = (refresh.progressed_at or refresh.started_at) + HOUR
        warm_at = tally.next_warm_at
        return ends_at if warm_at is None else max(ends_at, warm_at)

    def _fail(self, group: Group, refresh: Refresh, reason: str, now: datetime) -> bool:
        if refresh.is_rollback:
            self.finish(group, refresh, RefreshStatus.ROLLBACK_FAILED, now, reason=reason)
        elif refresh.preferences.auto_rollback:
            self.roll_back(group, refresh, reason, now)
        else:
            self.finish(group, refresh, RefreshStatus.FAILED, now, reason=reason)
        return refresh.is_active

    def _end_next(self, group: Group, now: datetime, *, is_first: bool) -> None:
        member = self._tallies[group.name].take()
        if member is not None:
            self._end(group, member, now, is_first=is_first)

    def _end(self, group: Group, member: Member, now: datetime, *, is_first: bool) -> None:
        refresh = group.refresh
        cause = activities.joined(
            activities.out_of_service(now, "an instance refresh"),
            activities.selected(now, member.instance_id),
        )
        member.ended_by = refresh.mark if refresh else ""
        member.is_ended_first = is_first
        self._transitions.leave(group, member, cause, now=now)
        self._tallies[group.name].see([member.instance_id], now)

    def _measure(self, group: Group, refresh: Refresh, now: datetime) -> None:
        """Write down how far the refresh is, and what it waits for."""
        tally = self._tally(group, refresh, now)
        seen = pace.view(group, tally)
        if refresh.rollback is not None:
            left = seen.stale + seen.held
            share = left * WHOLE // max(seen.desired, 1)
            refresh.percentage = min(refresh.rollback.percentage, share)
        else:
            refresh.percentage, refresh.to_update = pace.progress(seen, tally)
        if not refresh.is_paused and refresh.status is not RefreshStatus.CANCELLING:
            refresh.reason = reason_of(refresh, seen, tally)
