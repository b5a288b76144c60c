# SPDX-License-Identifier: Apache-2.0
"""Do something for every node of a graph, side by side, each after what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future

from sandbox.cloudformation.workers import Workers

Graph = Mapping[str, frozenset[str]]


class StepFailed(Exception):
    """A step that did not work; the reason is in the stack's events."""


class Interrupted(Exception):
    """The region ends: the operation stops where it is."""


def walk(
    graph: Graph, step: Callable[[str], None], workers: Workers, *, goes_on: Callable[[], bool]
) -> list[str]:
    """Run `step` for each node and return those that failed, in the order they did.

    What needs a failed node is not tried. No step begins once `goes_on` says no; those that run are waited
    for. An error that is neither of the two above is raised once everything has ended.
    """
    progress = _Progress(graph, step, workers)
    while True:
        if goes_on() and not progress.errors:
            progress.begin_ready()
        if not progress.running:
            break
        progress.take_in()
    if progress.errors:
        raise progress.errors[0]
    return progress.failed


class _Progress:
    def __init__(self, graph: Graph, step: Callable[[str], None], workers: Workers) -> None:
        self._step = step
        self._workers = workers
        self._waiting = {name: set(needs) for name, needs in graph.items()}
        self.running: dict[Future[None], str] = {}
        self.failed: list[str] = []
        self.errors: list[BaseException] = []

    def begin_ready(self) -> None:
        for name in [name for name, needs in self._waiting.items() if not needs]:
            del self._waiting[name]
            self.running[self._workers.submit(self._step, name)] = name

    def take_in(self) -> None:
        for future in self._workers.first_done(self.running):
            name = self.running.pop(future)
            error = future.exception()
            if error is None:
                for needs in self._waiting.values():
                    needs.discard(name)
            elif isinstance(error, StepFailed):
                self.failed.append(name)
            else:
                self.errors.append(error)


def reverse(graph: Graph) -> dict[str, frozenset[str]]:
    """Return the graph that takes away what the other builds up: each after what needs it."""
    return {
        name: frozenset(other for other, needs in graph.items() if name in needs and other != name)
        for name in graph
    }
