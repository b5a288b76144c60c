# SPDX-License-Identifier: Apache-2.0
"""The steps of a command: live rows on a terminal, else plain lines. On stderr."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

BAR_WIDTH = 18


class PlainReporter:
    """One line a step: `bake api: 3/7 provision: Install packages`."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        return None

    def step(self, task: str, text: str, *, position: tuple[int, int] | None = None) -> None:
        place = f"{position[0]}/{position[1]} " if position else ""
        self._line(f"{self._verb} {task}: {place}{text}")

    def done(self, task: str, text: str) -> None:
        self._line(f"{self._verb} {task}: done, {text}")

    def failed(self, task: str, text: str) -> None:
        self._line(f"{self._verb} {task}: FAILED, {text}")

    def note(self, text: str) -> None:
        self._line(text)

    def _line(self, text: str) -> None:
        with self._lock:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


class _Row:
    """One task on the terminal."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = ""
        self.position: tuple[int, int] | None = None
        self.begun_s = time.monotonic()
        self.ended_s: float | None = None
        self.is_failed = False
        self.spinner = Spinner("dots")

    @property
    def elapsed(self) -> str:
        seconds = int((self.ended_s or time.monotonic()) - self.begun_s)
        return f"{seconds // 60}:{seconds % 60:02}"

    def mark(self) -> Spinner | Text:
        if self.ended_s is None:
            return self.spinner
        return Text("✗", "bold red") if self.is_failed else Text("✓", "bold green")

    def bar(self) -> Text:
        if self.position is None:
            return Text(" " * BAR_WIDTH)
        place, total = self.position
        # The bar counts steps that are over, so the running one does not show as done.
        finished = total if self.ended_s is not None and not self.is_failed else place - 1
        filled = BAR_WIDTH * finished // total
        style = "red" if self.is_failed else "cyan"
        return Text("━" * filled, style) + Text("━" * (BAR_WIDTH - filled), "grey30")


class LiveReporter:
    """A row a task: mark, name, bar of steps, time, and the step it is at."""

    def __init__(self, verb: str, console: Console | None = None) -> None:
        self._verb = verb
        self._console = console or Console(stderr=True, highlight=False)
        self._rows: dict[str, _Row] = {}
        self._lock = threading.Lock()
        self._live = Live(
            get_renderable=self._render, console=self._console, refresh_per_second=8, redirect_stdout=False
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def step(self, task: str, text: str, *, position: tuple[int, int] | None = None) -> None:
        with self._lock:
            row = self._rows.setdefault(task, _Row(task))
            row.text, row.position = text, position or row.position

    def done(self, task: str, text: str) -> None:
        self._end(task, text, is_failed=False)

    def failed(self, task: str, text: str) -> None:
        self._end(task, text, is_failed=True)

    def note(self, text: str) -> None:
        self._console.print(Text(text))

    def _end(self, task: str, text: str, *, is_failed: bool) -> None:
        with self._lock:
            row = self._rows.setdefault(task, _Row(task))
            row.text, row.is_failed, row.ended_s = text, is_failed, time.monotonic()

    def _render(self) -> RenderableType:
        # Expanded, so that a long step is cut and not the names beside it.
        table = Table.grid(padding=(0, 1), expand=True)
        with self._lock:
            rows = tuple(self._rows.values())
        # Work without a known number of steps has no bar.
        has_bars = any(row.position for row in rows)
        for _ in range(3 + has_bars):
            table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for row in rows:
            name, elapsed = Text(f"{self._verb} {row.name}", "bold"), Text(row.elapsed, "dim")
            bar = (row.bar(),) if has_bars else ()
            table.add_row(row.mark(), name, *bar, elapsed, Text(row.text))
        return table


def reporter(verb: str) -> PlainReporter | LiveReporter:
    """Return the reporter that fits stderr. Use it as a context manager."""
    return LiveReporter(verb) if sys.stderr.isatty() else PlainReporter(verb)
