# SPDX-License-Identifier: Apache-2.0
"""What was measured: a table on the terminal, and on demand the generated parts of docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_GIB = 1 << 30
_COLUMNS = ("measured", "result", "detail", "target")
_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. `result` and `detail` carry their units."""

    what: str
    result: str
    detail: str = ""
    target: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """Return the row in the order of the columns."""
        return self.what, self.result, self.detail, self.target


def sample(what: str, values: Sequence[float], *, unit: str, target: str = "", digits: int = 2) -> Row:
    """Return the row of repeated measurements: their median, and how far they lie apart."""
    detail = f"median of {len(values)}, {min(values):.{digits}f} to {max(values):.{digits}f}"
    return Row(what, f"{statistics.median(values):.{digits}f} {unit}".rstrip(), detail, target)


class Report:
    """The tables of one run, by section."""

    def __init__(self) -> None:
        self._sections: dict[str, tuple[str, tuple[Row, ...]]] = {}

    def add(self, section: str, rows: Sequence[Row]) -> None:
        """Add a section whose measurement has just ended."""
        self._sections[section] = surroundings(), tuple(rows)

    def text(self) -> str:
        """Return all tables for a terminal."""
        return "\n".join(_plain(name, *section) for name, section in sorted(self._sections.items()))

    def write(self, document: Path) -> None:
        """Replace the sections of the document that were measured; the others stay as they are.

        Raises:
            LookupError: The document has no such section.
        """
        text = document.read_text("utf-8")
        for name, (where, rows) in self._sections.items():
            text = _replaced(text, name, "\n".join((where, "", *_markdown(rows))))
        document.write_text(text, "utf-8")


def _replaced(text: str, section: str, content: str) -> str:
    begin, end = f"<!-- generated: {section} -->\n", "<!-- end -->"
    head, found, rest = text.partition(begin)
    if not found or end not in rest:
        raise LookupError(f"docs/benchmarks.md has no section {section}")
    return f"{head}{begin}{content}\n{end}{rest.partition(end)[2]}"


def _plain(name: str, where: str, rows: Sequence[Row]) -> str:
    table = [_COLUMNS, *(row.cells for row in rows)]
    widths = [max(len(cells[place]) for cells in table) for place in range(len(_COLUMNS))]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)) for cells in table
    ]
    return "\n".join((f"{name}: {where}", *(f"  {line}".rstrip() for line in lines), ""))


def _markdown(rows: Sequence[Row]) -> list[str]:
    table = [_COLUMNS, ("---",) * len(_COLUMNS), *(row.cells for row in rows)]
    return [f"| {' | '.join(cells)} |" for cells in table]


def surroundings() -> str:
    """Return when and on what the numbers were measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    tools = ", ".join(_version_of(tool) for tool in ("podman", "packer"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"Python {platform.python_version()}, {tools}; load average {os.getloadavg()[1]:.1f} (5 minutes)"
    )


def _version_of(tool: str) -> str:
    done = subprocess.run(
        [tool, "version"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"CHECKPOINT_DISABLE": "1"},
    )
    found = _VERSION.search(done.stdout)
    return f"{tool} {found[0] if found else 'missing'}"
