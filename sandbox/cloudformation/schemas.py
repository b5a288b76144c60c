# SPDX-License-Identifier: Apache-2.0
"""What AWS's registry says of resource types, from the schemas that cfn-lint ships.

https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
Paths are tuples of names; `*` stands for any item of a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from sandbox.cloudformation.template import as_text

Path = tuple[str, ...]
Node = Mapping[str, Any]
Recreation = Literal["Never", "Conditionally", "Always"]

# The schemas differ between regions only in what regions do not have yet; this one has everything.
_REGION = "us-east-1"
ITEM = "*"
_CHOICES = ("oneOf", "anyOf", "allOf")
_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Schema:
    """A resource type."""

    type_name: str
    root: Node
    create_only: frozenset[Path]
    conditional_create_only: frozenset[Path]
    read_only: frozenset[Path]
    write_only: frozenset[Path]
    primary_identifier: tuple[Path, ...]
    tag_property: str | None

    def recreation(self, path: Path) -> Recreation:
        """Return whether a change at `path` needs another resource."""
        if _touches(path, self.create_only):
            return "Always"
        return "Conditionally" if _touches(path, self.conditional_create_only) else "Never"

    def is_write_only(self, path: Path) -> bool:
        """Return whether what is at `path` cannot be read back."""
        return any(path[: len(other)] == other for other in self.write_only)

    def is_unordered(self, path: Path) -> bool:
        """Return whether the order of the list at `path` means nothing."""
        return any(node.get("insertionOrder") is False for node in self.nodes(path))

    def nodes(self, path: Path) -> list[Node]:
        """Return what describes the value at `path`; none where anything may be."""
        nodes = [self.root]
        for name in path:
            nodes = [child for node in nodes for child in self.step(node, name)]
        return nodes

    def step(self, node: Node, name: str) -> list[Node]:
        """Return what describes an item or a property of what `node` describes."""
        return [child for each in self.spread(node) for child in _children(each, name)]

    def spread(self, node: Node) -> Iterator[Node]:
        """Follow references and choices from a node to all that describe the same value."""
        if reference := node.get("$ref"):
            target: Any = self.root
            for part in str(reference).removeprefix("#/").split("/"):
                target = target[part]
            yield from self.spread(target)
        yield node
        for kind in _CHOICES:
            for choice in node.get(kind, ()):
                yield from self.spread(choice)

    def coerce(self, value: Any, node: Node | None = None) -> Any:
        """Return `value` with every scalar as the type the schema gives; templates may write all as text."""
        nodes = list(self.spread(self.root if node is None else node))
        if isinstance(value, dict):
            return {name: self._coerce_child(nodes, name, item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._coerce_child(nodes, ITEM, item) for item in value]
        kinds = [kind for each in nodes for kind in _kinds(each)]
        return _coerce_scalar(value, kinds)

    def _coerce_child(self, nodes: list[Node], name: str, value: Any) -> Any:
        children = [child for node in nodes for child in _children(node, name)]
        return self.coerce(value, {"anyOf": children}) if children else value


def _children(node: Node, name: str) -> list[Node]:
    if name == ITEM:
        items = node.get("items")
        return [items] if isinstance(items, dict) else []
    found = [node["properties"][name]] if name in node.get("properties", {}) else []
    for pattern, child in node.get("patternProperties", {}).items():
        if not found and isinstance(child, dict) and _matches(pattern, name):
            found.append(child)
    if not found and isinstance(node.get("additionalProperties"), dict):
        found.append(node["additionalProperties"])
    return found


@cache
def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # a pattern in a dialect that Python does not have
        return True


def _kinds(node: Node) -> list[str]:
    kind = node.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _coerce_scalar(value: Any, kinds: list[str]) -> Any:
    if isinstance(value, str):
        return _from_text(value, kinds)
    is_text = "string" in kinds and not {"integer", "number", "boolean", "object"} & set(kinds)
    return as_text(value) if is_text and isinstance(value, bool | int | float) else value


def _from_text(value: str, kinds: list[str]) -> Any:
    if not kinds or "string" in kinds:
        return value
    if "boolean" in kinds and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if {"integer", "number"} & set(kinds) and _INTEGER.fullmatch(value):
        return int(value)
    if "number" in kinds and _NUMBER.fullmatch(value):
        return float(value)
    return value


def _touches(path: Path, others: frozenset[Path]) -> bool:
    """Return whether one of the paths is at, above or below `path`."""
    return any(path[: len(other)] == other[: len(path)] for other in others)


@cache
def schema(type_name: str) -> Schema | None:
    """Return the schema of a type; None if AWS's registry has no such type."""
    # Reading cfn-lint's data takes half a second that a region without stacks need not spend.
    from cfnlint.schema import ResourceNotFoundError  # noqa: PLC0415
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # noqa: PLC0415

    try:
        root = PROVIDER_SCHEMA_MANAGER.get_resource_schema(_REGION, type_name).schema
    except ResourceNotFoundError:
        return None
    tagging = root.get("tagging", {})
    tag_path = tagging.get("tagProperty", "/properties/Tags")
    tag_property = _path(tag_path)[0] if tagging.get("taggable", True) else None
    return Schema(
        type_name=type_name,
        root=root,
        create_only=_paths(root, "createOnlyProperties"),
        conditional_create_only=_paths(root, "conditionalCreateOnlyProperties"),
        read_only=_paths(root, "readOnlyProperties"),
        write_only=_paths(root, "writeOnlyProperties"),
        primary_identifier=tuple(_path(each) for each in root.get("primaryIdentifier", ())),
        tag_property=tag_property if tag_property in root.get("properties", {}) else None,
    )


def takes_tags(type_name: str) -> bool:
    """Return whether resources of a type carry the tags of their stack."""
    described = schema(type_name)
    return described is not None and described.tag_property is not None


def _paths(root: Node, name: str) -> frozenset[Path]:
    return frozenset(_path(each) for each in root.get(name, ()))


def _path(pointer: str) -> Path:
    return tuple(pointer.removeprefix("/properties/").split("/"))
