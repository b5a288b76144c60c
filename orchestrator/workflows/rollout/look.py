# SPDX-License-Identifier: Apache-2.0
"""Look at a refresh: three calls at any size of the fleet, and what they show together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from orchestrator.domain.fleet import FleetGroup, ScalingActivity, TargetHealth
from orchestrator.domain.forecast.course import Spread
from orchestrator.domain.refresh import InstanceRefresh
from orchestrator.domain.rollout.decide import checkpoint_reached, percentage_new
from orchestrator.domain.rollout.guard import Guard, Look
from orchestrator.domain.rollout.machines import zones_progress
from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.domain.rollout.progress import CheckpointClock, MachineFailure, Progress
from orchestrator.domain.rollout.record import Happened, RolloutRecord
from orchestrator.workflows.rollout.run import INSTANCE_REFRESH
from orchestrator.workflows.rollout.world import RolloutWorld

_SHOWN_ACTIVITIES = 10
_DEFAULT_CHECKPOINT_DELAY_S = 3600  # AWS's own


class Onlooker:
    """Looks at one refresh. What was seen before counts: the guard's failures, the checkpoint's clock."""

    def __init__(
        self,
        world: RolloutWorld,
        target: RolloutTarget,
        refresh: InstanceRefresh,
        *,
        record: RolloutRecord | None,
        pause_of: Callable[[], str] = lambda: "",
    ) -> None:
        """Begin to look.

        Args:
            record: The rollout that began the refresh, None when it is none of ours.
            pause_of: Says who paused it and since when; asked when the group is found to be suspended.
        """
        self._world, self._target, self._record, self._pause_of = world, target, record, pause_of
        self._refresh_id, self._group_name = refresh.refresh_id, refresh.group
        self._begun_at = _begun_at(record) or refresh.started_at or world.clock.now()
        self._guard = Guard(
            refresh.template_id,
            refresh.version or 0,
            since=refresh.started_at or world.clock.now(),
            known=record.failures if record else (),
        )
        self._turn = 0
        self._activities: tuple[ScalingActivity, ...] = ()
        self._targets: dict[str, tuple[TargetHealth, ...]] = {}
        self._checkpoint: CheckpointClock | None = None
        self._paused = ""
        self.fresh: tuple[MachineFailure, ...] = ()

    @property
    def failures(self) -> tuple[MachineFailure, ...]:
        """Return all failures of new machines so far."""
        return tuple(self._guard.failures)

    def look(self) -> Progress:
        """Look, and note in `fresh` which failures are new.

        Raises:
            AwsError: A call failed; the next look may find out.
        """
        self.fresh = ()
        world = self._world
        refresh = world.fleets.refresh(self._group_name, self._refresh_id)
        group = world.fleets.group(self._group_name)
        activities, targets = self._read_third(group)
        now = world.clock.now()
        # Without a desired configuration of a number, new machines can't be told from old ones.
        if refresh.version is not None and not refresh.status.is_rolling_back:
            self.fresh = self._guard.take(Look(now, group, activities, targets))
        return self._progress(now, refresh, group)

    def _read_third(
        self, group: FleetGroup
    ) -> tuple[tuple[ScalingActivity, ...] | None, tuple[TargetHealth, ...] | None]:
        """Read what is due: who paused it, else the activities and each target group's health in turn."""
        if self._is_pause_news(group):
            self._paused = self._pause_of() or f"by {group.suspended[INSTANCE_REFRESH]}"
            return None, None
        self._turn += 1
        sources = 1 + len(group.target_group_arns)
        place = self._turn % sources if sources > 1 else 0
        if place == 0:
            self._activities = self._world.fleets.activities(self._group_name)
            return self._activities, None
        arn = group.target_group_arns[place - 1]
        self._targets[arn] = self._world.targets.health(arn)
        return None, self._targets[arn]

    def _is_pause_news(self, group: FleetGroup) -> bool:
        if INSTANCE_REFRESH in group.suspended:
            return not self._paused
        self._paused = ""
        return False

    def _progress(self, now: datetime, refresh: InstanceRefresh, group: FleetGroup) -> Progress:
        record = self._record
        return Progress(
            target=self._target.name,
            at=now,
            begun_at=self._begun_at,
            refresh=refresh,
            desired=group.desired_capacity,
            zones=zones_progress(group, refresh.template_id, refresh.version or 0),
            targets=_states(self._targets.values()),
            checkpoint=self._clock_at(now, refresh, group),
            predicted_s=record.predicted_s if record else None,
            activities=self._activities[:_SHOWN_ACTIVITIES],
            failures=self.failures,
            max_failures=record.max_failures if record else 0,
            paused=self._paused,
            takes_back=record.takes_back if record else "",
        )

    def _clock_at(self, now: datetime, refresh: InstanceRefresh, group: FleetGroup) -> CheckpointClock | None:
        has_head_start = bool(self._record and self._record.passed_checkpoint)
        is_new = percentage_new(refresh, group, has_head_start=has_head_start)
        percentage, delay_s = checkpoint_reached(refresh, is_new), refresh.preferences.checkpoint_delay_s
        if percentage and (self._checkpoint is None or self._checkpoint.percentage != percentage):
            reached_at = _noted_at(self._record, percentage) or now
            delay = timedelta(seconds=_DEFAULT_CHECKPOINT_DELAY_S if delay_s is None else delay_s)
            self._checkpoint = CheckpointClock(percentage, reached_at, reached_at + delay)
        clock = self._checkpoint
        return clock if clock and percentage and now < clock.ends_at else None


def checkpoint_words(percentage: int) -> str:
    """Return how a record and a message name a checkpoint."""
    return f"checkpoint {percentage} %"


def _states(seen: Iterable[tuple[TargetHealth, ...]]) -> dict[str, int]:
    return dict(sorted(Counter(each.state for targets in seen for each in targets).items()))


def _begun_at(record: RolloutRecord | None) -> datetime | None:
    notes = record.notes if record else ()
    return next((each.at for each in notes if each.what == Happened.REFRESH), None)


def _noted_at(record: RolloutRecord | None, percentage: int) -> datetime | None:
    notes = [each for each in record.notes if each.what == Happened.CHECKPOINT] if record else []
    words = checkpoint_words(percentage)
    return next((each.at for each in notes if each.says.startswith(words)), None)


def time_limit_s(predicted: Spread) -> float:
    """Return after how long a refresh has gone wrong: twice the forecast, and AWS's hour of retries."""
    return 2 * predicted.high + 3600 + 600
