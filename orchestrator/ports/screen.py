# SPDX-License-Identifier: Apache-2.0
"""What an operator sees."""

from __future__ import annotations

from typing import Protocol


class StepSink(Protocol):
    """Takes the steps of one long task as they begin."""

    def __call__(self, text: str, /) -> None:
        """Show the step."""


class Reporter(Protocol):
    """Shows an operator what happens, on stderr."""

    def step(self, task: str, text: str, *, position: tuple[int, int] | None = None) -> None:
        """Show that `task` (a class, a fleet) has reached a step, `position` being (k-th, of n)."""

    def done(self, task: str, text: str) -> None:
        """Show that `task` has ended well."""

    def failed(self, task: str, text: str) -> None:
        """Show that `task` has failed."""

    def note(self, text: str) -> None:
        """Show a line that belongs to no task."""
