# SPDX-License-Identifier: Apache-2.0
"""Where two values differ, and whether a resource outlives the difference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.cloudformation.schemas import ITEM, Path, schema

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """Two values that differ: `path` as schemas have it, `pointer` with the positions in lists."""

    path: Path
    pointer: str
    before: Any
    after: Any


def differences(before: Any, after: Any, path: Path = (), pointer: str = "") -> Iterator[Difference]:
    """Compare two values down to where they differ."""
    if before == after and isinstance(before, bool) == isinstance(after, bool):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            yield from differences(
                before.get(name, _ABSENT), after.get(name, _ABSENT), (*path, name), f"{pointer}/{name}"
            )
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, (*path, ITEM), f"{pointer}/{index}")
    else:
        yield Difference(path, pointer, before, after)


def is_absent(value: Any) -> bool:
    """Return whether a difference has nothing on this side."""
    return value is _ABSENT


def must_replace(type_name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether a resource can't be changed in place."""
    described = schema(type_name)
    return described is not None and any(
        described.recreation(each.path) == "Always" for each in differences(dict(before), dict(after))
    )


def shown(value: Any) -> str:
    """Return a value as AWS shows it in differences: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
