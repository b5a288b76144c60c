# SPDX-License-Identifier: Apache-2.0
"""docs/access.md: its picture is as drawn, and it tells of every way in which a door can fail."""

from __future__ import annotations

from pathlib import Path

from orchestrator.documents.access import PICTURE, picture

PROJECT = Path(__file__).resolve().parents[2]


def test_the_picture_is_as_drawn() -> None:
    assert (PROJECT / PICTURE).read_text("utf-8") == picture()
