# SPDX-License-Identifier: Apache-2.0
"""AMIs, and what builds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.domain.image import Image, SourceImage
from orchestrator.ports.machines import Tagged
from orchestrator.ports.screen import StepSink


class Images(Protocol):
    """AMIs of this account and the public ones they start from."""

    def source(self, owner_id: str, name: str) -> SourceImage:
        """Return the newest available image of that owner whose name matches; raise NotFound if none."""

    def by_class(self, class_names: Sequence[str]) -> tuple[Image, ...]:
        """Return all images of these classes, newest first; by name, so that untagged ones are seen."""

    def tag(self, resource_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """Put tags on images and snapshots in one call."""

    def snapshots_tagged(self, tag: str) -> tuple[Tagged, ...]:
        """Return this account's snapshots that carry the tag."""

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot; an unknown one is no error."""

    def deregister(self, image: Image) -> None:
        """Deregister the image and delete its snapshots; what is gone already is no error."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One run of Packer. `context` is a folder that holds the class's closure and nothing else."""

    class_name: str
    bake_key: str
    image_name: str
    context: Path
    playbook: str
    source_ami_id: str
    instance_type: str
    region: str
    endpoint_url: str
    subnet_id: str
    security_group_id: str
    key_name: str
    private_key: Path
    known_hosts: Path
    user_data: Path
    tags: Mapping[str, str]
    run_tags: Mapping[str, str]


class Builder(Protocol):
    """Builds a candidate image."""

    def build(self, request: BuildRequest, *, on_step: StepSink) -> str:
        """Build and return the AMI id; stopping the thread's process group cleans up after itself."""
