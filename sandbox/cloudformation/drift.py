# SPDX-License-Identifier: Apache-2.0
"""Compare what a template says with what is there. Pure.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html
Only what the template sets is compared: a property it does not have is no drift, whatever its value is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.cloudformation.differences import shown
from sandbox.cloudformation.schemas import ITEM, Path, Schema

_SECRET = "{{resolve:secretsmanager:"  # noqa: S105 - how a reference to a secret begins
_NOTHING: tuple[Any, ...] = (None, [], {}, "")


@dataclass(frozen=True, slots=True)
class PropertyDifference:
    """One property that is not as the template says; `kind` is ADD, REMOVE or NOT_EQUAL."""

    path: str
    kind: str
    expected: Any
    actual: Any

    def shown(self) -> dict[str, str]:
        """Return it as the API shows it."""
        return {
            "PropertyPath": self.path,
            "DifferenceType": self.kind,
            "ExpectedValue": shown(self.expected),
            "ActualValue": shown(self.actual),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compares resources of one type.

    Attributes:
        stack_tags: Tags that are not the template's, and so are nobody's drift.
        open_lists: Properties of which the template need only have some items, each known by its key.
    """

    described: Schema | None
    stack_tags: Mapping[str, str]
    open_lists: frozenset[str] = frozenset()

    def differences(self, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[PropertyDifference]:
        """Return how `actual` differs from what the template expects."""
        wanted = self.comparable(expected)
        found = self.visible(wanted, actual)
        return list(self._objects((), "", wanted, found))

    def comparable(self, expected: Mapping[str, Any]) -> dict[str, Any]:
        """Return what of the expected properties can be read back."""
        return {
            name: value
            for name, value in expected.items()
            if self.described is None or not self.described.is_write_only((name,))
        }

    def visible(self, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is there of what the template sets, in the schema's types and without others' tags."""
        kept = {name: value for name, value in actual.items() if name in expected}
        coerced: dict[str, Any] = self.described.coerce(kept) if self.described else kept
        tags = self.described.tag_property if self.described else None
        if tags is not None and tags in coerced:
            coerced[tags] = self._own_tags(coerced[tags], expected[tags])
        return coerced

    def presentable(self, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> dict[str, Any]:
        """Return what may be shown of what is there: no value that the template refers to as a secret."""
        wanted = self.comparable(expected)
        found = self.visible(wanted, actual)
        return {name: wanted[name] if _SECRET in shown(wanted[name]) else it for name, it in found.items()}

    def _own_tags(self, tags: Any, expected: Any) -> Any:
        if isinstance(tags, dict):
            named = expected if isinstance(expected, dict) else {}
            return {name: value for name, value in tags.items() if name in named or not self._is_given(name)}
        if not isinstance(tags, list):
            return tags
        keys = {each.get("Key") for each in expected if isinstance(each, dict)}
        return [each for each in tags if each.get("Key") in keys or not self._is_given(each.get("Key", ""))]

    def _is_given(self, tag: str) -> bool:
        return tag.startswith("aws:") or tag in self.stack_tags

    def _values(self, path: Path, pointer: str, expected: Any, actual: Any) -> Iterator[PropertyDifference]:
        if self._is_hidden(path, expected) or expected == actual:
            return
        if expected in _NOTHING and actual in _NOTHING:
            return
        if actual is None:
            yield PropertyDifference(pointer, "REMOVE", expected, "null")
        elif isinstance(expected, dict) and isinstance(actual, dict) and self._has_shape(path, expected):
            yield from self._objects(path, pointer, expected, actual)
        elif isinstance(expected, list) and isinstance(actual, list):
            yield from self._lists(path, pointer, expected, actual)
        else:
            yield PropertyDifference(pointer, "NOT_EQUAL", expected, actual)

    def _is_hidden(self, path: Path, expected: Any) -> bool:
        if isinstance(expected, str) and _SECRET in expected:
            return True
        if self.described is None:
            return False
        if self.described.is_write_only(path):
            return True
        # A function's code: it can be read back itself, but nothing that is in it.
        is_object = isinstance(expected, dict) and bool(expected)
        return is_object and all(self.described.is_write_only((*path, name)) for name in expected)

    def _has_shape(self, path: Path, expected: Mapping[str, Any]) -> bool:
        """Return whether names that the template leaves out may have defaults; not so in policy documents."""
        if self.described is None:
            return True
        return all(self.described.nodes((*path, name)) for name in expected)

    def _objects(
        self, path: Path, pointer: str, expected: Mapping[str, Any], actual: Mapping[str, Any]
    ) -> Iterator[PropertyDifference]:
        for name, value in expected.items():
            yield from self._values((*path, name), f"{pointer}/{name}", value, actual.get(name))

    def _lists(
        self, path: Path, pointer: str, expected: list[Any], actual: list[Any]
    ) -> Iterator[PropertyDifference]:
        if ".".join(path) in self.open_lists:
            keys = [each.get("Key") for each in expected]
            by_key = {each.get("Key"): each for each in actual}
            actual = [by_key[key] for key in keys if key in by_key]
        if self._is_unordered(path):
            yield from self._sets(path, pointer, expected, actual)
            return
        inner = (*path, ITEM)
        for index, (one, other) in enumerate(zip(expected, actual, strict=False)):
            yield from self._values(inner, f"{pointer}/{index}", one, other)
        for index, value in enumerate(expected[len(actual) :], len(actual)):
            yield PropertyDifference(f"{pointer}/{index}", "REMOVE", value, "null")
        for index, value in enumerate(actual[len(expected) :], len(expected)):
            yield PropertyDifference(f"{pointer}/{index}", "ADD", "null", value)

    def _is_unordered(self, path: Path) -> bool:
        if self.described is None:
            return False
        return path == (self.described.tag_property,) or self.described.is_unordered(path)

    def _sets(
        self, path: Path, pointer: str, expected: list[Any], actual: list[Any]
    ) -> Iterator[PropertyDifference]:
        inner = (*path, ITEM)
        left = list(enumerate(actual))
        for index, value in enumerate(expected):
            found = next((each for each in left if not any(self._values(inner, "", value, each[1]))), None)
            if found is None:
                yield PropertyDifference(f"{pointer}/{index}", "REMOVE", value, "null")
            else:
                left.remove(found)
        for index, value in left:
            yield PropertyDifference(f"{pointer}/{index}", "ADD", "null", value)
