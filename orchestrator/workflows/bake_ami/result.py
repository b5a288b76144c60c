# SPDX-License-Identifier: Apache-2.0
"""What became of each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """How it ended for a class."""

    UP_TO_DATE = "up to date"
    PUBLISHED = "published"
    FAILED = "failed"
    SKIPPED = "skipped, its parent failed"


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One class: its image, unless it failed, and how long it took."""

    name: str
    fate: Fate
    image_name: str = ""
    ami_id: str = ""
    seconds: float = 0.0

    def line(self) -> str:
        """Return the result as an operator reads it."""
        if self.fate in (Fate.FAILED, Fate.SKIPPED):
            return f"{self.name}: {self.fate.value}"
        took = f" in {self.seconds:.0f} s" if self.fate is Fate.PUBLISHED else ""
        return f"{self.name}: {self.fate.value}, {self.ami_id} ({self.image_name}){took}"


@dataclass(frozen=True, slots=True)
class BakeResult:
    """All classes, parents first."""

    run_id: str
    classes: Mapping[str, ClassResult]

    def as_dict(self) -> dict[str, object]:
        """Return the result for `--json`."""
        rows = [
            {
                "class": each.name,
                "fate": each.fate.value,
                "image_name": each.image_name,
                "ami_id": each.ami_id,
                "seconds": round(each.seconds, 1),
            }
            for each in self.classes.values()
        ]
        return {"run_id": self.run_id, "classes": rows}

    def lines(self) -> tuple[str, ...]:
        """Return the result as an operator reads it."""
        return tuple(each.line() for each in self.classes.values())
