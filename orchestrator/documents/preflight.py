# SPDX-License-Identifier: Apache-2.0
"""Write docs/preflight.md from the registry of checks: `python -m orchestrator.documents.preflight`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestrator.domain.preflight import CHECKS, Check, group, images, room, surroundings, template
from orchestrator.domain.preflight_finding import Level

DOCUMENT = Path("docs/preflight.md")

_INTRODUCTION = """\
# What is checked before a rollout

Made from the registry of checks by `./inv docs`; a test fails when it is out of date.

`invoke rollout` looks at all of this before it changes anything, and `--dry-run` ends with it. An **error**
refuses the rollout (exit code 4), a **warning** is shown in the plan and leaves the choice to you. What can
only be found out by trying is not here: that is what checkpoints, alarms and the guard are for.

A check that needs something which AWS does not let the operator read, or fails to tell, says so in a warning:
it `could not be checked`, and by which call. All is looked up by calls that change nothing, and the number of
machines does not make them more.

In what to do, `{environment}`, `{fleet}`, `{group}` and `{server_class}` stand for the rollout's own.
"""
_PARTS: tuple[tuple[str, tuple[Check, ...]], ...] = (
    ("The images", images.CHECKS),
    ("The launch template and what it names", template.CHECKS),
    ("The group", group.CHECKS),
    ("Room for the machines that run beside the old ones", room.CHECKS),
    ("What is around it", surroundings.CHECKS),
)
_LEVELS = {Level.ERROR: "**error**", Level.WARNING: "warning"}


def page() -> str:
    """Return the page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    for title, checks in _PARTS:
        yield f"## {title}\n"
        yield "| check | level | what has to be so | what to do if it is not |"
        yield "|---|---|---|---|"
        for check in checks:
            yield f"| `{check.name}` | {_LEVELS[check.level]} | {check.explains} | {check.advice} |"
        yield ""
    yield f"{len(CHECKS)} checks in all, in the order in which they are told."
    yield ""


if __name__ == "__main__":
    DOCUMENT.write_text(page(), "utf-8")
