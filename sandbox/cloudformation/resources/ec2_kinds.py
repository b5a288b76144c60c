# SPDX-License-Identifier: Apache-2.0
"""What resources of EC2 have in common: an id, a Describe call, and tags that are changed in one way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.failures import unless_absent

Description = dict[str, Any]
_GONE = frozenset({"deleted", "deleting"})


@dataclass(frozen=True, slots=True)
class Kind:
    """How EC2's calls name a kind of resource."""

    describe: str
    listing: str
    ids: str
    not_found: str
    tagged_as: str

    def described(self, call: Call, resource_id: str) -> Description | None:
        """Return the description of one resource; None if there is none, or one that was deleted."""
        describe = getattr(call.client("ec2"), self.describe)
        answer = unless_absent(lambda: describe(**{self.ids: [resource_id]}), self.not_found)
        found: list[Description] = answer[self.listing] if answer else []
        if not found or found[0].get("State") in _GONE:
            return None
        return found[0]

    def specification(self, call: Call, properties: Properties) -> list[Description]:
        """Return TagSpecifications with all tags of a new resource."""
        tags = tagging.wanted(call, properties)
        return [{"ResourceType": self.tagged_as, "Tags": tagging.as_list(tags)}] if tags else []


class Ec2Resource:
    """A resource of EC2 whose tags are all that an update changes, unless it says otherwise."""

    kind: Kind

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the properties as Describe shows them."""
        description = self.kind.described(call, physical_id)
        if description is None:
            return None
        return self.shown(call, description) | tagging.shown(description.get("Tags", ()))

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change the tags."""
        update_tags(call, physical_id, before=before, after=after)
        return self.physical(call, physical_id)

    def physical(self, call: Call, physical_id: str) -> Physical:
        """Return the resource with its attributes."""
        return Physical(physical_id, self.attributes(call, self.kind.described(call, physical_id) or {}))

    def shown(self, call: Call, description: Description) -> dict[str, Any]:
        """Return the properties of the template, without tags."""
        raise NotImplementedError

    def attributes(self, call: Call, description: Description) -> dict[str, Any]:
        """Return what Fn::GetAtt gives."""
        raise NotImplementedError


def update_tags(call: Call, resource_id: str, *, before: Properties, after: Properties) -> None:
    """Bring the tags of any resource of EC2 from one template to the other."""
    change = tagging.change(call, before, after)
    ec2 = call.client("ec2")
    if change.removed:
        ec2.delete_tags(Resources=[resource_id], Tags=[{"Key": key} for key in change.removed])
    if change.put:
        ec2.create_tags(Resources=[resource_id], Tags=tagging.as_list(change.put))


def picked(description: Description, *names: str) -> dict[str, Any]:
    """Return those of the named fields that hold something."""
    return {name: description[name] for name in names if description.get(name) not in (None, "", [], {})}
