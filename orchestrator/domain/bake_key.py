# SPDX-License-Identifier: Apache-2.0
"""The bake key: the identity of an image's contents. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.image import BAKE_KEY_LENGTH

_EXECUTABLE = "+x"


def fingerprint(content: bytes, *, is_executable: bool = False) -> str:
    """Return what stands for a file in a closure: its hash, and whether it can be executed."""
    return hashlib.sha256(content).hexdigest() + (_EXECUTABLE if is_executable else "")


def bake_key(files: Mapping[str, str], foundation: str) -> str:
    """Return the key of a class.

    Args:
        files: The class's closure.
        foundation: The name of the image it is baked on. A parent's name holds the parent's key, so a
            change of the parent is one of all that stand on it.
    """
    # JSON, so that no two different closures are written the same way.
    text = json.dumps([foundation, sorted(files.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:BAKE_KEY_LENGTH]


@dataclass(frozen=True, slots=True)
class Changes:
    """How two closures differ, as sorted paths."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def changed_files(old: Mapping[str, str], new: Mapping[str, str]) -> Changes:
    """Return how `new` differs from `old`."""
    return Changes(
        added=tuple(sorted(new.keys() - old.keys())),
        changed=tuple(sorted(path for path in new.keys() & old.keys() if new[path] != old[path])),
        removed=tuple(sorted(old.keys() - new.keys())),
    )
