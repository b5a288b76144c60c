# SPDX-License-Identifier: Apache-2.0
"""Whose access has ended must go, with all that was started, and nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from operator_access import evict
from operator_access.evict import end, is_alive, must_go, started
from operator_access.sessions import Session

CERTIFICATE = Session("abc", "ada", "shell", "admin", "198.18.0.7", "SHA256:a", "7", 1, "boot", 0)
PLAIN = replace(CERTIFICATE, door="key", serial=None)
NOBODY = frozenset[str]()

Process = subprocess.Popen[bytes]


@pytest.mark.parametrize(
    ("session", "blocked", "fingerprints", "answer"),
    [
        (CERTIFICATE, NOBODY, [], False),
        (CERTIFICATE, frozenset({"eve"}), [], False),
        (CERTIFICATE, frozenset({"ada"}), [], True),
        (PLAIN, NOBODY, ["SHA256:a"], False),
        (PLAIN, NOBODY, ["SHA256:b"], True),
        (PLAIN, frozenset({"ada"}), ["SHA256:a"], True),
        (replace(PLAIN, who=None), NOBODY, [], False),
    ],
)
def test_who_must_go(
    session: Session, blocked: frozenset[str], fingerprints: list[str], answer: bool
) -> None:
    assert must_go(session, blocked=blocked, fingerprints=fingerprints) is answer


@pytest.fixture(name="processes")
def some_processes() -> Iterator[tuple[Process, Process]]:
    """Two that stay as long as they can: one does not care for hints."""
    watcher = subprocess.Popen(["sleep", "600"])
    stubborn = subprocess.Popen(["sh", "-c", "trap '' HUP TERM; echo; while :; do sleep 1; done"], stdout=-1)
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    yield watcher, stubborn
    for process in (watcher, stubborn):
        process.kill()
        process.wait()
    stubborn.stdout.close()


def session_of(watcher: Process, child: Process) -> Session:
    return replace(CERTIFICATE, pid=watcher.pid, child=child.pid, started=started(watcher.pid))


def test_a_session_ends_with_its_processes(processes: tuple[Process, Process]) -> None:
    watcher, stubborn = processes
    end([session_of(watcher, stubborn)], sleep=lambda _: None)
    assert (watcher.wait(10), stubborn.wait(10)) == (-signal.SIGTERM, -signal.SIGKILL)


def test_another_process_of_the_same_number_stays(processes: tuple[Process, Process]) -> None:
    watcher, stubborn = processes
    session = replace(session_of(watcher, stubborn), started=1)
    assert not is_alive(session)
    end([session], sleep=lambda _: None)
    assert (watcher.poll(), stubborn.poll()) == (None, None)


def test_what_is_gone_is_not_ended_again() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert started(gone.pid) is None
    end([replace(CERTIFICATE, pid=gone.pid, child=gone.pid)], sleep=lambda _: None)


def test_a_process_is_known_by_when_it_started() -> None:
    assert started(os.getpid()) == started(os.getpid()) is not None


@pytest.mark.parametrize(
    "line", ["0::%s", "1:cpu:/\n9:name=systemd:/outer%s\n0::/outer"], ids=["unified", "hybrid"]
)
def test_what_left_the_terminal_goes_with_its_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    logins = {10: "session-4.scope", 11: "session-4.scope", 12: "session-44.scope", 13: "user@1000.service"}
    for pid, name in logins.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cgroup").write_text(line % f"/user.slice/user-1000.slice/{name}" + "\n")
    (tmp_path / "14").mkdir()  # ended meanwhile
    (tmp_path / "self").mkdir()
    monkeypatch.setattr(evict, "PROC", tmp_path)
    found = [evict._processes(pid) for pid in (10, 12, 13, 14)]
    assert found == [{10, 11}, {12}, {13}, {14}]
