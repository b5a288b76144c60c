# SPDX-License-Identifier: Apache-2.0
"""Count a group's instances as its refresh sees them: from what has changed, not by reading all each time.

A tally is not saved: it is made anew from the group when there is none.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import IntEnum, auto

from sandbox.autoscaling import selection
from sandbox.autoscaling.group import Group, Settings
from sandbox.autoscaling.member import LAUNCHING, Lifecycle, Member, Power
from sandbox.autoscaling.refresh import preferences
from sandbox.autoscaling.refresh.record import Refresh


class Kind(IntEnum):
    """What an instance is to a refresh."""

    # To be replaced: in service, on its way there, protected and waited for, in standby and waited for or
    # ended.
    STALE = auto()
    COMING = auto()
    PROTECTED = auto()
    STANDBY = auto()
    DOOMED = auto()
    # As it shall be: counts once it is healthy and warm.
    FRESH = auto()
    UNREADY = auto()
    # In service, and left alone.
    IGNORED = auto()
    # Being ended by this refresh, before or after what takes its place was in service.
    LEAVING_FIRST = auto()
    LEAVING_LAST = auto()


LEAVING = (Kind.LEAVING_FIRST, Kind.LEAVING_LAST)


class Tally:
    """The instances of one group, sorted by what they are to its refresh."""

    def __init__(self, group: Group, refresh: Refresh, now: datetime) -> None:
        self._group = group
        self._refresh = refresh
        self._key = selection.key_of(group.settings.termination_policies, group.template, now)
        self._now = now
        self.settings: Settings = group.settings
        self.mark = refresh.mark
        self.followed = refresh.followed
        self.counts: Counter[Kind] = Counter()
        self._kinds: dict[str, Kind] = {}
        # Where those are that are to be replaced and in service.
        self.stale_zones: Counter[str] = Counter()
        self._stale: dict[str, str] = {}
        self._healthy: set[str] = set()
        self._warming: list[tuple[datetime, int, str]] = []
        self._queues: dict[str, list[tuple[selection.Key, str]]] = {}
        self._examples: dict[Kind, list[tuple[int, str]]] = {kind: [] for kind in Kind}
        # How often a new instance became healthy and warm.
        self.successes = 0
        for member in group.members.values():
            self._sort(member)
        # What was healthy already is no success of now.
        self.successes = 0

    @property
    def healthy(self) -> int:
        """How many instances serve, are healthy, and warm."""
        return len(self._healthy)

    @property
    def next_warm_at(self) -> datetime | None:
        """When the next instance in service is warm."""
        while self._warming and not self._is_warming(self._warming[0]):
            heapq.heappop(self._warming)
        return self._warming[0][0] if self._warming else None

    def warming_example(self) -> str:
        """Return an instance that is healthy and not warm yet."""
        return self._warming[0][2] if self.next_warm_at is not None else ""

    def example(self, kind: Kind) -> str:
        """Return the first instance of a kind."""
        heap = self._examples[kind]
        while heap and self._kinds.get(heap[0][1]) is not kind:
            heapq.heappop(heap)
        return heap[0][1] if heap else ""

    def see(self, instance_ids: Iterable[str], now: datetime) -> None:
        """Take in what has happened to instances, and which are warm by now."""
        self._now = now
        for instance_id in instance_ids:
            self._see(instance_id)
        while self._warming and self._warming[0][0] <= now:
            self._see(heapq.heappop(self._warming)[2])

    def take(self) -> Member | None:
        """Return the instance to be replaced next.

        It comes from a zone that has the most instances, one that the group has left before all; then those
        that an earlier refresh has left alone, and then the termination policies decide.
        """
        zone = self._next_zone()
        return None if zone is None else self._group.members[self._queues[zone][0][1]]

    def all_of(self, *kinds: Kind) -> list[Member]:
        """Return the instances of some kinds, as they came; reads them all."""
        return [each for each in self._group.members.values() if self._kinds.get(each.instance_id) in kinds]

    def unhealthy_stale(self) -> list[Member]:
        """Return the instances to be replaced that are not healthy and warm, as they came; reads them all."""
        found = self.all_of(Kind.STALE, Kind.COMING, Kind.PROTECTED)
        return [each for each in found if each.instance_id not in self._healthy]

    def is_stale(self, member: Member) -> bool:
        """Whether an instance is not what the refresh makes."""
        if self._refresh.is_rollback:
            return member.made_by == self._refresh.refresh_id
        if not self._refresh.preferences.skips_matching:
            return member.made_by != self.mark
        wanted = self._group.template
        return member.template is None or (member.template.template_id, member.template.number) != (
            wanted.template_id,
            self.followed,
        )

    def _next_zone(self) -> str | None:
        best: tuple[tuple[bool, int], str] | None = None
        for zone, queue in self._queues.items():
            if not self._clean(queue):
                continue
            rank = (zone not in self.settings.zones, self._group.counted[zone])
            if best is None or rank > best[0] or (rank == best[0] and queue[0] < self._queues[best[1]][0]):
                best = (rank, zone)
        return None if best is None else best[1]

    def _see(self, instance_id: str) -> None:
        member = self._group.members.get(instance_id)
        if member is None:
            self._put(instance_id, None)
            self._healthy.discard(instance_id)
        else:
            self._sort(member)

    def _sort(self, member: Member) -> None:
        kind = self._kind(member)
        before = self._put(member.instance_id, kind)
        if kind is Kind.STALE:
            self._stale[member.instance_id] = member.zone
            self.stale_zones[member.zone] += 1
        if kind is not None and kind is not before:
            heapq.heappush(self._examples[kind], (member.number, member.instance_id))
            if kind is Kind.STALE:
                key = (float(member.made_by == self._refresh.earlier != ""), *self._key(member))
                heapq.heappush(self._queues.setdefault(member.zone, []), (key, member.instance_id))
            self.successes += kind is Kind.FRESH

    def _put(self, instance_id: str, kind: Kind | None) -> Kind | None:
        if zone := self._stale.pop(instance_id, ""):
            self.stale_zones[zone] -= 1
        before = self._kinds.pop(instance_id, None)
        if before is not None:
            self.counts[before] -= 1
        if kind is not None:
            self._kinds[instance_id] = kind
            self.counts[kind] += 1
        return before

    def _kind(self, member: Member) -> Kind | None:
        is_healthy = self._is_healthy(member)
        if is_healthy:
            self._healthy.add(member.instance_id)
        else:
            self._healthy.discard(member.instance_id)
        if member.is_counted:
            return self._counted(member, is_healthy=is_healthy)
        if member.state in (Lifecycle.STANDBY, Lifecycle.ENTERING_STANDBY):
            return self._standing_by(member)
        if member.ended_by == self.mark:
            return Kind.LEAVING_FIRST if member.is_ended_first else Kind.LEAVING_LAST
        return None

    def _counted(self, member: Member, *, is_healthy: bool) -> Kind:
        if not self.is_stale(member):
            return Kind.FRESH if is_healthy else Kind.UNREADY
        if member.state in LAUNCHING:
            return Kind.COMING
        if not member.is_protected:
            return Kind.STALE
        by_choice = {preferences.WAIT: Kind.PROTECTED, preferences.IGNORE: Kind.IGNORED}
        return by_choice.get(self._refresh.preferences.protected, Kind.STALE)

    def _standing_by(self, member: Member) -> Kind | None:
        if not self.is_stale(member):
            return None
        by_choice = {preferences.WAIT: Kind.STANDBY, preferences.TERMINATE: Kind.DOOMED}
        return by_choice.get(self._refresh.preferences.standby)

    def _is_healthy(self, member: Member) -> bool:
        """Whether an instance counts: in service, its first health check passed, and warm."""
        if not _passes(self._group, member):
            return False
        warm_at = self._warm_at(member)
        if warm_at <= self._now:
            return True
        heapq.heappush(self._warming, (warm_at, member.number, member.instance_id))
        return False

    def _warm_at(self, member: Member) -> datetime:
        began = member.in_service_at or member.launched_at
        return began + timedelta(seconds=warmup_s(self._refresh, self.settings))

    def _is_warming(self, entry: tuple[datetime, int, str]) -> bool:
        member = self._group.members.get(entry[2])
        return member is not None and _passes(self._group, member) and self._warm_at(member) == entry[0]

    def _clean(self, queue: list[tuple[selection.Key, str]]) -> bool:
        while queue and self._kinds.get(queue[0][1]) is not Kind.STALE:
            heapq.heappop(queue)
        return bool(queue)


def warmup_s(refresh: Refresh, settings: Settings) -> int:
    """Return how long an instance in service does not count yet."""
    given = (refresh.preferences.warmup_s, settings.warmup_s, settings.grace_s)
    return next(each for each in given if each is not None)


def _passes(group: Group, member: Member) -> bool:
    return (
        member.state is Lifecycle.IN_SERVICE
        and member.power is Power.RUNNING
        and not member.is_impaired
        and not member.unhealthy
        and member.instance_id not in group.unchecked
    )
