# SPDX-License-Identifier: Apache-2.0
"""What the linters of templates are given to read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stacks import write

PROJECT = Path(__file__).resolve().parents[3]


def test_every_template_is_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "templates"
    folder.mkdir(parents=True)
    (folder / "slipway-gone-network.json").write_text("{}")
    write.write(PROJECT, folder)
    stacks = {stack.name: stack.body() for stack in write.all_stacks(PROJECT)}
    assert {path.stem: path.read_text() for path in folder.iterdir()} == stacks


def skips() -> Iterator[tuple[str, dict[str, Any]]]:
    for stack in write.all_stacks(PROJECT):
        for title, resource in json.loads(stack.body())["Resources"].items():
            for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", ()):
                yield f"{stack.name}/{title}", skip


def test_a_check_is_skipped_only_with_a_reason() -> None:
    found = list(skips())
    assert found
    without = [where for where, skip in found if not skip["id"] or len(skip["comment"].split()) < 4]
    assert without == []
