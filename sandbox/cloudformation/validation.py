# SPDX-License-Identifier: Apache-2.0
"""Refuse, by name and before anything is made, what of a template the region cannot make.

AWS does the same since it validates stacks before it deploys them:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/validate-stack-deployments.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.api.errors import unsupported
from sandbox.cloudformation.handler import Handler
from sandbox.cloudformation.schemas import ITEM, Node, Path, Schema, schema
from sandbox.cloudformation.template import Template, invalid

Handlers = Mapping[str, Handler]

POLICIES = {
    "DeletionPolicy": ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot"),
    "UpdateReplacePolicy": ("Delete", "Retain", "Snapshot"),
}
_HANDLED_POLICIES = ("CreationPolicy", "UpdatePolicy")


def check_types(template: Template, handlers: Handlers) -> None:
    """Refuse types that AWS does not know, or the region not.

    Raises:
        AwsError: naming all of them.
    """
    types = sorted({str(resource["Type"]) for resource in template.resources.values()} - handlers.keys())
    if unknown := [name for name in types if schema(name) is None]:
        raise invalid(f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]")
    if types:
        raise unsupported(f"cloudformation with resources of type {', '.join(types)}")


def problems(template: Template, handlers: Handlers) -> list[str]:
    """Say of each resource what the region can't apply, or AWS wouldn't."""
    found = []
    for logical_id, resource in template.resources.items():
        for problem in _resource_problems(resource, handlers[resource["Type"]]):
            found.append(f"Properties validation failed for resource {logical_id} with message: {problem}")
    return found


def _resource_problems(resource: Mapping[str, Any], handler: Handler) -> Iterator[str]:
    for name, allowed in POLICIES.items():
        if resource.get(name, "Delete") not in allowed:
            yield f"{name} {resource[name]!r} is none of {', '.join(allowed)}"
    for name, stated in ((name, resource[name]) for name in _HANDLED_POLICIES if name in resource):
        for part in stated:
            if not covers(handler.properties, (name, part)):
                yield f"#/{name}/{part} is not supported by the local AWS region"
    yield from _snapshot_problems(resource, handler)
    properties = resource.get("Properties") or {}
    described = schema(handler.type_name)
    if described is not None:
        yield from _schema_problems(described, properties)
    for path in unsupported_paths(properties, handler.properties):
        yield f"#/{'/'.join(path)} is not supported by the local AWS region"


def _snapshot_problems(resource: Mapping[str, Any], handler: Handler) -> Iterator[str]:
    for name in POLICIES:
        if resource.get(name) == "Snapshot" and not hasattr(handler, "snapshot"):
            yield f"{name} Snapshot is not supported by the local AWS region"


def unsupported_paths(properties: Any, supported: frozenset[str]) -> Iterator[Path]:
    """Give the paths of a resource's properties that a handler does not list; the highest ones only."""
    return _unsupported((), properties, supported)


def _unsupported(path: Path, value: Any, supported: frozenset[str]) -> Iterator[Path]:
    for each in branches(value):
        if isinstance(each, list):
            for item in each:
                yield from _unsupported(path, item, supported)
        elif isinstance(each, dict) and not is_function(each):
            for name, child in each.items():
                yield from _unsupported_child((*path, name), child, supported)


def _unsupported_child(path: Path, value: Any, supported: frozenset[str]) -> Iterator[Path]:
    if covers(supported, path):
        return
    dotted = ".".join(path) + "."
    if not any(other.startswith(dotted) for other in supported):
        yield path
    else:
        yield from _unsupported(path, value, supported)


def covers(supported: frozenset[str], path: Path) -> bool:
    """Return whether one of the names is the path, or above it."""
    return any(".".join(path[:length]) in supported for length in range(1, len(path) + 1))


def is_function(value: Mapping[str, Any]) -> bool:
    """Return whether an object of a template is an intrinsic function."""
    if len(value) != 1:
        return False
    name = next(iter(value))
    return name in ("Ref", "Condition") or name.startswith("Fn::")


def branches(value: Any) -> Iterator[Any]:
    """Give what a value may be: itself, or all that a Fn::If chooses from."""
    if isinstance(value, dict) and value.keys() == {"Fn::If"}:
        argument = value["Fn::If"]
        for branch in argument[1:] if isinstance(argument, list) else ():
            yield from branches(branch)
    else:
        yield value


def _schema_problems(described: Schema, properties: Mapping[str, Any]) -> Iterator[str]:
    for path in sorted(described.read_only):
        if len(path) == 1 and path[0] in properties and path not in described.create_only:
            yield f"#: extraneous key [{path[0]}] is not permitted: it is read-only"
    yield from _node_problems(described, [described.root], (), properties)


def _node_problems(described: Schema, nodes: list[Node], path: Path, value: Any) -> Iterator[str]:
    """Compare a value with what describes it: unknown names, and names that are missing."""
    nodes = [each for node in nodes for each in described.spread(node)]
    for each in branches(value):
        if isinstance(each, list):
            items = [child for node in nodes for child in described.step(node, ITEM)]
            for item in each:
                yield from _node_problems(described, items, (*path, ITEM), item)
        elif isinstance(each, dict) and not is_function(each):
            yield from _object_problems(described, nodes, path, each)


def _object_problems(
    described: Schema, nodes: list[Node], path: Path, value: Mapping[str, Any]
) -> Iterator[str]:
    where = "/".join(("#", *path))
    is_closed = any(node.get("additionalProperties") is False and node.get("properties") for node in nodes)
    shapes = [node for node in nodes if node.get("properties")]
    for name in shapes[0].get("required", ()) if len(shapes) == 1 else ():
        if name not in value:
            yield f"{where}: required key [{name}] not found"
    for name, child in value.items():
        children = [found for node in nodes for found in described.step(node, name)]
        if not children and is_closed:
            yield f"{where}: extraneous key [{name}] is not permitted"
        elif children:
            yield from _node_problems(described, children, (*path, name), child)
