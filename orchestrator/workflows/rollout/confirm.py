# SPDX-License-Identifier: Apache-2.0
"""Refuse what can't go well, and what must not be done without having been confirmed."""

from __future__ import annotations

from orchestrator.domain.rollout.plan import Action, RolloutPlan
from orchestrator.errors import Refused
from orchestrator.workflows.rollout.names import command
from orchestrator.workflows.rollout.world import RolloutWorld


def confirm(world: RolloutWorld, plan: RolloutPlan, *, is_confirmed: bool) -> None:
    """Refuse a plan that must not be carried out.

    Raises:
        Refused: Checks have found errors, all of which it lists; or the environment is protected, and nobody
            has confirmed.
    """
    what = f"rollout of {plan.target.name} to {plan.image.new_ami_id}"
    ami = ("--ami", plan.target.ami_id) if plan.target.ami_id else ()
    if plan.errors:
        lines = "".join(f"\n  | {each.line()}" for each in plan.errors)
        count = f"{len(plan.errors)} check{'s' if len(plan.errors) > 1 else ''} failed"
        again = command("rollout", plan.target, *ami, "--dry-run")
        raise Refused(what, f"{count}{lines}", next_command=f"do what they advise, then {again}")
    if world.environment.protected and plan.action is not Action.NOTHING and not is_confirmed:
        raise Refused(
            what,
            f"environment {world.environment.name} is protected",
            next_command=f"{command('rollout', plan.target, *ami, '--dry-run')}, then the same with --yes",
        )
