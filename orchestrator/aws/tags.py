# SPDX-License-Identifier: Apache-2.0
"""Tags and filters as EC2 writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

NETWORK_TAG = "slipway:network"
TIER_TAG = "slipway:tier"


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as EC2 takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def as_mapping(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Return tags as EC2 gives them, as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def specifications(tags: Mapping[str, str], *kinds: str) -> list[dict[str, Any]]:
    """Return the TagSpecifications that put the tags on resources of these kinds from their first moment."""
    return [{"ResourceType": kind, "Tags": as_list(tags)} for kind in kinds if tags]


def filters(**values: str | list[str]) -> list[dict[str, Any]]:
    """Return Filters: `tag_key="a"` becomes the filter `tag-key`."""
    return [
        named(name.replace("_", "-"), value if isinstance(value, list) else [value])
        for name, value in values.items()
    ]


def named(name: str, values: list[str]) -> dict[str, Any]:
    """Return one filter."""
    return {"Name": name, "Values": values}
