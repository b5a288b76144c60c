# SPDX-License-Identifier: Apache-2.0
"""Roll a fleet to its next image under load, and then to a bad one, which is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from orchestrator.clock import wait_until
from orchestrator.domain.rollout.plan import Action, RolloutTarget
from orchestrator.domain.rollout.progress import Progress
from orchestrator.domain.rollout.record import Phase, RolloutRecord
from orchestrator.errors import RolledBack, Stranded
from orchestrator.ports import Load, LoadReport, LoadRequest, Reporter, RunningLoad
from orchestrator.workflows import rollout
from orchestrator.workflows.demo.images import Variants
from orchestrator.workflows.rollout.render import plan_lines
from orchestrator.workflows.world import new_run_id

FLEET = "api"
NEXT, BROKEN = "next", "broken"
PER_SECOND = 60.0
LEAST_REQUESTS = 2000
# Ten seconds of requests: where there is no terminal, each telling is a line.
TOLD_EVERY = 600
_LIMIT_S = 1800.0
_PATIENCE = timedelta(minutes=3)
_PERCENT = 100
_SHORT = 12  # characters of an image's name that tell it from another


@dataclass(frozen=True, slots=True)
class RolloutDemo:
    """What rollouts are shown with: the fleet's world, a view, and the page that is loaded meanwhile."""

    world: rollout.RolloutWorld
    load: Load
    show: rollout.ProgressSink
    addresses: tuple[str, ...]
    host: str


@dataclass(frozen=True, slots=True)
class Rolled:
    """What became of one image. `report` is None where nothing had to be done."""

    variant: str
    ami_id: str
    phase: Phase | None
    took_s: float | None = None
    report: LoadReport | None = None

    def as_dict(self) -> dict[str, object]:
        """Return it for `--json`."""
        report = self.report
        load = {"requests": report.requests, "failed": report.failed} if report else None
        return {
            "variant": self.variant,
            "ami_id": self.ami_id,
            "phase": self.phase.value if self.phase else None,
            "took_s": self.took_s,
            "load": load and {**load, "slowest_s": report.slowest_s if report else 0.0},
        }

    def line(self) -> str:
        """Return it as an operator reads it."""
        if self.report is None:
            return f"the {self.variant} image {self.ami_id} was rolled out by an earlier demo"
        verb = "was rolled out" if self.phase is Phase.SUCCEEDED else "was taken back"
        took = f" in {self.took_s:.0f} s" if self.took_s else ""
        return f"the {self.variant} image {verb}{took}: {load_text(self.report)}"


def variants_wanted(demo: RolloutDemo) -> tuple[str, ...]:
    """Return what to bake: a bad image that was taken back once need not be shown again."""
    return (NEXT,) if _is_taken_back(demo) else (NEXT, BROKEN)


def _is_taken_back(demo: RolloutDemo) -> bool:
    return any(each.phase is Phase.ROLLED_BACK for each in rollout.history(demo.world, FLEET))


def roll_both(demo: RolloutDemo, variants: Variants, reporter: Reporter) -> tuple[Rolled, ...]:
    """Roll the fleet to the next image, and to a bad one; what an earlier demo has shown stays as it is.

    Raises:
        Stranded: A request failed, or the bad image was not taken back.
        RolledBack: The next image was taken back.
    """
    _finish(demo, reporter)
    rolled = [_roll_next(demo, variants.ami_id(NEXT), reporter)]
    if not _is_taken_back(demo):
        rolled.append(_roll_broken(demo, variants.ami_id(BROKEN), reporter))
    variants.remove(BROKEN)
    return tuple(rolled)


def _finish(demo: RolloutDemo, reporter: Reporter) -> None:
    """Go on with what a killed demo has begun, and leave it to the others what that comes to."""
    past = rollout.history(demo.world, FLEET)
    if past and not past[0].phase.is_over:
        reporter.note(f"demo: going on with {past[0].rollout_id}")
        try:
            _roll(demo, past[0].new_ami_id, reporter)
        except RolledBack as error:
            reporter.note(str(error))


def _roll_next(demo: RolloutDemo, ami_id: str, reporter: Reporter) -> Rolled:
    done = [each for each in rollout.history(demo.world, FLEET) if each.new_ami_id == ami_id]
    if any(each.phase is Phase.SUCCEEDED for each in done):
        return Rolled(NEXT, ami_id, Phase.SUCCEEDED)
    with _under_load(demo, NEXT, reporter) as (loaded, load):
        _roll(loaded, ami_id, reporter)
    return _rolled(demo, NEXT, ami_id, load.report())


def _roll_broken(demo: RolloutDemo, ami_id: str, reporter: Reporter) -> Rolled:
    with _under_load(demo, BROKEN, reporter) as (loaded, load):
        try:
            _roll(loaded, ami_id, reporter)
        except RolledBack as error:
            reporter.note(str(error))
        else:
            raise Stranded(f"rollout of {FLEET} to {ami_id}", "nobody noticed that the image is bad")
    return _rolled(demo, BROKEN, ami_id, load.report())


def _roll(demo: RolloutDemo, ami_id: str, reporter: Reporter) -> None:
    # A rollout is called by the run that begins it, and this command begins several.
    world = replace(demo.world, run_id=new_run_id("rollout", demo.world.clock))
    plan = rollout.observe_and_plan(world, RolloutTarget(world.environment.name, FLEET, ami_id))
    if plan.action is not Action.NOTHING:
        reporter.note("\n".join(("", *plan_lines(plan), "")))
    rollout.confirm(world, plan, is_confirmed=False)
    rollout.apply(world, plan, reporter, demo.show)


@contextmanager
def _under_load(
    demo: RolloutDemo, name: str, reporter: Reporter
) -> Iterator[tuple[RolloutDemo, RunningLoad]]:
    """Ask for the page for the block and some requests longer, and show beside each look what came of it."""
    row = f"load on the {name} image"
    request = LoadRequest(demo.addresses, demo.host, "/health", PER_SECOND, _LIMIT_S)
    with demo.load.on(request) as load:
        told = 0

        def look(progress: Progress) -> None:
            nonlocal told
            demo.show(progress)
            report = load.report()
            if report.failed or report.requests - told >= TOLD_EVERY:
                told = report.requests
                reporter.step(row, load_text(report))

        yield replace(demo, show=look), load
        wait_until(
            load.report,
            lambda report: report.requests >= LEAST_REQUESTS,
            clock=demo.world.clock,
            timeout=_PATIENCE,
            what=f"{LEAST_REQUESTS} requests",
        )
    report = load.report()
    if report.failed:
        reporter.failed(row, load_text(report))
        raise Stranded(
            f"load on https://{demo.host}/health",
            "\n".join((load_text(report), *(f"  {each}" for each in report.examples))),
            next_command="invoke sandbox.logs",
        )
    reporter.done(row, load_text(report))


def _rolled(demo: RolloutDemo, name: str, ami_id: str, report: LoadReport) -> Rolled:
    record: RolloutRecord = rollout.history(demo.world, FLEET)[0]
    return Rolled(name, ami_id, record.phase, record.actual_s, report)


def load_text(report: LoadReport) -> str:
    """Return what came of a load in a line: `5,880 requests, 0 failed, slowest 0.021 s`."""
    total = sum(report.images.values())
    shares = (
        f"{_PERCENT * count / total:.0f} % by {name[:_SHORT]}"
        for name, count in sorted(report.images.items())
    )
    by_image = f"; {', '.join(shares)}" if len(report.images) > 1 else ""
    return (
        f"{report.requests:,} requests, {report.failed:,} failed, slowest {report.slowest_s:.3f} s{by_image}"
    )
