# SPDX-License-Identifier: Apache-2.0
"""Give a fleet a new image: observe -> plan -> confirm -> apply -> watch -> verify, and undo what is bad.

`apply` writes its record, makes a version and begins a refresh (steps), watches it (watch, look, react) and
verifies what it has come to (verify); drive joins these, from whatever phase a killed run has left. controls
and undo work from another terminal; waves rolls several fleets.
"""

from __future__ import annotations

from orchestrator.domain.rollout.plan import RolloutPlan, RolloutTarget
from orchestrator.workflows.rollout.apply import apply
from orchestrator.workflows.rollout.confirm import confirm
from orchestrator.workflows.rollout.controls import abort, pause, promote, resume
from orchestrator.workflows.rollout.observe import observe
from orchestrator.workflows.rollout.patience import patient
from orchestrator.workflows.rollout.plan import make_plan
from orchestrator.workflows.rollout.records import history
from orchestrator.workflows.rollout.result import RolloutResult
from orchestrator.workflows.rollout.status import RolloutStatus, status
from orchestrator.workflows.rollout.undo import rollback
from orchestrator.workflows.rollout.world import ProgressSink, RolloutWorld

__all__ = [
    "ProgressSink",
    "RolloutPlan",
    "RolloutResult",
    "RolloutStatus",
    "RolloutTarget",
    "RolloutWorld",
    "abort",
    "apply",
    "confirm",
    "history",
    "observe_and_plan",
    "pause",
    "promote",
    "resume",
    "rollback",
    "status",
]


def observe_and_plan(world: RolloutWorld, target: RolloutTarget, *, optimise: bool = False) -> RolloutPlan:
    """Look at a fleet and plan its rollout. Reads only.

    Raises:
        ConfigError: The environment has no such fleet.
        Refused: The fleet has no group or no image, or another image is being rolled out.
    """
    world = patient(world)
    world.guard_account()
    return make_plan(world, observe(world, target), optimise=optimise)
