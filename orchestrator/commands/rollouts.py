# SPDX-License-Identifier: Apache-2.0
"""The commands about rollouts: from what was typed, by the workflow, to what is shown."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.commands.rollout_words import RolloutWords
from orchestrator.commands.stacks import Place
from orchestrator.config.loader import load_environment
from orchestrator.domain.rollout.plan import Action, RolloutTarget
from orchestrator.errors import AwsError, ConfigError, Refused

if TYPE_CHECKING:
    from orchestrator.config.models import Environment
    from orchestrator.console.rollout import LiveRollout, PlainRollout
    from orchestrator.domain.rollout.record import RolloutRecord
    from orchestrator.workflows.rollout.result import RolloutResult
    from orchestrator.workflows.rollout.world import RolloutWorld

    View = LiveRollout | PlainRollout
# Each is a call; one that is named is looked for among all.
_LATEST = 50

Show = Callable[[object, Sequence[str]], None]
Join = Callable[["Environment", str], "RolloutWorld"]


@dataclass(frozen=True, slots=True)
class Desk:
    """Where commands work: the project, the way into AWS, where results go, and what is seen meanwhile."""

    place: Place
    join: Join
    show: Show
    view: Callable[[str], View]


def choose(place: Place, words: RolloutWords, verb: str) -> tuple[Environment, RolloutTarget]:
    """Return the environment and the fleet that words name.

    Raises:
        ConfigError: The words contradict each other, or there is no such environment or fleet.
    """
    environment = load_environment(place.project, words.environment_name, endpoint_port=place.endpoint_port)
    words.check(verb, environment.fleets)
    if words.fleet not in environment.fleets:
        raise _no_fleet(environment, words, verb)
    return environment, RolloutTarget(environment.name, words.fleet, words.ami_id)


def _no_fleet(environment: Environment, words: RolloutWords, verb: str) -> ConfigError:
    path, known = f"environments/{environment.name}.yaml", sorted(environment.fleets)
    there_are = f"; there are {', '.join(known)}" if known else "; there are none"
    problem = f"{path}: fleets: there is no {words.fleet!r}{there_are}"
    again = f"invoke {verb} --environment {environment.name} --fleet {known[0]}" if known else ""
    return ConfigError(path, (problem,), next_command=again)


def rollout(desk: Desk, words: RolloutWords, *, is_dry_run: bool, is_confirmed: bool) -> None:
    """Plan, and unless it is a dry run carry the plan out and watch."""
    from orchestrator.workflows import rollout as workflow  # noqa: PLC0415
    from orchestrator.workflows.rollout.render import document, plan_lines  # noqa: PLC0415

    environment, target = choose(desk.place, words, "rollout")
    world = desk.join(environment, "rollout")
    plan = workflow.observe_and_plan(world, target, optimise=words.is_optimised)
    if is_dry_run:
        desk.show(document(plan), plan_lines(plan))
        return
    if plan.action is not Action.NOTHING:
        tell(plan_lines(plan))
    workflow.confirm(world, plan, is_confirmed=is_confirmed)
    with says_what_goes_on(target), desk.view("rollout") as view:
        result = workflow.apply(world, plan, view, view.show)
    desk.show(result.as_dict(), result.lines())


def status(desk: Desk, words: RolloutWords) -> None:
    """Show how a fleet is; without one, all of the environment in a line each."""
    from orchestrator.workflows.rollout.render_status import status_document, status_lines  # noqa: PLC0415
    from orchestrator.workflows.rollout.status import status as look  # noqa: PLC0415

    if not words.fleet:
        _overview(desk, words)
        return
    environment, target = choose(desk.place, words, "rollout.status")
    with advises(environment):
        found = look(desk.join(environment, "rollout.status"), target)
    desk.show(status_document(found), status_lines(found))


def _overview(desk: Desk, words: RolloutWords) -> None:
    from orchestrator.workflows.rollout.render_status import overview_line, status_document  # noqa: PLC0415
    from orchestrator.workflows.rollout.status import status as look  # noqa: PLC0415

    name, port = words.environment_name, desk.place.endpoint_port
    environment = load_environment(desk.place.project, name, endpoint_port=port)
    documents: list[object] = []
    lines: list[str] = []
    with advises(environment):
        world = desk.join(environment, "rollout.status")
        for fleet in world.environment.fleets:
            target = RolloutTarget(name, fleet)
            try:
                found = look(world, target)
            except Refused as refused:  # it has no group yet
                documents.append(refused.as_dict())
                lines.append(f"{target.name}: {refused.cause}")
                continue
            documents.append(status_document(found))
            lines.append(overview_line(found))
    desk.show({"fleets": documents}, lines)


def control(desk: Desk, words: RolloutWords, verb: str) -> None:
    """Pause, resume, promote, abort or take back a fleet's rollout, and show what came of it."""

    environment, target = choose(desk.place, words, f"rollout.{verb}")
    with advises(environment), says_what_goes_on(target), desk.view("rollout") as view:
        result = _act(verb, desk.join(environment, f"rollout.{verb}"), target, view)
    desk.show(result.as_dict(), result.lines())


