# SPDX-License-Identifier: Apache-2.0
"""The steps of a rollout that change something. Each can be made again by a run that follows a killed one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from orchestrator.domain.refresh import InstanceRefresh, RefreshPreferences, RefreshRequest, RefreshStatus
from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.domain.rollout.record import Happened, Note, Phase, RolloutRecord
from orchestrator.errors import AwsError, Refused
from orchestrator.workflows.rollout import records
from orchestrator.workflows.rollout.names import command, pointer_name
from orchestrator.workflows.rollout.patience import LIMIT, is_passing
from orchestrator.workflows.rollout.records import Kept
from orchestrator.workflows.rollout.run import Run
from orchestrator.workflows.rollout.world import RolloutWorld

IN_PROGRESS, NONE_ACTIVE = "InstanceRefreshInProgress", "ActiveInstanceRefreshNotFound"
IRREVERSIBLE = "IrreversibleInstanceRefresh"
_RACES = 3
_PAUSE_S = 2.0
_LOOKED_BACK = 20


def make_version(run: Run) -> None:
    """Make the launch template's new version from the group's own; the group is not touched."""
    run.check()
    record = run.record
    number = run.world.templates.create_version(
        record.template_id,
        source=record.old_version,
        ami_id=record.new_ami_id,
        description=f"slipway {record.rollout_id}",
        # A run that rolls several fleets gives all their rollouts the same id.
        token="-".join((record.rollout_id, record.environment, record.fleet)),
    )
    says = f"version {number} of {record.template_id}, with {record.new_ami_id}"
    run.note(Happened.VERSION, says, new_version=number, phase=Phase.VERSIONED)


def start_refresh(run: Run) -> None:
    """Begin the refresh, or find the one that a run before this has begun without being able to say so."""
    run.check()
    refresh_id = begin_refresh(run.world, run.record)
    note_refresh(run, refresh_id)


def note_refresh(run: Run, refresh_id: str) -> None:
    """Write down which refresh carries the rollout out."""
    ids = tuple(dict.fromkeys((*run.record.refresh_ids, refresh_id)))
    says = f"refresh {refresh_id} replaces {run.record.machines} machines"
    run.note(Happened.REFRESH, says, refresh_ids=ids, phase=Phase.REFRESHING)


def begin_refresh(world: RolloutWorld, record: RolloutRecord) -> str:
    """Return the id of a rollout's next refresh, which is begun if it does not run yet.

    StartInstanceRefresh takes no token: when its answer is lost, the group's refreshes tell what it did.

    Raises:
        Refused: Somebody else's refresh runs.
    """
    request = RefreshRequest(record.template_id, record.new_version or 0, preferences_left(record))
    clock, races = world.clock, 0
    deadline_s = clock.monotonic_s() + LIMIT.total_seconds()
    while True:
        if found := find_refresh(world, record):
            return found.refresh_id
        try:
            return world.fleets.start_refresh(record.group, request)
        except AwsError as error:
            races += error.code == IN_PROGRESS
            is_hopeless = error.code != IN_PROGRESS and not is_passing(error)
            if is_hopeless or clock.monotonic_s() > deadline_s:
                raise
            if races >= _RACES:
                raise _another_runs(record) from error
        clock.sleep(_PAUSE_S)


def _another_runs(record: RolloutRecord) -> Refused:
    return Refused(
        f"rollout of {record.environment}/{record.fleet}",
        f"a refresh of {record.group} runs that is not ours",
        state=f"{record.rollout_id} waits; the group is as it was",
        next_command=f"{_again(record)}, once that has ended",
    )


def _again(record: RolloutRecord) -> str:
    return command("rollout", RolloutTarget(record.environment, record.fleet))


def preferences_left(record: RolloutRecord) -> RefreshPreferences:
    """Return the preferences of a refresh begun now: checkpoints that were passed are left out."""
    checkpoints = record.checkpoints
    # A delay is only taken along with checkpoints, and one at 100 % is where nobody waits.
    if not [each for each in checkpoints if each < 100]:  # noqa: PLR2004 - percent
        return replace(record.preferences, checkpoint_percentages=(), checkpoint_delay_s=None)
    return replace(record.preferences, checkpoint_percentages=checkpoints)


def find_refresh(world: RolloutWorld, record: RolloutRecord) -> InstanceRefresh | None:
    """Return the refresh that a run has begun for the rollout and not written down, None if there is none."""
    known = {record.newest_refresh_before, *record.refresh_ids} - {""}
    for refresh in world.fleets.refreshes(record.group, limit=_LOOKED_BACK):
        if refresh.refresh_id in known:
            return None
        if (refresh.template_id, refresh.version) == (record.template_id, record.new_version):
            return refresh
    return None


def adopt_refresh(world: RolloutWorld, kept: Kept) -> Kept:
    """Write down the refresh that a killed run has begun, if there is one and none is written down."""
    record = kept.record
    found = find_refresh(world, record) if record.new_version and not record.refresh_ids else None
    if found is None:
        return kept
    note = Note(world.clock.now(), Happened.REFRESH, f"refresh {found.refresh_id} had been begun")
    ids = (found.refresh_id,)
    return records.change(world, kept, lambda each: records.noted(replace(each, refresh_ids=ids), note))


def read_refresh(world: RolloutWorld, record: RolloutRecord) -> InstanceRefresh:
    """Return the refresh that carries a rollout out."""
    return world.fleets.refresh(record.group, record.refresh_id)


def cancel(world: RolloutWorld, record: RolloutRecord) -> None:
    """Begin to cancel the refresh if it runs; what it has replaced stays."""
    refresh = read_refresh(world, record)
    if not refresh.status.is_active or refresh.status is RefreshStatus.CANCELLING:
        return
    _unless_over(world.fleets.cancel_refresh, record)


def take_back(world: RolloutWorld, record: RolloutRecord) -> None:
    """Begin to roll the refresh back if it runs; one that can't be is cancelled, so that it ends at least."""
    refresh = read_refresh(world, record)
    if not refresh.status.is_active or refresh.status.is_rolling_back:
        return
    try:
        _unless_over(world.fleets.rollback_refresh, record)
    except AwsError as error:
        if error.code != IRREVERSIBLE:
            raise
        cancel(world, record)


def point(run: Run) -> None:
    """Write the new image down as what the fleet runs, and launch it where no version is named."""
    world, record = run.world, run.record
    run.check()
    name = pointer_name(run.target)
    world.parameters.put(name, record.new_ami_id)
    world.templates.set_default(record.template_id, record.new_version or 0)
    says = f"{name} is {record.new_ami_id}, and version {record.new_version} the default"
    run.note(Happened.POINTER, says)


def _unless_over(call: Callable[[str], str], record: RolloutRecord) -> None:
    """Ask for the end of the group's refresh; that it has ended meanwhile is no error."""
    try:
        call(record.group)
    except AwsError as error:
        if error.code != NONE_ACTIVE:
            raise
