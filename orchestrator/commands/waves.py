# SPDX-License-Identifier: Apache-2.0
"""`rollout` of several fleets: those of an environment, or of environment after environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.commands.rollout_words import RolloutWords
from orchestrator.commands.rollouts import Desk, what_goes_on
from orchestrator.commands.stacks import Place
from orchestrator.config.loader import load_environment
from orchestrator.config.waves import load_waves
from orchestrator.domain.rollout.plan import Action, RolloutPlan
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from orchestrator.config.models import Environment


def choose(place: Place, words: RolloutWords) -> tuple[Environment, ...]:
    """Return the environments on the way, in its order, with the fleets that are meant and no others.

    Raises:
        ConfigError: The words contradict each other, or name nothing.
    """
    if words.is_wave:
        found = load_waves(place.project, endpoint_port=place.endpoint_port)
    else:
        name = words.environment_name
        found = (load_environment(place.project, name, endpoint_port=place.endpoint_port),)
    words.check("rollout", {name for each in found for name in each.fleets})
    chosen = tuple(each for each in (_only(each, words.fleet) for each in found) if each.fleets)
    if not chosen:
        names = ", ".join(each.name for each in found)
        missing = f"no fleet {words.fleet!r}" if words.fleet else "no fleet"
        raise ConfigError("rollout", (f"rollout: {names}: there is {missing}",))
    return chosen


def _only(environment: Environment, fleet: str) -> Environment:
    if not fleet:
        return environment
    fleets = {name: each for name, each in environment.fleets.items() if name == fleet}
    return environment.model_copy(update={"fleets": fleets})


def rollout(desk: Desk, words: RolloutWords, *, is_dry_run: bool, is_confirmed: bool) -> None:
    """Plan all, and unless it is a dry run roll one after the other and watch."""
    from orchestrator.workflows.rollout import waves  # noqa: PLC0415

    worlds = [desk.join(each, "rollout") for each in choose(desk.place, words)]
    legs = waves.way(worlds, ami_id=words.ami_id)
    if is_dry_run:
        _show_plans(desk, tuple(waves.plans(legs)))
        return
    at = legs[0].target
    try:
        with desk.view("rollout") as view:

            def announce(plan: RolloutPlan) -> None:
                nonlocal at
                at = plan.target
                for line in _lines(plan) if plan.action is not Action.NOTHING else ():
                    view.note(line)

            result = waves.roll(legs, view, view.show, is_confirmed=is_confirmed, announce=announce)
    except KeyboardInterrupt as interrupt:
        interrupt.args = (what_goes_on(at, words.typed("rollout")),)
        raise
    desk.show(result.as_dict(), result.lines())


def _show_plans(desk: Desk, plans: Sequence[RolloutPlan]) -> None:
    from orchestrator.workflows.rollout.render import document  # noqa: PLC0415

    lines = [line for plan in plans for line in (*_lines(plan), "")]
    desk.show({"plans": document(plans)}, lines[:-1])


def _lines(plan: RolloutPlan) -> Sequence[str]:
    from orchestrator.workflows.rollout.render import plan_lines  # noqa: PLC0415

    return plan_lines(plan)
