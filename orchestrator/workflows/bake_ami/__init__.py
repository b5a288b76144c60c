# SPDX-License-Identifier: Apache-2.0
"""Bake images: observe -> plan -> build a candidate -> boot-test it -> publish it, or take it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.config.images import closure, load_graph
from orchestrator.config.tree import ProjectTree
from orchestrator.domain.image import SourceImage
from orchestrator.domain.image_graph import ImageClass, ImageGraph, ImageSource
from orchestrator.ports import Reporter
from orchestrator.workflows.bake_ami.one_class import Surroundings, bake_class
from orchestrator.workflows.bake_ami.plan import (
    Action,
    BakePlan,
    ClassInputs,
    ClassPlan,
    explain_changes,
    make_plan,
)
from orchestrator.workflows.bake_ami.publication import read_manifest
from orchestrator.workflows.bake_ami.result import BakeResult
from orchestrator.workflows.bake_ami.schedule import run_levels
from orchestrator.workflows.world import World

__all__ = ["BakePlan", "BakeRequest", "BakeResult", "apply", "observe_and_plan"]


@dataclass(frozen=True, slots=True)
class BakeRequest:
    """What the operator asked for; no classes means all of them."""

    server_classes: tuple[str, ...]
    is_forced: bool = False


def observe_and_plan(world: World, request: BakeRequest) -> BakePlan:
    """Look at the project and at AWS, and decide. Reads only: two calls when nothing changed."""
    graph = load_graph(world.project)
    levels = graph.levels(request.server_classes)
    inputs = _observe_inputs(world, graph, levels)
    images = world.images.by_class([each.name for level in levels for each in level])
    chosen = request.server_classes or tuple(graph.classes)
    plan = make_plan(inputs, images, forced=frozenset(chosen) if request.is_forced else frozenset())
    return BakePlan(tuple(tuple(_with_changes(world, each) for each in level) for level in plan.levels))


def apply(world: World, plan: BakePlan, reporter: Reporter) -> BakeResult:
    """Bake what the plan says, level by level; independent classes side by side.

    Raises:
        SlipwayError: of the first class that failed, after all that could be baked was.
    """
    world.guard_account()
    surroundings = Surroundings(
        graph=load_graph(world.project),
        subnet=world.machines.public_subnet(world.environment.network),
        operator_cidr=world.operator_cidr(),
    )
    return run_levels(
        world, plan, lambda each, ami_id: bake_class(world, each, ami_id, surroundings, reporter), reporter
    )


def _observe_inputs(
    world: World, graph: ImageGraph, levels: Sequence[Sequence[ImageClass]]
) -> tuple[tuple[ClassInputs, ...], ...]:
    sources: dict[ImageSource, SourceImage] = {}
    for each in (one for level in levels for one in level):
        if each.source and each.source not in sources:
            sources[each.source] = world.images.source(each.source.owner, each.source.name)
    tree = ProjectTree(world.project)  # one, so that what classes share is read once
    return tuple(
        tuple(
            ClassInputs(
                name=each.name,
                playbook=each.playbook,
                parent=each.parent,
                source=sources[each.source] if each.source else None,
                files=closure(world.project, each, tree=tree),
            )
            for each in level
        )
        for level in levels
    )


def _with_changes(world: World, plan: ClassPlan) -> ClassPlan:
    """Add what changed since the newest image, from that image's manifest."""
    if plan.action is not Action.BAKE or plan.newest is None or plan.published is not None:
        return plan
    manifest = read_manifest(world, plan.newest.name)
    if manifest is None:
        return plan
    changes = explain_changes(plan, manifest.inputs, foundation_before=manifest.parent)
    return replace(plan, reason=f"since {plan.newest.ami_id}: {'; '.join(changes)}") if changes else plan
