# SPDX-License-Identifier: Apache-2.0
"""Tags of resources: the template's own, the stack's, and those that CloudFormation itself puts.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-resource-tags.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.cloudformation.handler import Call, Properties

SYSTEM_PREFIX = "aws:"
Tag = dict[str, str]


@dataclass(frozen=True, slots=True)
class TagChange:
    """What to put and what to take away."""

    put: dict[str, str]
    removed: list[str]


def own(properties: Properties) -> dict[str, str]:
    """Return the tags that the template gives the resource."""
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags", ())}


def wanted(call: Call, properties: Properties) -> dict[str, str]:
    """Return all tags of a resource of a service that takes the system's tags from CloudFormation."""
    return {**call.tags, **own(properties)}


def wanted_of_user(call: Call, properties: Properties) -> dict[str, str]:
    """Return all tags of a resource of a service that takes no system tags (IAM, KMS)."""
    return _without_system({**call.tags, **own(properties)})


def as_list(tags: Mapping[str, str]) -> list[Tag]:
    """Return tags as most APIs write them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def shown(tags: Iterable[Mapping[str, Any]]) -> dict[str, list[Tag]]:
    """Return the property Tags of a resource with these tags, or nothing if it has none."""
    listed = _without_system({tag["Key"]: tag["Value"] for tag in tags})
    return {"Tags": as_list(listed)} if listed else {}


def change(call: Call, before: Properties, after: Properties) -> TagChange:
    """Return how to get from one template to the other; tags that others put are left alone."""
    tags = wanted_of_user(call, after)
    former = {*own(before), *call.former_tags}
    return TagChange(tags, sorted(former - set(tags)))


def _without_system(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if not key.startswith(SYSTEM_PREFIX)}
