# SPDX-License-Identifier: Apache-2.0
"""What became of each stack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Fate(StrEnum):
    """How it ended for a stack."""

    UNCHANGED = "no changes"
    CREATED = "created"
    UPDATED = "updated"
    SET = "set"
    DELETED = "deleted"
    FAILED = "failed"
    WAITS = "waits"
    SKIPPED = "not begun"


@dataclass(frozen=True, slots=True)
class StackResult:
    """One stack, and how long it took."""

    name: str
    fate: Fate
    seconds: float = 0.0
    reason: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)

    def line(self) -> str:
        """Return the result as an operator reads it."""
        took = f" in {self.seconds:.0f} s" if self.fate in (Fate.CREATED, Fate.UPDATED, Fate.DELETED) else ""
        return f"{self.name}: {self.fate.value}{took}" + (f", {self.reason}" if self.reason else "")


def by_fate(results: Iterable[StackResult]) -> str:
    """Return what became of stacks in one line: `created a, b; failed c`."""
    names: dict[Fate, list[str]] = {}
    for each in results:
        names.setdefault(each.fate, []).append(each.name)
    return "; ".join(f"{fate.value}: {', '.join(some)}" for fate, some in names.items())


@dataclass(frozen=True, slots=True)
class ProvisionResult:
    """All stacks, in the order of the plan."""

    run_id: str
    stacks: tuple[StackResult, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the result for `--json`."""
        rows = [
            {
                "stack": each.name,
                "fate": each.fate.name.lower(),
                "seconds": round(each.seconds, 1),
                "reason": each.reason,
                "outputs": dict(each.outputs),
            }
            for each in self.stacks
        ]
        return {"run_id": self.run_id, "stacks": rows}

    def lines(self) -> tuple[str, ...]:
        """Return the result as an operator reads it."""
        return tuple(each.line() for each in self.stacks)
