# SPDX-License-Identifier: Apache-2.0
"""Operations on the tags of groups.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.autoscaling.api import shapes
from sandbox.autoscaling.api.context import Answer, Context, Parameters, invalid, page
from sandbox.autoscaling.group import Group, Tag

_BY_FILTER = {"auto-scaling-group": "ResourceId", "key": "Key", "value": "Value"}


class Tags:
    """Operations on tags; instances get those that propagate when they are launched."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create_or_update_tags(self, parameters: Parameters) -> None:
        """Put tags on groups."""
        for tag in parameters["Tags"]:
            put_tag(self._group(tag), tag)

    def delete_tags(self, parameters: Parameters) -> None:
        """Take tags off groups."""
        for tag in parameters["Tags"]:
            self._group(tag).tags.pop(tag["Key"], None)

    def describe_tags(self, parameters: Parameters) -> Answer:
        """Show tags of groups."""
        every = [tag for group in self._context.state().groups.values() for tag in shapes.tags(group)]
        found = [tag for tag in every if all(_matches(tag, each) for each in parameters.get("Filters", ()))]
        shown, following = page(found, parameters, usual=50, most=100)
        return {"Tags": shown, **following}

    def _group(self, tag: Mapping[str, Any]) -> Group:
        return self._context.group({"AutoScalingGroupName": tag.get("ResourceId", "")})


def put_tag(group: Group, tag: Mapping[str, Any]) -> None:
    """Put a tag on a group."""
    if tag["Key"].lower().startswith("aws:"):
        raise invalid("Tag keys may not start with the reserved prefix aws:.")
    group.tags[tag["Key"]] = Tag(tag["Key"], tag.get("Value", ""), bool(tag.get("PropagateAtLaunch", False)))


def _matches(tag: Answer, wanted: Mapping[str, Any]) -> bool:
    name, values = wanted["Name"], wanted.get("Values", [])
    if name == "propagate-at-launch":
        return str(tag["PropagateAtLaunch"]).lower() in values
    if name not in _BY_FILTER:
        raise invalid(f"Filter type {name} is not correct.")
    return tag[_BY_FILTER[name]] in values
