# SPDX-License-Identifier: Apache-2.0
"""What resources of Elastic Load Balancing have in common: ARNs, names, tags and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.cloudformation.handler import Call, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent

_LETTERS = 5
Description = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """How the calls of Elastic Load Balancing name a kind of resource."""

    describe: str
    listing: str
    arns: str
    delete: str
    arn: str
    not_found: str

    def described(self, call: Call, arn: str) -> Description | None:
        """Return the description of one resource; None if there is none."""
        describe = getattr(call.client("elbv2"), self.describe)
        answer = unless_absent(lambda: describe(**{self.arns: [arn]}), self.not_found)
        return answer[self.listing][0] if answer and answer[self.listing] else None

    def remove(self, call: Call, arn: str) -> None:
        """Delete one resource; one that is not there is fine."""
        with absent_is_fine(self.not_found):
            getattr(call.client("elbv2"), self.delete)(**{self.arn: arn})


def short_name(call: Call) -> str:
    """Return the generated name as CloudFormation shortens it: five letters of the stack, five of the id."""
    stack, logical_id, random = call.name.rsplit("-", 2)
    return f"{stack[:_LETTERS].strip('-')}-{logical_id[:_LETTERS]}-{random}"


def with_tags(call: Call, properties: Properties) -> dict[str, Any]:
    """Return the parameter Tags of a create call."""
    tags = tagging.as_list(tagging.wanted(call, properties))
    return {"Tags": tags} if tags else {}


def shown_tags(call: Call, arn: str) -> dict[str, Any]:
    """Return the property Tags of a resource."""
    answer = call.client("elbv2").describe_tags(ResourceArns=[arn])
    return tagging.shown(answer["TagDescriptions"][0]["Tags"])


def update_tags(call: Call, arn: str, *, before: Properties, after: Properties) -> None:
    """Bring the tags of a resource from one template to the other."""
    elb = call.client("elbv2")
    change = tagging.change(call, before, after)
    if change.removed:
        elb.remove_tags(ResourceArns=[arn], TagKeys=change.removed)
    if change.put:
        elb.add_tags(ResourceArns=[arn], Tags=tagging.as_list(change.put))


def attribute_change(before: Properties, after: Properties, name: str) -> list[Mapping[str, str]]:
    """Return the attributes that are new or have another value; one that is not named keeps what it has."""
    old = {each["Key"]: each["Value"] for each in before.get(name, ())}
    return [each for each in after.get(name, ()) if old.get(each["Key"]) != each["Value"]]
