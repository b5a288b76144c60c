# SPDX-License-Identifier: Apache-2.0
"""Roll several fleets, environment by environment, with one image of a class all the way.

What has the image already takes no time, so a run goes on where the one before it stopped: its records say
what is done, and how much of the time to settle has passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.domain.image import Image
from orchestrator.domain.rollout.plan import RolloutPlan, RolloutTarget
from orchestrator.domain.rollout.record import RolloutRecord
from orchestrator.errors import Refused, SlipwayError
from orchestrator.ports import Reporter
from orchestrator.workflows.rollout.apply import apply
from orchestrator.workflows.rollout.confirm import confirm
from orchestrator.workflows.rollout.observe import observe
from orchestrator.workflows.rollout.patience import patient
from orchestrator.workflows.rollout.plan import make_plan
from orchestrator.workflows.rollout.result import RolloutResult
from orchestrator.workflows.rollout.world import ProgressSink, RolloutWorld

_PAUSE_S = 20.0


@dataclass(frozen=True, slots=True)
class Leg:
    """One fleet of the way, and the image that it gets."""

    world: RolloutWorld
    target: RolloutTarget

    @property
    def settle(self) -> timedelta:
        """Return how long nothing else is begun after it."""
        return timedelta(seconds=self.world.environment.waves.settle_s)


@dataclass(frozen=True, slots=True)
class WavesResult:
    """What became of all fleets, in their order."""

    results: tuple[RolloutResult, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the result for `--json`."""
        return {"fleets": [each.as_dict() for each in self.results]}

    def lines(self) -> tuple[str, ...]:
        """Return the result as an operator reads it."""
        return tuple(line for each in self.results for line in each.lines())


def way(worlds: Sequence[RolloutWorld], *, ami_id: str = "") -> tuple[Leg, ...]:
    """Return all fleets of some environments in the order of the data, with one image for each class.

    Args:
        ami_id: The image of all of them; else it is each class's newest published one where the way begins.

    Raises:
        Refused: A class has no published image, or an environment on the way does not have that of the first.
    """
    chosen: dict[str, str] = {}
    legs: list[Leg] = []
    problems: list[str] = []
    for world in map(patient, worlds):
        world.guard_account()
        images = _published(world)
        for name, fleet in world.environment.fleets.items():
            of_class = images.get(fleet.server_class, ())
            newest = of_class[0].ami_id if of_class else ""
            wanted = chosen.setdefault(fleet.server_class, ami_id or newest)
            if not wanted or wanted not in {each.ami_id for each in of_class}:
                lacks = f"class {fleet.server_class} has no published {wanted or 'image'}"
                problems.append(f"{world.environment.name}: {lacks}")
            legs.append(Leg(world, RolloutTarget(world.environment.name, name, wanted, is_chosen=not ami_id)))
    if problems:
        next_command = f"invoke bake-ami --environment {worlds[0].environment.name}"
        raise Refused(_title(worlds), "; ".join(dict.fromkeys(problems)), next_command=next_command)
    return tuple(legs)


def plans(legs: Sequence[Leg]) -> Iterator[RolloutPlan]:
    """Give the plan of each leg as things are now; nothing is changed."""
    for leg in legs:
        yield _plan(leg)


def roll(
    legs: Sequence[Leg],
    reporter: Reporter,
    show: ProgressSink,
    *,
    is_confirmed: bool,
    announce: Callable[[RolloutPlan], None],
) -> WavesResult:
    """Roll fleet by fleet, each after the one before has settled; stop at the first that fails.

    Args:
        announce: Called with each plan before it is carried out.

    Raises:
        Refused: An environment on the way is protected, and nobody has confirmed; nothing was changed.
        SlipwayError: Of the first fleet that failed; says what is done and what was not begun.
    """
    _refuse_unconfirmed(legs, is_confirmed=is_confirmed)
    results: list[RolloutResult] = []
    for place, leg in enumerate(legs):
        try:
            results.append(_roll_one(leg, reporter, show, is_confirmed=is_confirmed, announce=announce))
        except SlipwayError as error:
            error.state = "; ".join(each for each in (error.state, _how_far(legs, place)) if each)
            raise
        if legs[place + 1 :]:
            _settle(leg, results[-1].record, reporter)
    return WavesResult(tuple(results))


def _roll_one(
    leg: Leg,
    reporter: Reporter,
    show: ProgressSink,
    *,
    is_confirmed: bool,
    announce: Callable[[RolloutPlan], None],
) -> RolloutResult:
    plan = _plan(leg)
    if plan.image.new_ami_id != leg.target.ami_id:
        said = f"it would get {plan.image.new_ami_id}, not {leg.target.ami_id} as the others"
        raise Refused(f"rollout of {leg.target.name}", said)
    announce(plan)
    confirm(leg.world, plan, is_confirmed=is_confirmed)
    return apply(leg.world, plan, reporter, show)


def _plan(leg: Leg) -> RolloutPlan:
    return make_plan(leg.world, observe(leg.world, leg.target))


def _settle(leg: Leg, record: RolloutRecord | None, reporter: Reporter) -> None:
    """Wait until a fleet has had its time since its rollout ended, also if that was another run's."""
    clock = leg.world.clock
    ended_at = record.ended_at if record and record.new_ami_id == leg.target.ami_id else None
    if ended_at is None:
        return
    left_s = (ended_at + leg.settle - clock.now()).total_seconds()
    if left_s > 0:
        reporter.step(leg.target.name, f"settles for {left_s:.0f} s")
    until_s = clock.monotonic_s() + left_s
    while (left_s := until_s - clock.monotonic_s()) > 0:
        clock.sleep(min(left_s, _PAUSE_S))


def _refuse_unconfirmed(legs: Sequence[Leg], *, is_confirmed: bool) -> None:
    protected = dict.fromkeys(
        leg.world.environment.name for leg in legs if leg.world.environment.protected and not is_confirmed
    )
    if protected:
        raise Refused(
            _title([leg.world for leg in legs]),
            f"{', '.join(protected)}: protected",
            next_command="the same with --dry-run, then the same with --yes",
        )


def _published(world: RolloutWorld) -> Mapping[str, tuple[Image, ...]]:
    """Return the published images of the classes of an environment's fleets, newest first."""
    classes = tuple(dict.fromkeys(fleet.server_class for fleet in world.environment.fleets.values()))
    seen = [each for each in world.images.by_class(classes) if each.is_published]
    return {name: tuple(each for each in seen if each.class_name == name) for name in classes}


def _how_far(legs: Sequence[Leg], place: int) -> str:
    done, left = legs[:place], legs[place + 1 :]
    told = (
        ("done", ", ".join(leg.target.name for leg in done)),
        ("not begun", ", ".join(leg.target.name for leg in left)),
    )
    return "; ".join(f"{what}: {names}" for what, names in told if names)


def _title(worlds: Sequence[RolloutWorld]) -> str:
    return f"rollout of {', '.join(dict.fromkeys(world.environment.name for world in worlds))}"
