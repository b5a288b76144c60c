# SPDX-License-Identifier: Apache-2.0
"""Publish an image that passed its boot test: first its manifest, then the tag that fleets go by."""

from __future__ import annotations

from orchestrator.domain.image import STATE_TAG, Image, ImageState
from orchestrator.domain.manifest import Manifest
from orchestrator.workflows.world import World


def manifest_key(image_name: str) -> str:
    """Return where the manifest of an image is kept in the config bucket."""
    return f"images/{image_name}.json"


def publish(world: World, image: Image, manifest: Manifest) -> None:
    """Store the manifest and flip the tags of image and snapshots, in one call, to published."""
    world.objects.put(manifest_key(image.name), manifest.to_json().encode())
    world.images.tag((image.ami_id, *image.snapshot_ids), {STATE_TAG: ImageState.PUBLISHED.value})


def read_manifest(world: World, image_name: str) -> Manifest | None:
    """Return what the image was made of and holds, None when there is no record of it."""
    stored = world.objects.get(manifest_key(image_name))
    return Manifest.from_json(stored.body.decode()) if stored else None
