# SPDX-License-Identifier: Apache-2.0
"""Go on past a checkpoint without waiting for its end.

AWS has no call for that: the refresh is cancelled, which waits for what it is replacing, and another one goes
on with the machines that are left. It skips those that are new, and stops only at checkpoints to come.
"""

from __future__ import annotations

from datetime import timedelta

from orchestrator.clock import wait_until
from orchestrator.domain.refresh import InstanceRefresh, RefreshStatus
from orchestrator.domain.rollout.record import Happened, Phase
from orchestrator.workflows.rollout.run import Run
from orchestrator.workflows.rollout.steps import begin_refresh, cancel, note_refresh, read_refresh

# Cancelling waits for machines that are being replaced: boot, hook and drain.
_LIMIT = timedelta(hours=2)
_PAUSE_S = 2.0


def continue_promotion(run: Run) -> None:
    """Do what is left to do of a promotion; two that do it at once do it once.

    Raises:
        WaitTimeout: The refresh is still being cancelled after two hours.
    """
    refresh = wait_until_over(run) if run.record.refresh_id else None
    run.reread()
    if run.record.phase is not Phase.PROMOTING:
        return  # somebody else was quicker
    if refresh and refresh.status is RefreshStatus.CANCELLED:
        note_refresh(run, begin_refresh(run.world, run.record))
    else:
        # It has ended by itself meanwhile, or is on its way back: there is nothing to promote.
        run.note(Happened.PROMOTED, "it had gone on by itself", phase=Phase.REFRESHING)


def wait_until_over(run: Run) -> InstanceRefresh:
    """Cancel the refresh and return how it ended."""
    cancel(run.world, run.record)
    return wait_until(
        lambda: read_refresh(run.world, run.record),
        lambda seen: not seen.status.is_active,
        clock=run.world.clock,
        timeout=_LIMIT,
        what=f"the end of refresh {run.record.refresh_id}",
        interval_s=_PAUSE_S,
    )
