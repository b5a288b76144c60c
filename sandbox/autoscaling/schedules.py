# SPDX-License-Identifier: Apache-2.0
"""Scheduled actions: a group's size at a time, or again and again. Pure.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-scheduled-scaling.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


@dataclass(slots=True)
class Schedule:
    """A scheduled action; `next_at` is None when it will not happen any more."""

    name: str
    arn: str
    group: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    recurrence: str | None = None
    time_zone: str | None = None
    min_size: int | None = None
    max_size: int | None = None
    desired: int | None = None
    next_at: datetime | None = None

    def plan(self, now: datetime) -> None:
        """Find the next time after `now`."""
        if self.recurrence is None:
            self.next_at = self.starts_at if self.starts_at and self.starts_at > now else None
            return
        begin = max(now, self.starts_at - timedelta(minutes=1)) if self.starts_at else now
        found = next_match(self.recurrence, begin, self.time_zone or "UTC")
        self.next_at = None if found is None or (self.ends_at and found > self.ends_at) else found


# Minute, hour, day of the month, month, day of the week (Sunday is 0 and 7).
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_LONGEST = timedelta(days=366 * 4)


def next_match(recurrence: str, after: datetime, time_zone: str) -> datetime | None:
    """Return the first minute after `after` that a cron expression matches."""
    minutes, hours, days, months, weekdays = parse(recurrence)
    any_day = (recurrence.split()[2], recurrence.split()[4])
    moment = after.astimezone(ZoneInfo(time_zone)).replace(second=0, microsecond=0, tzinfo=None)
    end = moment + _LONGEST
    moment += timedelta(minutes=1)
    while moment < end:
        in_month, in_week = moment.day in days, moment.isoweekday() % 7 in weekdays
        # As cron has it: with both given, either will do.
        is_day = in_month or in_week if "*" not in any_day else in_month and in_week
        if moment.month not in months or not is_day:
            moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
        elif moment.hour not in hours:
            moment = moment.replace(minute=0) + timedelta(hours=1)
        elif moment.minute not in minutes:
            moment += timedelta(minutes=1)
        else:
            return moment.replace(tzinfo=ZoneInfo(time_zone)).astimezone(UTC)
    return None


def parse(recurrence: str) -> tuple[frozenset[int], ...]:
    """Return what each field of a cron expression matches.

    Raises:
        ValueError: It is none.
    """
    fields = recurrence.split()
    if len(fields) != len(_RANGES):
        raise ValueError(recurrence)
    parsed = [_field(text, bounds) for text, bounds in zip(fields, _RANGES, strict=True)]
    return (*parsed[:4], frozenset(day % 7 for day in parsed[4]))


def _field(text: str, bounds: tuple[int, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, every = part.partition("/")
        first, last = bounds
        if span != "*":
            begin, _, end = span.partition("-")
            first = int(begin)
            last = int(end) if end else (last if every else first)
        if not bounds[0] <= first <= last <= bounds[1]:
            raise ValueError(text)
        found.update(range(first, last + 1, int(every or 1)))
    return frozenset(found)
