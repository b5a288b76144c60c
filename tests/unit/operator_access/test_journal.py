# SPDX-License-Identifier: Apache-2.0
"""The journal is followed from where the last run stopped, whatever becomes of journalctl."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from operator_access import journal
from operator_access.journal import Follower, command
from operator_access.sessions import Line

ENTRY = (
    '{"__CURSOR": "%s", "SYSLOG_IDENTIFIER": "sshd", "_PID": "9", "_UID": "0", "_BOOT_ID": "b", '
    '"__REALTIME_TIMESTAMP": "7", "MESSAGE": "hi"}'
)
LINE = Line("sshd", 9, 0, "b", 7, "hi")


def test_it_asks_for_what_root_s_sshd_wrote_after_the_cursor() -> None:
    options = ["--follow", "--no-tail", "--quiet", "--all", "--output=json"]
    matches = ["_UID=0", "SYSLOG_IDENTIFIER=sshd", "SYSLOG_IDENTIFIER=slipway-session-bytes"]
    assert command("s=1;i=2") == ["journalctl", *options, "--after-cursor=s=1;i=2", *matches]
    assert command(None) == ["journalctl", *options, "--boot", *matches]


def follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, *, cursor: str | None, until: int
) -> tuple[list[tuple[Line | None, str]], list[str]]:
    """Follow a journalctl of ours until so many lines have come; return them, and how it was called."""
    program = tmp_path / "journalctl"
    program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(journal, "PAUSE_S", 0.01)
    fed: list[tuple[Line | None, str]] = []
    is_enough = threading.Event()

    def feed(line: Line | None, at: str) -> None:
        fed.append((line, at))
        if len(fed) >= until:
            is_enough.set()

    follower = Follower(feed, lambda: fed[-1][1] if fed else cursor)
    follower.start()
    assert is_enough.wait(20)
    follower.stop()
    return fed[:until], (tmp_path / "calls").read_text().splitlines()


def test_when_journalctl_ends_another_goes_on_after_the_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed, calls = follow(tmp_path, monkeypatch, f"echo '{ENTRY % 'c1'}'", cursor="c0", until=2)
    assert fed == [(LINE, "c1")] * 2
    assert ["--after-cursor=c0" in calls[0], "--after-cursor=c1" in calls[1]] == [True, True]


def test_what_can_t_be_read_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"echo nonsense; echo '{{}}'; echo '{ENTRY % 'c1'}'; echo '{{\"__CURSOR\": \"c2\"}}'; sleep 600"
    fed, _ = follow(tmp_path, monkeypatch, script.replace("sleep", "exec sleep"), cursor=None, until=2)
    assert fed == [(LINE, "c1"), (None, "c2")]


def test_a_cursor_that_is_not_known_any_more_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"case $* in *after-cursor=old*) exit 1 ;; esac\necho '{ENTRY % 'c1'}'; exec sleep 600"
    fed, calls = follow(tmp_path, monkeypatch, script, cursor="old", until=1)
    assert fed == [(LINE, "c1")]
    assert ["--boot" in call for call in calls] == [False, True]
