# SPDX-License-Identifier: Apache-2.0
"""Run a plan: levels in order, the classes of a level side by side; end well when stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from orchestrator.errors import SlipwayError
from orchestrator.ports import Reporter
from orchestrator.workflows.bake_ami.plan import Action, BakePlan, ClassPlan
from orchestrator.workflows.bake_ami.result import BakeResult, ClassResult, Fate
from orchestrator.workflows.world import World

# Bakes a class on the image with this id.
BakeClass = Callable[[ClassPlan, str], ClassResult]
Outcome = ClassResult | SlipwayError


def run_levels(world: World, plan: BakePlan, bake: BakeClass, reporter: Reporter) -> BakeResult:
    """Run all levels, then raise the first failure, if any."""
    results: dict[str, ClassResult] = {}
    failures: list[SlipwayError] = []
    with _pool(world) as pool:
        for level in plan.levels:
            begun: dict[Future[Outcome], str] = {}
            for each in level:
                ready = _settle(each, results)
                if ready:
                    results[each.name] = ready
                else:
                    begun[pool.submit(_attempt, bake, each, _foundation(each, results))] = each.name
            for name, outcome in _collect(begun).items():
                if isinstance(outcome, SlipwayError):
                    reporter.failed(name, type(outcome).__name__)
                    failures.append(outcome)
                    results[name] = ClassResult(name, Fate.FAILED)
                else:
                    results[name] = outcome
    result = BakeResult(world.run_id, {each.name: results[each.name] for each in plan.classes})
    for other in failures[1:]:
        reporter.note(str(other))
    if failures:
        raise _told_with_rest(failures[0], result)
    return result


def _settle(plan: ClassPlan, results: dict[str, ClassResult]) -> ClassResult | None:
    """Return the result of a class that needs no work, or can't be worked on."""
    if plan.action is Action.UP_TO_DATE and plan.published:
        return ClassResult(plan.name, Fate.UP_TO_DATE, plan.published.name, plan.published.ami_id)
    parent = results.get(plan.inputs.parent or "")
    if parent and not parent.ami_id:
        return ClassResult(plan.name, Fate.SKIPPED)
    return None


def _foundation(plan: ClassPlan, results: dict[str, ClassResult]) -> str:
    """Return the id of the image that the class stands on."""
    source = plan.inputs.source
    return source.ami_id if source else results[plan.inputs.parent or ""].ami_id


def _attempt(bake: BakeClass, plan: ClassPlan, foundation_ami_id: str) -> Outcome:
    try:
        return bake(plan, foundation_ami_id)
    except SlipwayError as error:
        return error


@contextmanager
def _pool(world: World) -> Iterator[ThreadPoolExecutor]:
    """Give threads; when the operator stops the command, let each bake clean up before going on unwinding."""
    with ThreadPoolExecutor(max_workers=world.environment.bake.max_parallel) as pool:
        try:
            yield pool
        except KeyboardInterrupt:
            world.clock.stop()
            world.programs.terminate_all()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _collect(begun: dict[Future[Outcome], str]) -> dict[str, Outcome]:
    """Wait for all, waking up so that a signal is heard at once."""
    waiting = set(begun)
    while waiting:
        _, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
    return {name: future.result() for future, name in begun.items()}


def _told_with_rest(failure: SlipwayError, result: BakeResult) -> SlipwayError:
    """Let the error say what became of all classes."""
    failure.state = "; ".join(result.lines())
    return failure
