# SPDX-License-Identifier: Apache-2.0
"""Replace attributes of moto for as long as a region runs, and put them back."""

from __future__ import annotations

from typing import Any

_ABSENT = object()


class Patches:
    """A stack of replaced attributes of moto, whose state is global: a process has one region at a time."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []

    def replace(self, owner: Any, name: str, value: Any) -> Any:
        """Set `owner.name` to `value` and return what it was."""
        original = vars(owner).get(name, _ABSENT)
        self._undo.append((owner, name, original))
        inherited = getattr(owner, name, None)
        setattr(owner, name, value)
        return inherited

    def undo(self) -> None:
        """Put everything back, latest first."""
        while self._undo:
            owner, name, original = self._undo.pop()
            if original is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
