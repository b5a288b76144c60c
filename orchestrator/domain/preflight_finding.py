# SPDX-License-Identifier: Apache-2.0
"""What a check finds before a rollout. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    ERROR = "error"  # refuses the rollout
    WARNING = "warning"  # is shown in the plan


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found, and what to do about it. `check` is its id: `image-exists`."""

    check: str
    level: Level
    says: str
    advice: str

    def line(self) -> str:
        """Return it as an operator reads it."""
        return f"{self.level} {self.check}: {self.says}; {self.advice}"
