# SPDX-License-Identifier: Apache-2.0
"""The page on the local region lists each choice where AWS documents nothing, as the code has it."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from sandbox.autoscaling.refresh.choices import Choices

PAGE = Path(__file__).resolve().parents[3] / "docs" / "local-region.md"


def test_each_choice_is_in_the_page_with_what_it_means_and_its_default() -> None:
    told = " ".join((Choices.__doc__ or "").split())
    rows = []
    for each in fields(Choices):
        found = re.search(rf"\b{each.name}: (.+?)\.(?: \w+: |$)", told)
        assert found, each.name
        rows.append(f"| `{each.name}` | {_word(each.default)} | {found[1]} |")
    assert "\n".join(rows) in PAGE.read_text("utf-8"), "\n".join(rows)


def _word(value: object) -> str:
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
