# SPDX-License-Identifier: Apache-2.0
"""On a machine of a fleet sshd takes no keys but those that this program knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from operator_access.server import RELOAD, let_in_only_who_is_known, run_program


def test_the_server_is_told_once(tmp_path: Path) -> None:
    calls: list[Sequence[str]] = []
    for _ in range(2):
        let_in_only_who_is_known(directory=tmp_path, run=calls.append)
    assert (tmp_path / "fleet_member.conf").read_text() == "AuthorizedKeysFile none\n"
    assert calls == [RELOAD]


def test_that_it_could_not_be_told_is_said(caplog: pytest.LogCaptureFixture) -> None:
    run_program(["sh", "-c", "echo no such unit >&2; exit 5"])
    assert [record.message for record in caplog.records] == [
        "sh -c echo no such unit >&2; exit 5: no such unit"
    ]
