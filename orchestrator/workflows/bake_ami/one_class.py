# SPDX-License-Identifier: Apache-2.0
"""Bake one class: lock -> clear what a dead bake left -> candidate -> boot test -> publish, or take it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.config.images import stage
from orchestrator.domain.boot_test import BootReport
from orchestrator.domain.image import Image
from orchestrator.domain.image_graph import ImageGraph
from orchestrator.domain.manifest import make_manifest
from orchestrator.ports import KeyMaker, Reporter, StepSink, Subnet
from orchestrator.probe import probe_program
from orchestrator.workflows.bake_ami.candidate import build_candidate, take_back
from orchestrator.workflows.bake_ami.lock_names import bake_lock
from orchestrator.workflows.bake_ami.plan import ClassPlan
from orchestrator.workflows.bake_ami.publication import publish
from orchestrator.workflows.bake_ami.result import ClassResult, Fate
from orchestrator.workflows.bake_ami.verification import boot_test
from orchestrator.workflows.bake_ami.workbench import Workbench, workbench
from orchestrator.workflows.world import World

STEPS = 5
PREPARE, BUILD, TEST, PUBLISH, CLEAN_UP = range(1, STEPS + 1)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all classes of a bake share."""

    graph: ImageGraph
    subnet: Subnet
    operator_cidr: str
    keys: KeyMaker


def bake_class(
    world: World, plan: ClassPlan, foundation_ami_id: str, surroundings: Surroundings, reporter: Reporter
) -> ClassResult:
    """Bake a class and return its published image."""
    begun_s = world.clock.monotonic_s()

    def step(place: int) -> StepSink:
        return lambda text: reporter.step(plan.name, text, position=(place, STEPS))

    step(PREPARE)("taking the lock")
    with world.locks.hold(bake_lock(world.environment.name, plan.name), world.run_id):
        image = _published_meanwhile(world, plan)
        if image is None:
            image = _bake(world, plan, foundation_ami_id, surroundings, step)
    seconds = world.clock.monotonic_s() - begun_s
    reporter.done(plan.name, f"published {image.ami_id}")
    return ClassResult(plan.name, Fate.PUBLISHED, image.name, image.ami_id, seconds)


def _published_meanwhile(world: World, plan: ClassPlan) -> Image | None:
    """Return the image somebody else published while we waited, and clear what a dead bake left of ours."""
    found = None
    for image in world.images.by_class((plan.name,)):
        if image.name != plan.image_name:
            continue
        if image.is_published:
            found = image
        elif plan.candidate is None or image.ami_id != plan.candidate.ami_id:
            take_back(world, image)
    return found


def _bake(
    world: World,
    plan: ClassPlan,
    foundation_ami_id: str,
    surroundings: Surroundings,
    step: Callable[[int], StepSink],
) -> Image:
    step(PREPARE)("making a key and a security group")
    with workbench(
        world,
        plan.name,
        subnet=surroundings.subnet,
        operator_cidr=surroundings.operator_cidr,
        keys=surroundings.keys,
    ) as bench:
        image = plan.candidate
        if image is None:
            stage(world.project, surroundings.graph.classes[plan.name], bench.folder / "context")
            image = build_candidate(
                world, plan, foundation_ami_id=foundation_ami_id, bench=bench, on_step=step(BUILD)
            )
        _verify_and_publish(world, plan, image, surroundings.graph, bench, step)
        step(CLEAN_UP)("removing key and security group")
    return image


def _verify_and_publish(  # noqa: PLR0913 - the candidate and what it is judged by
    world: World,
    plan: ClassPlan,
    image: Image,
    graph: ImageGraph,
    bench: Workbench,
    step: Callable[[int], StepSink],
) -> None:
    is_published = False
    try:
        report = _look(world, plan, image, graph, bench, step(TEST))
        world.clock.check()
        step(PUBLISH)("writing the manifest, publishing")
        publish(world, image, make_manifest(plan.name, plan, report))
        is_published = True
    finally:
        if not is_published:
            step(TEST)("taking the candidate back")
            take_back(world, image)
