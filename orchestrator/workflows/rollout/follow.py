# SPDX-License-Identifier: Apache-2.0
"""Watch a rollout that another run carries out, or a refresh that is none of ours. Changes nothing."""

from __future__ import annotations

from contextlib import suppress

from orchestrator.domain.refresh import InstanceRefresh
from orchestrator.domain.rollout.decide import Ended, Ending
from orchestrator.domain.rollout.machines import versions_in_service
from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.domain.rollout.progress import Progress
from orchestrator.domain.rollout.record import Phase, RolloutRecord
from orchestrator.errors import RolledBack, Stranded
from orchestrator.ports import Reporter
from orchestrator.workflows.rollout import records
from orchestrator.workflows.rollout.look import Onlooker, time_limit_s
from orchestrator.workflows.rollout.names import command, group_name
from orchestrator.workflows.rollout.observe import holder
from orchestrator.workflows.rollout.react import Telling
from orchestrator.workflows.rollout.records import Kept
from orchestrator.workflows.rollout.result import RolloutResult
from orchestrator.workflows.rollout.steps import read_refresh
from orchestrator.workflows.rollout.watch import LONGEST_S, Terms, watch
from orchestrator.workflows.rollout.world import ProgressSink, RolloutWorld

_PAUSE_S = 3.0
# How often it is asked whether the run that guards still lives: somebody has to do it in its place.
_LIVENESS_S = 60.0


class _RunGone(Exception):
    """The run that carries the rollout out is gone while its refresh goes on."""


# A refresh runs, or its record has yet to say so: else there is nothing to look at but the record.
_REFRESHES = frozenset({Phase.REFRESHING, Phase.PROMOTING, Phase.ABORTING, Phase.ROLLING_BACK})


def follow_live(
    world: RolloutWorld, target: RolloutTarget, kept: Kept, reporter: Reporter, show: ProgressSink
) -> Kept:
    """Watch a rollout while the run that carries it out lives; return its record when either is over."""
    watched: set[str] = set()
    while not kept.record.phase.is_over and is_live(world, target):
        record = kept.record
        if record.phase in _REFRESHES and record.refresh_id and record.refresh_id not in watched:
            watched.add(record.refresh_id)
            live_show = _while_live(world, target, show)
            with suppress(_RunGone):
                _watch(world, target, read_refresh(world, record), record, reporter=reporter, show=live_show)
        else:
            world.clock.sleep(_PAUSE_S)
        kept = records.reread(world, kept)
    return kept


def is_live(world: RolloutWorld, target: RolloutTarget) -> bool:
    """Tell whether a run holds the fleet's lock."""
    return holder(world, target) is not None


def _while_live(world: RolloutWorld, target: RolloutTarget, show: ProgressSink) -> ProgressSink:
    """Return a view that ends with the run that carries the rollout out."""
    asked_s = world.clock.monotonic_s()

    def show_and_ask(progress: Progress) -> None:
        nonlocal asked_s
        show(progress)
        if world.clock.monotonic_s() - asked_s < _LIVENESS_S:
            return
        asked_s = world.clock.monotonic_s()
        world.clock.sleep(_PAUSE_S)  # a look of its own
        if not is_live(world, target):
            raise _RunGone

    return show_and_ask


def follow_foreign(
    world: RolloutWorld, target: RolloutTarget, reporter: Reporter, show: ProgressSink
) -> RolloutResult:
    """Watch a refresh that no rollout of ours has begun, and return what it came to.

    Raises:
        RolledBack: It was taken back.
        Stranded: It failed or was cancelled.
    """
    name = group_name(target)
    seen = world.fleets.refreshes(name)
    if not seen:
        return RolloutResult(target, None, is_changed=False, says=("no refresh is under way",))
    ended, last = _watch(world, target, seen[0], None, reporter=reporter, show=show)
    refresh = last.refresh
    what = f"refresh {refresh.refresh_id} of {target.name}, which no rollout of ours began"
    if ended.ending is Ending.SUCCEEDED:
        says = f"{what}, has succeeded; the fleet's parameter was not written"
        return RolloutResult(target, None, is_changed=False, says=(says,))
    group = world.fleets.group(name)
    kind = RolledBack if ended.ending is Ending.TAKEN_BACK else Stranded
    raise kind(
        what,
        f"{refresh.status}: {ended.why}",
        state=f"in service: {versions_in_service(group)}",
        next_command=command("rollout", target),
    )


def _watch(
    world: RolloutWorld,
    target: RolloutTarget,
    refresh: InstanceRefresh,
    record: RolloutRecord | None,
    *,
    reporter: Reporter,
    show: ProgressSink,
) -> tuple[Ended, Progress]:
    onlooker = Onlooker(world, target, refresh, record=record, pause_of=lambda: _pause_of(world, record))
    terms = Terms(
        what=f"refresh {refresh.refresh_id} of {target.name}",
        limit_s=time_limit_s(record.predicted_s) if record else LONGEST_S,
        max_failures=0,
        next_command=command("rollout.status", target),
    )
    return watch(world, onlooker, terms, Telling(reporter, target.name), show)


def _pause_of(world: RolloutWorld, record: RolloutRecord | None) -> str:
    kept = records.latest(world, record.fleet) if record else None
    pause = kept.record.pause if kept else None
    return f"by {pause.by} since {pause.at:%H:%M:%S} UTC" if pause else ""
