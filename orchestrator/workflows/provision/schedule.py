# SPDX-License-Identifier: Apache-2.0
"""Work on stacks in the order of their dependencies, independent ones side by side; end well when stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field

from orchestrator.errors import SlipwayError
from orchestrator.ports import Reporter
from orchestrator.workflows.provision.result import Fate, StackResult, by_fate
from orchestrator.workflows.provision.world import ProvisionWorld, workers

_TURN_S = 1.0  # how soon a signal is heard

Work = Callable[[str], StackResult]
Outcome = StackResult | SlipwayError


@dataclass
class _Progress:
    waiting: dict[str, frozenset[str]]
    begun: set[str] = field(default_factory=set)  # noted before it begins: a signal comes at any moment
    running: dict[Future[Outcome], str] = field(default_factory=dict)
    results: dict[str, StackResult] = field(default_factory=dict)
    failures: list[SlipwayError] = field(default_factory=list)

    def ready(self) -> list[str]:
        """Return what can begin: after a failure nothing, as somebody has to look at that first."""
        if self.failures:
            return []
        return [name for name, before in self.waiting.items() if before <= self.results.keys()]


def run_in_order(
    world: ProvisionWorld,
    depends_on: Mapping[str, Iterable[str]],
    work: Work,
    *,
    on_result: Callable[[StackResult], None],
    reporter: Reporter,
) -> tuple[StackResult, ...]:
    """Do the work of every stack after that of those it depends on; return the results in the order given.

    What runs when one fails is followed to its end; nothing new is begun.

    Args:
        on_result: Called in the caller's thread after each stack, before those that depend on it begin.

    Raises:
        SlipwayError: The first failure; its state says what became of all.
        KeyboardInterrupt: The operator stopped the command; says what goes on without it.
    """
    known = frozenset(depends_on)
    progress = _Progress({name: known & frozenset(before) for name, before in depends_on.items()})
    try:
        with workers(world) as pool:
            while True:
                for name in progress.ready():
                    del progress.waiting[name]
                    progress.begun.add(name)
                    progress.running[pool.submit(_attempt, work, name)] = name
                if not progress.running:
                    break
                done, _ = wait(progress.running, timeout=_TURN_S, return_when=FIRST_COMPLETED)
                for future in done:
                    _settle(progress, future, on_result, reporter)
    except KeyboardInterrupt as interrupt:
        interrupt.args = (_what_goes_on(world, progress.begun),)
        raise
    return _finish(progress, depends_on, reporter)


def _attempt(work: Work, name: str) -> Outcome:
    try:
        return work(name)
    except SlipwayError as error:
        return error


def _settle(
    progress: _Progress,
    future: Future[Outcome],
    on_result: Callable[[StackResult], None],
    reporter: Reporter,
) -> None:
    name = progress.running.pop(future)
    outcome = future.result()
    progress.begun.discard(name)
    try:
        if isinstance(outcome, SlipwayError):
            raise outcome
        on_result(outcome)
        progress.results[name] = outcome
    except SlipwayError as error:
        reporter.failed(name, type(error).__name__)
        progress.failures.append(error)
        progress.results.setdefault(name, StackResult(name, Fate.FAILED))


def _finish(
    progress: _Progress, depends_on: Mapping[str, Iterable[str]], reporter: Reporter
) -> tuple[StackResult, ...]:
    results = tuple(progress.results.get(name, StackResult(name, Fate.SKIPPED)) for name in depends_on)
    for other in progress.failures[1:]:
        reporter.note(str(other))
    if progress.failures:
        failure = progress.failures[0]
        told = by_fate(results)
        failure.state = f"{failure.state}; {told}" if failure.state else told
        raise failure
    return results


def _what_goes_on(world: ProvisionWorld, names: Iterable[str]) -> str:
    stacks = sorted(names)
    if not stacks:
        return "no stack was being worked on"
    return (
        f"CloudFormation goes on with {', '.join(stacks)}\n"
        f"look: {world.aws} cloudformation describe-stack-events --stack-name {stacks[0]}\n"
        "next: the same command again, which follows it to its end and goes on"
    )
