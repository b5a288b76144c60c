# SPDX-License-Identifier: Apache-2.0
"""Bake variants of an image beside whatever else goes on, and take one away again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.config.variant import make_variant
from orchestrator.ports import Reporter
from orchestrator.workflows import bake_ami
from orchestrator.workflows.bake_ami.candidate import take_back
from orchestrator.workflows.world import World, new_run_id

SERVER_CLASS = "api"
ROLES = Path("examples", "demo_images")
# Below it, copies of the project: made anew each time, so that what a killed run left is gone.
COPIES = Path("build", "demo")


@dataclass(frozen=True, slots=True)
class Variants:
    """Images that are being baked, or are there, by the names of their roles."""

    world: World
    begun: Mapping[str, Future[str]]

    def ami_id(self, name: str) -> str:
        """Wait for an image and return its id.

        Raises:
            SlipwayError: It could not be baked.
        """
        future = self.begun[name]
        while not future.done():
            wait([future], timeout=1.0)  # not for ever at once, so that a signal is heard
        return future.result()

    def remove(self, name: str) -> None:
        """Remove a variant's image, so that it is nobody's newest one; it may be gone already."""
        _, plan = _plan(self.world, name)
        for each in plan.classes:
            if each.name == SERVER_CLASS and each.published:
                take_back(self.world, each.published)


@contextmanager
def baking(world: World, names: tuple[str, ...], reporter: Reporter) -> Iterator[Variants]:
    """Bake the variants of these names in turn for the block, and end well when it is stopped.

    They are of one class, and only one image of a class is baked at a time.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            yield Variants(world, {name: pool.submit(_bake, world, name, reporter) for name in names})
        except BaseException:
            world.clock.stop()
            world.programs.terminate_all()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _bake(world: World, name: str, reporter: Reporter) -> str:
    own, plan = _plan(world, name)
    result = bake_ami.apply(own, plan, _Named(reporter, name))
    return result.classes[SERVER_CLASS].ami_id


def _plan(world: World, name: str) -> tuple[World, bake_ami.BakePlan]:
    """Make a copy of the project with the variant's role, and plan what is to be baked of it."""
    copy = world.project / COPIES / name
    make_variant(world.project, copy, server_class=SERVER_CLASS, role=world.project / ROLES / name)
    # What a run asks AWS for, it asks for once: two bakes of a class must not be one run.
    own = replace(world, project=copy, run_id=new_run_id("demo", world.clock))
    return own, bake_ami.observe_and_plan(own, bake_ami.BakeRequest((SERVER_CLASS,)))


class _Named:
    """Shows the steps of a bake under the variant's name instead of the class's."""

    def __init__(self, reporter: Reporter, name: str) -> None:
        self._reporter = reporter
        self._name = name

    def step(self, task: str, text: str, *, position: tuple[int, int] | None = None) -> None:
        self._reporter.step(self._of(task), text, position=position)

    def done(self, task: str, text: str) -> None:
        self._reporter.done(self._of(task), text)

    def failed(self, task: str, text: str) -> None:
        self._reporter.failed(self._of(task), text)

    def note(self, text: str) -> None:
        self._reporter.note(text)

    def _of(self, task: str) -> str:
        return f"{self._name} image" if task == SERVER_CLASS else f"{self._name} image's {task}"
