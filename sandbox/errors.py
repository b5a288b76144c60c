# SPDX-License-Identifier: Apache-2.0
"""What the region's commands raise."""

from __future__ import annotations


class SandboxError(Exception):
    """The region could not do what was asked: `cause` says why, `next_step` which command helps."""

    def __init__(self, cause: str, *, next_step: str = "") -> None:
        super().__init__(cause, next_step)
        self.cause = cause
        self.next_step = next_step

    def __str__(self) -> str:
        return self.cause if not self.next_step else f"{self.cause}\nnext: {self.next_step}"
