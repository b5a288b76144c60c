# SPDX-License-Identifier: Apache-2.0
"""Bake one class: lock -> clear leftovers -> candidate -> boot test -> publish, or take it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.config.seal import load_seal_paths
from orchestrator.config.tree import stage
from orchestrator.domain.boot_test import BootReport, Check
from orchestrator.domain.image import Image
from orchestrator.domain.image_graph import ImageClass, ImageGraph
from orchestrator.domain.manifest import Manifest
from orchestrator.ports import HeldLock, Reporter, StepSink, Subnet
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


def bake_class(
    world: World, plan: ClassPlan, foundation_ami_id: str, surroundings: Surroundings, reporter: Reporter
) -> ClassResult:
    """Bake a class and return its published image."""
    begun_s = world.clock.monotonic_s()

    def step(place: int) -> StepSink:
        return lambda text: reporter.step(plan.name, text, position=(place, STEPS))

    step(PREPARE)("taking the lock")
    with world.locks.hold(bake_lock(world.environment.name, plan.name), world.run_id) as lock:
        image = _published_meanwhile(world, plan)
        if image is None:
            image = _bake(world, plan, foundation_ami_id, surroundings, lock, step)
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


def _bake(  # noqa: PLR0913 - the class and everything it is baked with
    world: World,
    plan: ClassPlan,
    foundation_ami_id: str,
    surroundings: Surroundings,
    lock: HeldLock,
    step: Callable[[int], StepSink],
) -> Image:
    step(PREPARE)("making a key and a security group")
    with workbench(
        world,
        plan.name,
        subnet=surroundings.subnet,
        operator_cidr=surroundings.operator_cidr,
    ) as bench:
        image_class = surroundings.graph.classes[plan.name]
        image = plan.candidate
        if image is None:
            stage(world.project, plan.inputs.files, bench.folder / "context")
            image = build_candidate(
                world, plan, foundation_ami_id=foundation_ami_id, bench=bench, on_step=step(BUILD)
            )
        _verify_and_publish(world, plan, image, image_class, bench, lock, step)
        step(CLEAN_UP)("removing key and security group")
    return image


def _verify_and_publish(  # noqa: PLR0913 - the candidate and what it is judged by
    world: World,
    plan: ClassPlan,
    image: Image,
    image_class: ImageClass,
    bench: Workbench,
    lock: HeldLock,
    step: Callable[[int], StepSink],
) -> None:
    is_published = False
    try:
        program = probe_program(
            seal_paths=load_seal_paths(world.project),
            checks=tuple(Check(each.name, each.command) for each in image_class.checks),
            public_keys=(bench.public_key,),
        )
        report = boot_test(world, image, program, bench=bench, on_step=step(TEST))
        step(PUBLISH)("writing the manifest, publishing")
        lock.check()
        publish(world, image, _manifest(world, plan, image, report))
        is_published = True
    finally:
        if not is_published:
            step(CLEAN_UP)(f"taking candidate {image.ami_id} back")
            take_back(world, image)


def _manifest(world: World, plan: ClassPlan, image: Image, report: BootReport) -> Manifest:
    return Manifest(
        class_name=plan.name,
        bake_key=plan.bake_key,
        image_name=image.name,
        ami_id=image.ami_id,
        parent=plan.foundation,
        created_at=world.clock.now(),
        inputs=plan.inputs.files,
        contents=report.contents,
    )
