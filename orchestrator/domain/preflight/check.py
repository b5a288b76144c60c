# SPDX-License-Identifier: Apache-2.0
"""What a check is, and how its answer becomes findings. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from orchestrator.domain.preflight.facts import CannotTell
from orchestrator.domain.preflight.situation import Situation
from orchestrator.domain.preflight_finding import Finding, Level

# Gives a sentence for each thing that is wrong; raises CannotTell when a fact it needs could not be read.
Look = Callable[[Situation], Iterable[str]]

UNREAD_ADVICE = "let the operator make that call, or look yourself before you go on"


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: Its id.
        explains: What it looks for and why, in one sentence.
        advice: What to do about it; `{environment}`, `{fleet}`, `{group}` and `{server_class}` are filled in.
    """

    name: str
    level: Level
    explains: str
    advice: str
    look: Look

    def findings(self, situation: Situation) -> Iterator[Finding]:
        """Give what it finds; a fact that could not be read makes a warning."""
        try:
            for says in self.look(situation):
                yield Finding(self.name, self.level, says, self._advice(situation))
        except CannotTell as exc:
            unread = exc.unread
            says = f"could not be checked: {unread.call} failed: {unread.why}"
            yield Finding(self.name, Level.WARNING, says, UNREAD_ADVICE)

    def _advice(self, situation: Situation) -> str:
        intent = situation.intent
        return self.advice.format(
            environment=intent.environment,
            fleet=intent.fleet,
            group=intent.group.name,
            server_class=intent.server_class,
        )


def listed(names: Iterable[str], *, most: int = 5) -> str:
    """Return names as a sentence shows them: all of them, or the first few and how many more there are."""
    every = list(names)
    more = len(every) - most
    return ", ".join(every) if more <= 0 else f"{', '.join(every[:most])} and {more} more"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 machine`, `2 machines`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