def _act(verb: str, world: RolloutWorld, target: RolloutTarget, view: View) -> RolloutResult:
    from orchestrator.workflows.rollout import controls, undo  # noqa: PLC0415

    if verb == "pause":
        return controls.pause(world, target)
    if verb == "resume":
        return controls.resume(world, target)
    if verb == "rollback":
        return undo.rollback(world, target, view, view.show)
    act = controls.promote if verb == "promote" else controls.abort
    return act(world, target, view)


def history(desk: Desk, words: RolloutWords, *, svg: str, rollout_id: str) -> None:
    """Show a fleet's rollouts, and draw the newest of them, or the one that is named, into a file."""
    from orchestrator.workflows.rollout import records as kept  # noqa: PLC0415
    from orchestrator.workflows.rollout.render import document, history_lines  # noqa: PLC0415

    environment, target = choose(desk.place, words, "rollout.history")
    with advises(environment):
        found = kept.newest_first(desk.join(environment, "rollout.history"), target.fleet)
        records = tuple(itertools.islice(found, None if rollout_id else _LATEST))
    lines = list(history_lines(target.name, records))
    if svg:
        chosen = _record(target, records, rollout_id)
        _draw(chosen, svg)
        lines += ["", f"{chosen.rollout_id} is drawn in {svg}"]
    desk.show(document(records), lines)


def _record(target: RolloutTarget, records: Sequence[RolloutRecord], rollout_id: str) -> RolloutRecord:
    """Return the newest record, or the one of that id."""
    chosen = next((each for each in records if rollout_id in ("", each.rollout_id)), None)
    if chosen is None:
        words = f"--environment {target.environment} --fleet {target.fleet}"
        raise Refused(
            f"picture of a rollout of {target.name}",
            f"there is no rollout {rollout_id}" if rollout_id else "there was no rollout yet",
            next_command=f"invoke rollout.history {words}"
            if records
            else f"invoke rollout {words} --dry-run",
        )
    return chosen


def _draw(record: RolloutRecord, svg: str) -> None:
    from orchestrator.domain.rollout.timeline import draw  # noqa: PLC0415

    try:
        Path(svg).write_text(draw(record), "utf-8")
    except OSError as error:
        raise ConfigError("svg", (f"svg {svg}: {error.strerror}",)) from error


@contextmanager
def advises(environment: Environment) -> Iterator[None]:
    """Say what helps where an environment was never brought up: it has no bucket for records and locks."""
    try:
        yield
    except AwsError as error:
        if error.code == "NoSuchBucket" and not error.next_command:
            error.next_command = f"invoke provision --environment {environment.name}"
        raise


@contextmanager
def says_what_goes_on(target: RolloutTarget) -> Iterator[None]:
    """Say, when the command is stopped, what AWS goes on with, and the commands that matter then."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.args = (what_goes_on(target),)
        raise


def what_goes_on(target: RolloutTarget, again: str = "") -> str:
    """Return what an operator must know who stops watching.

    Args:
        again: What attaches again; else the command for the fleet.
    """
    from orchestrator.workflows.rollout.names import command  # noqa: PLC0415

    return (
        f"a refresh of {target.name} that has begun goes on in AWS, and nobody guards it now\n"
        f"next: {again or command('rollout', target)}, to attach to it again\n"
        f"  or: {command('rollout.rollback', target)}, to take it back"
    )


def tell(lines: Sequence[str]) -> None:
    """Show lines beside the result: on stderr."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))
