# SPDX-License-Identifier: Apache-2.0
"""Tell what an update would do to each resource, as a change set shows it. Pure: two states, and a verdict.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.cloudformation.differences import Difference, differences, is_absent, shown
from sandbox.cloudformation.graph import Reference, in_order, references
from sandbox.cloudformation.intrinsics import KNOWN_AFTER_APPLY, Scope, Unresolvable
from sandbox.cloudformation.schemas import Schema, schema, takes_tags
from sandbox.cloudformation.stacks import StackResource

# Attributes of a resource beside its properties; DependsOn alone is no change.
_ATTRIBUTES = ("Metadata", "CreationPolicy", "UpdatePolicy", "DeletionPolicy", "UpdateReplacePolicy")
_POLICY_ACTIONS = {"Retain": "Retain", "RetainExceptOnCreate": "Retain", "Snapshot": "Snapshot"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stack shall be.

    Attributes:
        graph: What each resource needs, for all that the conditions keep.
        scope: Make a scope, given what references to resources mean.
        changed_parameters: The parameters whose values differ from the stack's.
    """

    resources: Mapping[str, Mapping[str, Any]]
    graph: Mapping[str, frozenset[str]]
    scope: Callable[[Callable[[Reference], Any]], Scope]
    tags: Mapping[str, str]
    changed_parameters: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Verdict:
    """What is known of a resource that others may refer to."""

    action: str | None
    replacement: str = "False"
    details: list[dict[str, Any]] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)


def resource_changes(current: Mapping[str, StackResource], wanted: Wanted) -> list[dict[str, Any]]:
    """Return the changes, in AWS's shape and in the order of the template, removals last."""
    planner = _Planner(current, wanted)
    verdicts = {name: planner.judge(name) for name in in_order(wanted.graph)}
    found = [
        planner.describe(name, verdicts[name])
        for name in wanted.resources
        if name in verdicts and verdicts[name].action
    ]
    gone = [
        each for name, each in current.items() if name not in wanted.graph and each.physical_id is not None
    ]
    return found + [_removal(each) for each in gone]


