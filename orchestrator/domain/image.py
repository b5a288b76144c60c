# SPDX-License-Identifier: Apache-2.0
"""Images: what an AMI of ours is, and the classes they are baked from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

CLASS_TAG = "slipway:class"
BAKE_KEY_TAG = "slipway:bake-key"
PARENT_TAG = "slipway:parent"
STATE_TAG = "slipway:state"
RUN_TAG = "slipway:run"
EXPIRES_TAG = "slipway:expires"


class ImageState(StrEnum):
    """How far Slipway trusts an image. An image without the tag is what a killed bake left."""

    CANDIDATE = "candidate"
    PUBLISHED = "published"


class ImageStatus(StrEnum):
    """EC2's own word for an image (DescribeImages, State); only those we tell apart."""

    PENDING = "pending"
    AVAILABLE = "available"
    FAILED = "failed"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class SourceImage:
    """The public image a root class is baked on."""

    ami_id: str
    name: str
    owner_id: str


@dataclass(frozen=True, slots=True)
class Image:
    """One of our AMIs, as DescribeImages shows it; it has its name, `<class>-<bake key>`, from the start."""

    ami_id: str
    name: str
    class_name: str
    bake_key: str
    status: ImageStatus
    created_at: datetime
    revision: int = 0
    snapshot_ids: tuple[str, ...] = ()
    tags: Mapping[str, str] | None = None

    @property
    def state(self) -> ImageState | None:
        """Return the trust Slipway put into it, None when the bake died before tagging it."""
        value = (self.tags or {}).get(STATE_TAG)
        return ImageState(value) if value in tuple(ImageState) else None

    @property
    def is_published(self) -> bool:
        """Tell whether fleets may launch it."""
        return self.state is ImageState.PUBLISHED and self.status is ImageStatus.AVAILABLE

    @property
    def is_unpublished(self) -> bool:
        """Tell whether no bake has vouched for it; being unavailable does not unpublish an image."""
        return self.state is not ImageState.PUBLISHED


def image_name(class_name: str, bake_key: str, revision: int = 0) -> str:
    """Return the AMI name: the identity that survives a crash before the tags are written.

    A forced bake of unchanged contents makes the next revision, as names of AMIs are unique.
    """
    return f"{class_name}-{bake_key}" + (f".{revision}" if revision else "")


def parse_image_name(name: str) -> tuple[str, str, int] | None:
    """Return (class, bake key, revision), or None when the name is not one of ours."""
    found = _NAME.fullmatch(name)
    return (found["class_name"], found["bake_key"], int(found["revision"] or 0)) if found else None


BAKE_KEY_LENGTH = 32
_NAME = re.compile(
    rf"(?P<class_name>[a-z][a-z0-9_-]*)-(?P<bake_key>[0-9a-f]{{{BAKE_KEY_LENGTH}}})(?:\.(?P<revision>[1-9][0-9]*))?"
)
