# SPDX-License-Identifier: Apache-2.0
"""AMIs on EC2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from orchestrator.aws.session import AwsSession, retry_while, translated
from orchestrator.aws.tags import as_list, as_mapping, filters
from orchestrator.clock import Clock
from orchestrator.domain.image import Image, ImageStatus, SourceImage, parse_image_name
from orchestrator.errors import NotFound
from orchestrator.ports import Tagged

# A snapshot counts as used for some moments after its image was deregistered.
_STILL_USED = frozenset({"InvalidSnapshot.InUse"})
_RELEASE_LIMIT = timedelta(minutes=1)


class AwsImages:
    """AMIs of this account and the public ones they start from."""

    def __init__(self, session: AwsSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    @property
    def _ec2(self) -> Any:
        return self._session.client("ec2")

    @translated
    def source(self, owner_id: str, name: str) -> SourceImage:
        """Return the newest available image of that owner whose name matches, or raise NotFound."""
        found = list(self._describe(Owners=[owner_id], Filters=filters(name=name, state="available")))
        if not found:
            raise NotFound("ec2", "DescribeImages", "NoImage", f"{owner_id} has no available image {name}")
        newest = max(found, key=lambda image: (_created_at(image), image["ImageId"]))
        return SourceImage(ami_id=newest["ImageId"], name=newest["Name"], owner_id=newest["OwnerId"])

    @translated
    def by_class(self, class_names: Sequence[str]) -> tuple[Image, ...]:
        """Return all of our images of these classes, newest first; untagged ones are seen by their name."""
        if not class_names:
            return ()
        names = [f"{class_name}-*" for class_name in class_names]
        found = self._describe(Owners=["self"], Filters=filters(name=names))
        images = [image for raw in found if (image := _image(raw)) and image.class_name in class_names]
        return tuple(sorted(images, key=lambda image: (image.created_at, image.ami_id), reverse=True))

    @translated
    def tag(self, resource_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """Put tags on images and snapshots in one call."""
        self._ec2.create_tags(Resources=list(resource_ids), Tags=as_list(tags))

    @translated
    def snapshots_tagged(self, tag: str) -> tuple[Tagged, ...]:
        """Return this account's snapshots that carry the tag."""
        pages = self._ec2.get_paginator("describe_snapshots").paginate(
            OwnerIds=["self"], Filters=filters(tag_key=tag)
        )
        return tuple(
            Tagged(raw["SnapshotId"], raw["SnapshotId"], as_mapping(raw.get("Tags")))
            for page in pages
            for raw in page["Snapshots"]
        )

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot; an unknown one is no error."""
        retry_while(
            _STILL_USED,
            partial(self._delete_snapshot, snapshot_id),
            clock=self._clock,
            limit=_RELEASE_LIMIT,
        )

    def deregister(self, image: Image) -> None:
        """Deregister the image and delete its snapshots; what is gone already is no error."""
        snapshot_ids = dict.fromkeys((*image.snapshot_ids, *self._snapshot_ids(image.ami_id)))
        with suppress(NotFound):
            self._deregister(image.ami_id)
        for snapshot_id in snapshot_ids:
            self.delete_snapshot(snapshot_id)

    @translated
    def _snapshot_ids(self, ami_id: str) -> tuple[str, ...]:
        """Return the snapshots the image has by now: a pending one gets its own only at the end."""
        found = self._describe(Owners=["self"], Filters=filters(image_id=ami_id))
        return tuple(snapshot_id for raw in found for snapshot_id in _snapshots(raw))

    @translated
    def _deregister(self, ami_id: str) -> None:
        self._ec2.deregister_image(ImageId=ami_id)

    def _delete_snapshot(self, snapshot_id: str) -> None:
        with suppress(NotFound):
            self._try_delete_snapshot(snapshot_id)

    @translated
    def _try_delete_snapshot(self, snapshot_id: str) -> None:
        self._ec2.delete_snapshot(SnapshotId=snapshot_id)

    def _describe(self, **query: Any) -> Iterator[dict[str, Any]]:
        for page in self._ec2.get_paginator("describe_images").paginate(**query):
            yield from page["Images"]


def _image(raw: Mapping[str, Any]) -> Image | None:
    parsed = parse_image_name(raw.get("Name", ""))
    if parsed is None:
        return None
    class_name, bake_key, revision = parsed
    return Image(
        ami_id=raw["ImageId"],
        name=raw["Name"],
        class_name=class_name,
        bake_key=bake_key,
        revision=revision,
        status=_status(raw.get("State", "")),
        created_at=_created_at(raw),
        snapshot_ids=_snapshots(raw),
        tags=as_mapping(raw.get("Tags")),
    )


def _status(state: str) -> ImageStatus:
    return ImageStatus(state) if state in tuple(ImageStatus) else ImageStatus.OTHER


def _snapshots(raw: Mapping[str, Any]) -> tuple[str, ...]:
    volumes = (mapping.get("Ebs", {}) for mapping in raw.get("BlockDeviceMappings", ()))
    return tuple(volume["SnapshotId"] for volume in volumes if volume.get("SnapshotId"))


def _created_at(raw: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(raw["CreationDate"])
