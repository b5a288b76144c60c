# SPDX-License-Identifier: Apache-2.0
"""What belongs to a fleet, by name: its group, its lock, its parameter and its records."""

from __future__ import annotations

from orchestrator.domain.rollout.plan import RolloutTarget

RECORDS = "records/rollout/"


def group_name(target: RolloutTarget) -> str:
    """Return the name of a fleet's Auto Scaling group, which the fleets' stack gives it."""
    return f"slipway-{target.environment}-{target.fleet}"


def lock_name(target: RolloutTarget) -> str:
    """Return the name of the lock of whoever changes a fleet."""
    return f"fleet/{target.environment}/{target.fleet}"


def pointer_name(target: RolloutTarget) -> str:
    """Return the name of the parameter that says which AMI a fleet runs."""
    return f"/slipway/{target.environment}/{target.fleet}/ami"


def record_key(fleet: str, rollout_id: str) -> str:
    """Return where the record of a rollout is kept in the config bucket; keys sort by time."""
    return f"{RECORDS}{fleet}/{rollout_id}.json"


def rollout_id(run_id: str) -> str:
    """Return the id of a rollout that a run begins, whichever command it is: ids sort by time.

    A run's id is `<verb>-<time>-<random>`.
    """
    return "-".join(("rollout", *run_id.rsplit("-", 2)[-2:]))


def command(verb: str, target: RolloutTarget, *more: str) -> str:
    """Return a command for a fleet, as an operator types it; `verb` is `rollout` or `rollout.status` ..."""
    return " ".join((f"invoke {verb} --environment {target.environment} --fleet {target.fleet}", *more))
