# SPDX-License-Identifier: Apache-2.0
"""Images: what an AMI of ours is, and the classes they are baked from."""

from __future__ import annotations

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
    """One of our AMIs, as DescribeImages shows it. Its name is `<class>-<bake key>` from the first moment on."""

    ami_id: str
    name: str
    class_name: str
    bake_key: str
    status: ImageStatus
    created_at: datetime
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


def image_name(class_name: str, bake_key: str) -> str:
    """Return the AMI name: the identity that survives a crash before the tags are written."""
    return f"{class_name}-{bake_key}"


def parse_image_name(name: str) -> tuple[str, str] | None:
    """Return (class, bake key), or None when the name is not one of ours."""
    class_name, _, bake_key = name.rpartition("-")
    is_key = len(bake_key) == BAKE_KEY_LENGTH and all(c in "0123456789abcdef" for c in bake_key)
    return (class_name, bake_key) if class_name and is_key else None


BAKE_KEY_LENGTH = 32
