# SPDX-License-Identifier: Apache-2.0
"""Shells, keys, programs and the operator's screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.ports import CommandResult
from tests.fakes.basics import Recorded
from tests.fakes.ec2 import HOST_KEY


class FakeKeyMaker:
    """Writes files that look like keys."""

    def make(self, folder: Path, name: str) -> tuple[Path, str]:
        path = folder / name
        path.touch(mode=0o600, exist_ok=False)
        path.write_text("no key\n")
        return path, f"{HOST_KEY} {name}"


@dataclass
class FakeShell(Recorded):
    """Answers each command as the test says."""

    answer: Callable[[str, bytes], CommandResult]

    def __post_init__(self) -> None:
        super().__init__()

    def run(self, command: str, *, stdin: bytes = b"", timeout_s: float = 120) -> CommandResult:
        self._note(command)
        return self.answer(command, stdin)


class FakeShells(Recorded):
    """Opens shells that answer as the test says; `hosts` has what each connection was asked for."""

    def __init__(self, answer: Callable[[str, bytes], CommandResult]) -> None:
        super().__init__()
        self._answer = answer
        self.hosts: list[tuple[str, str, tuple[str, ...]]] = []

    @contextmanager
    def connect(
        self, address: str, *, user: str, private_key: Path, host_keys: Sequence[str], timeout_s: float
    ) -> Iterator[FakeShell]:
        self._note("connect")
        self.hosts.append((address, user, tuple(host_keys)))
        yield FakeShell(self._answer)


@dataclass
class FakeReporter:
    """Keeps what an operator would see, as (kind, task, text)."""

    lines: list[tuple[str, str, str]] = field(default_factory=list)

    def step(self, task: str, text: str, *, position: tuple[int, int] | None = None) -> None:
        self.lines.append(("step", task, text))

    def done(self, task: str, text: str) -> None:
        self.lines.append(("done", task, text))

    def failed(self, task: str, text: str) -> None:
        self.lines.append(("failed", task, text))

    def note(self, text: str) -> None:
        self.lines.append(("note", "", text))

    def of(self, kind: str) -> list[tuple[str, str]]:
        """Return the (task, text) of one kind."""
        return [(task, text) for each, task, text in self.lines if each == kind]


@dataclass
class FakePrograms:
    """Remembers whose programs were ended."""

    ended_runs: list[str] = field(default_factory=list)
    terminations: int = 0

    def terminate_all(self) -> None:
        self.terminations += 1

    def end_run(self, run_id: str) -> int:
        self.ended_runs.append(run_id)
        return 0