class _Planner:
    def __init__(self, current: Mapping[str, StackResource], wanted: Wanted) -> None:
        self._current = {name: each for name, each in current.items() if each.physical_id is not None}
        self._wanted = wanted
        self._verdicts: dict[str, _Verdict] = {}
        self._scope = wanted.scope(self._refer)

    def judge(self, name: str) -> _Verdict:
        resource = self._wanted.resources[name]
        resolved = self._scope.resolve(resource.get("Properties") or {})
        described = schema(resource["Type"])
        properties = described.coerce(resolved) if described else resolved
        verdict = _Verdict("Add", properties=properties)
        if (existing := self._current.get(name)) is not None:
            verdict.details = [
                *self._property_details(existing, resource, properties, described),
                *self._other_details(existing, resource),
            ]
            verdict.action = "Modify" if verdict.details else None
            verdict.replacement = _replacement(verdict.details)
        self._verdicts[name] = verdict
        return verdict

    def describe(self, name: str, verdict: _Verdict) -> dict[str, Any]:
        resource = self._wanted.resources[name]
        change: dict[str, Any] = {
            "Action": verdict.action,
            "LogicalResourceId": name,
            "ResourceType": resource["Type"],
            "Scope": [],
            "Details": [],
            "AfterContext": _context(verdict.properties),
        }
        if verdict.action == "Modify":
            existing = self._current[name]
            scopes = dict.fromkeys(each["Target"]["Attribute"] for each in verdict.details)
            change |= {
                "PhysicalResourceId": existing.physical_id,
                "Replacement": verdict.replacement,
                "Scope": list(scopes),
                "Details": verdict.details,
                "BeforeContext": _context(existing.properties),
            }
            if verdict.replacement != "False":
                policy = resource.get("UpdateReplacePolicy", "Delete")
                change["PolicyAction"] = f"ReplaceAnd{_POLICY_ACTIONS.get(policy, 'Delete')}"
        return {"Type": "Resource", "ResourceChange": change}

    def _refer(self, reference: Reference) -> Any:
        verdict = self._verdicts.get(reference.name)
        existing = self._current.get(reference.name)
        if verdict is None or existing is None or verdict.replacement == "True":
            return KNOWN_AFTER_APPLY
        attribute = reference.attribute or ""
        if attribute in verdict.properties and attribute in existing.properties:
            return verdict.properties[attribute]
        return value_of(existing, reference)

    def _property_details(
        self,
        existing: StackResource,
        resource: Mapping[str, Any],
        properties: Mapping[str, Any],
        described: Schema | None,
    ) -> Iterator[dict[str, Any]]:
        stated = resource.get("Properties") or {}
        seen = set()
        for each in differences(existing.properties, properties):
            name = each.path[0]
            seen.add(name)
            recreation = described.recreation(each.path) if described else "Never"
            for cause in self._causes(stated.get(name)):
                yield _detail(each, recreation, cause)
        for name in [name for name in stated if name not in seen]:
            recreation = described.recreation((name,)) if described else "Never"
            for cause in self._possible_causes(stated[name]):
                target = {"Attribute": "Properties", "Name": name, "RequiresRecreation": recreation}
                yield {"Target": target, **cause}

    def _causes(self, stated: Any) -> list[dict[str, str]]:
        """Say why a property that certainly differs does.

        What comes through a reference shows as two details on AWS: the reference, whose target changes for
        sure, and a direct modification that is as dynamic as any reference is.
        """
        found = []
        for each in dict.fromkeys(references(stated)):
            if each.name in self._wanted.changed_parameters:
                found.append(_cause("Static", "ParameterReference", each.name))
            elif each.name in self._verdicts and self._gives_another(each):
                found.append(_reference_cause(each, "Static"))
        if not found:
            return [_cause("Static", "DirectModification")]
        return [_cause("Dynamic", "DirectModification"), *found]

    def _gives_another(self, reference: Reference) -> bool:
        """Return whether a reference certainly gives another value than it did."""
        verdict = self._verdicts[reference.name]
        if verdict.action == "Add" or verdict.replacement == "True":
            return True
        existing = self._current[reference.name]
        return reference.attribute is not None and self._refer(reference) != value_of(existing, reference)

    def _possible_causes(self, stated: Any) -> Iterator[dict[str, str]]:
        """Say what may change a property whose value is not known to: only the operation will tell."""
        for each in dict.fromkeys(references(stated)):
            verdict = self._verdicts.get(each.name)
            if verdict is None or verdict.action != "Modify":
                continue
            may_differ = each.attribute is not None and self._is_made_by_the_resource(each)
            if verdict.replacement == "Conditional" or (may_differ and _has_property_details(verdict)):
                yield _reference_cause(each, "Dynamic")

    def _is_made_by_the_resource(self, reference: Reference) -> bool:
        """Return whether only the resource tells an attribute, and it is not what it is known by."""
        described = schema(self._wanted.resources[reference.name]["Type"])
        attribute = tuple((reference.attribute or "").split("."))
        if described is None:
            return True
        is_property = bool(described.nodes(attribute)) and attribute not in described.read_only
        return not is_property and attribute not in described.primary_identifier

    def _other_details(
        self, existing: StackResource, resource: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        for name in _ATTRIBUTES:
            if resource.get(name) != existing.template.get(name):
                yield _attribute_detail(name)
        if takes_tags(existing.type_name) and dict(self._wanted.tags) != existing.tags:
            yield _attribute_detail("Tags")


def value_of(resource: StackResource, reference: Reference) -> Any:
    """Return what a reference to a resource that exists gives.

    Raises:
        Unresolvable: if it has no such attribute.
    """
    if reference.attribute is None:
        return resource.physical_id
    if reference.attribute not in resource.attributes:
        raise Unresolvable(
            f"Template error: resource {reference.name} does not support attribute type "
            f"{reference.attribute} in Fn::GetAtt"
        )
    return resource.attributes[reference.attribute]


def _replacement(details: list[dict[str, Any]]) -> str:
    verdict = "False"
    for each in details:
        recreation = each["Target"]["RequiresRecreation"]
        if recreation == "Always" and each["Evaluation"] == "Static":
            return "True"
        if recreation != "Never":
            verdict = "Conditional"
    return verdict


def _has_property_details(verdict: _Verdict) -> bool:
    return any(each["Target"]["Attribute"] == "Properties" for each in verdict.details)


def _cause(evaluation: str, source: str, entity: str | None = None) -> dict[str, str]:
    cause = {"Evaluation": evaluation, "ChangeSource": source}
    return cause | {"CausingEntity": entity} if entity else cause


def _reference_cause(reference: Reference, evaluation: str) -> dict[str, str]:
    if reference.attribute is None:
        return _cause(evaluation, "ResourceReference", reference.name)
    return _cause(evaluation, "ResourceAttribute", f"{reference.name}.{reference.attribute}")


def _detail(difference: Difference, recreation: str, cause: Mapping[str, str]) -> dict[str, Any]:
    target: dict[str, Any] = {
        "Attribute": "Properties",
        "Name": difference.path[0],
        "RequiresRecreation": recreation,
        "Path": f"/Properties{difference.pointer}",
        "AttributeChangeType": "Modify",
    }
    if is_absent(difference.before):
        target["AttributeChangeType"] = "Add"
    else:
        target["BeforeValue"] = shown(difference.before)
    if is_absent(difference.after):
        target["AttributeChangeType"] = "Remove"
    else:
        target["AfterValue"] = shown(difference.after)
    return {"Target": target, **cause}


def _attribute_detail(name: str) -> dict[str, Any]:
    target = {"Attribute": name, "RequiresRecreation": "Never"}
    return {"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"}


def _removal(resource: StackResource) -> dict[str, Any]:
    return {
        "Type": "Resource",
        "ResourceChange": {
            "Action": "Remove",
            "LogicalResourceId": resource.logical_id,
            "PhysicalResourceId": resource.physical_id,
            "ResourceType": resource.type_name,
            "PolicyAction": _POLICY_ACTIONS.get(resource.deletion_policy, "Delete"),
            "Scope": [],
            "Details": [],
            "BeforeContext": _context(resource.properties),
        },
    }


def _context(properties: Mapping[str, Any]) -> str:
    return json.dumps({"Properties": properties}, separators=(",", ":"))
