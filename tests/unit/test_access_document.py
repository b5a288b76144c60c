# SPDX-License-Identifier: Apache-2.0
"""docs/access.md: its picture is as drawn, and it tells of every way in which a door can fail."""

from __future__ import annotations

from pathlib import Path

from orchestrator.documents.access import PICTURE, picture
from orchestrator.errors import DoorError

PROJECT = Path(__file__).resolve().parents[2]


def test_the_picture_is_as_drawn() -> None:
    assert (PROJECT / PICTURE).read_text("utf-8") == picture()


def test_every_failure_of_a_door_is_in_the_table_with_its_exit_code() -> None:
    lines = (PROJECT / "docs/access.md").read_text("utf-8").splitlines()
    told = {line.split("|")[1].strip() for line in lines if line.startswith("|")}
    codes = {str(each.exit_code) for each in DoorError.__subclasses__()}
    assert len(codes) == len(DoorError.__subclasses__()) > 0
    assert codes <= told
