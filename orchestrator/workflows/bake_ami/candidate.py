# SPDX-License-Identifier: Apache-2.0
"""Build a candidate image with Packer, or take one back."""

from __future__ import annotations

from contextlib import suppress

from orchestrator.domain.image import (
    BAKE_KEY_TAG,
    CLASS_TAG,
    PARENT_TAG,
    RUN_TAG,
    STATE_TAG,
    Image,
    ImageState,
)
from orchestrator.errors import NotFound, Stranded
from orchestrator.ports import BuildRequest, StepSink
from orchestrator.workflows.bake_ami.plan import ClassPlan
from orchestrator.workflows.bake_ami.publication import manifest_key
from orchestrator.workflows.bake_ami.workbench import Workbench
from orchestrator.workflows.world import World


def build_candidate(
    world: World, plan: ClassPlan, *, foundation_ami_id: str, bench: Workbench, on_step: StepSink
) -> Image:
    """Run Packer in a folder that holds the class's closure and nothing else; return the image it made."""
    bake = world.environment.bake
    request = BuildRequest(
        class_name=plan.name,
        bake_key=plan.bake_key,
        image_name=plan.image_name,
        context=bench.folder / "context",
        playbook=plan.inputs.playbook,
        source_ami_id=foundation_ami_id,
        instance_type=bake.instance_type,
        region=world.environment.region,
        endpoint_url=world.environment.endpoint_url or "",
        subnet_id=bench.subnet.subnet_id,
        security_group_id=bench.security_group_id,
        key_name=bench.key_name,
        private_key=bench.private_key,
        known_hosts=bench.known_hosts,
        user_data=bench.user_data,
        tags={
            CLASS_TAG: plan.name,
            BAKE_KEY_TAG: plan.bake_key,
            PARENT_TAG: plan.foundation,
            STATE_TAG: ImageState.CANDIDATE.value,
            RUN_TAG: world.run_id,
        },
        run_tags=bench.tags,
    )
    ami_id = world.builder.build(request, on_step=on_step)
    for image in world.images.by_class((plan.name,)):
        if image.ami_id == ami_id:
            return image
    raise Stranded(
        f"bake {plan.name}",
        f"Packer reports {ami_id}, which the account does not have",
        next_command=f"invoke gc --environment {world.environment.name}",
    )


def take_back(world: World, image: Image) -> None:
    """Remove an unpublished image. Its snapshots are marked first, so that none is lost track of."""
    world.objects.delete(manifest_key(image.name))
    run_id = (image.tags or {}).get(RUN_TAG) or world.run_id
    if image.snapshot_ids:
        with suppress(NotFound):  # somebody else takes it back as well, and was quicker
            world.images.tag(image.snapshot_ids, {RUN_TAG: run_id})
    world.images.deregister(image)
