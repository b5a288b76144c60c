# SPDX-License-Identifier: Apache-2.0
"""A group whose instances serve and are warm, to be refreshed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

import pytest

from sandbox.autoscaling.group import Group
from sandbox.autoscaling.member import Lifecycle, Member
from sandbox.autoscaling.refresh.preferences import Preferences
from sandbox.autoscaling.refresh.record import Refresh
from tests.unit.autoscaling_fleet import BOOT_S, Fleet

HOUR_S = 3600


@dataclass
class Story:
    """A fleet with one group, and what was seen of it as time passed.

    Attributes:
        seen: How many instances were in service, by the seconds since the refresh began.
        most: The most instances that there were at a time, on their way in or out, too.
    """

    fleet: Fleet
    group: Group
    refresh: Refresh | None = None
    begun_s: float = 0.0
    seen: dict[float, int] = field(default_factory=dict)
    most: int = 0

    def begin(self, preferences: Preferences | None = None, **options: object) -> Refresh:
        """Begin a refresh, and see what becomes of it at once."""
        self.refresh = self.fleet.refresh(preferences, **options)  # type: ignore[arg-type]
        self.begun_s = self.fleet.age.total_seconds()
        self.pass_time(0)
        return self.refresh

    def pass_time(self, seconds: float, *, step_s: float = 10.0) -> None:
        """Let time pass, looking at the group every few seconds."""
        left = float(seconds)
        while True:
            step = min(step_s, left)
            self.fleet.clock.advance(step)
            left -= step
            self.seen[self.age_s] = len(self.of_state(Lifecycle.IN_SERVICE))
            self.most = max(self.most, len(self.group.members))
            if left <= 0:
                return

    def run(self, limit_s: float = 20 * HOUR_S, *, step_s: float = 10.0) -> Refresh:
        """Let time pass until the refresh is over."""
        assert self.refresh is not None
        while self.refresh.is_active:
            assert self.age_s < limit_s, (self.refresh.status, self.refresh.reason)
            self.pass_time(step_s)
        return self.refresh

    @property
    def age_s(self) -> float:
        """How long the refresh goes on."""
        return self.fleet.age.total_seconds() - self.begun_s

    @property
    def versions(self) -> Counter[int]:
        """The versions of the instances that count."""
        return Counter(self.version(each) for each in self.group.members.values() if each.is_counted)

    @property
    def launches(self) -> list[tuple[float, int]]:
        """When instances were launched since the refresh began, and how many at once."""
        since: Counter[float] = Counter()
        for activity in self.fleet.state.activities["web"]:
            at = (activity.started_at - self.fleet.clock.now()) / timedelta(seconds=1) + self.age_s
            if activity.description.startswith("Launching") and at >= 0:
                since[at] += 1
        return sorted(since.items())

    @property
    def gaps(self) -> list[float]:
        """The times between launches."""
        return [later - earlier for (earlier, _), (later, _) in pairwise(self.launches)]

    def of_state(self, state: Lifecycle) -> list[Member]:
        """Return the instances in a state."""
        return self.group.in_state(state)

    def version(self, member: Member) -> int:
        """Return the version that an instance is of."""
        assert member.template is not None
        return member.template.number


class Stories:
    """Makes groups that serve and are warm."""

    def of(self, size: int, *, fleet: Fleet | None = None, **options: object) -> Story:
        """Return a group of a size, an hour old."""
        fleet = fleet or Fleet()
        group = fleet.group(size, **options)  # type: ignore[arg-type]
        fleet.clock.advance(BOOT_S)
        fleet.clock.advance(HOUR_S)
        assert len(group.in_state(Lifecycle.IN_SERVICE)) == size
        return Story(fleet, group)


@pytest.fixture
def stories() -> Iterator[Stories]:
    """Return what makes groups."""
    yield Stories()
