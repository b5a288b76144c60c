# SPDX-License-Identifier: Apache-2.0
"""End the sessions of somebody whose access has ended, with all that they started."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from .sessions import Session

GRACE_S = 3.0
_SCOPE = re.compile(r"/(?P<scope>user-\d+\.slice/session-[^/\n]+\.scope)(?:/|$)", re.MULTILINE)
PROC = Path("/proc")


def must_go(session: Session, *, blocked: frozenset[str], fingerprints: Iterable[str]) -> bool:
    """Tell whether a session's access has ended: its name is blocked, or its own key was taken away."""
    if session.who in blocked:
        return True
    return session.door == "key" and session.who is not None and session.fingerprint not in set(fingerprints)


def started(pid: int) -> int | None:
    """Return when a process started, in ticks since the boot, or None where there is none."""
    try:
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def is_alive(session: Session) -> bool:
    """Tell whether the process of a session is still the one that it was."""
    now = started(session.pid)
    return now is not None and session.started in (None, now)


def end(sessions: Iterable[Session], *, sleep: Callable[[float], None] = time.sleep) -> None:
    """End sessions, all at once: first as their clients would, then by force.

    sshd's own processes end last and in good order, so that the journal tells how much was carried.
    """
    watchers = [session for session in sessions if is_alive(session)]
    others = {pid for each in watchers for pid in _processes(each.child or each.pid)}
    others -= {each.pid for each in watchers}
    if not watchers:
        return
    _signal({each.pid for each in watchers}, signal.SIGTERM)
    _signal(others, signal.SIGHUP)
    sleep(GRACE_S)
    _signal(others, signal.SIGKILL)
    _signal({each.pid for each in watchers if is_alive(each)}, signal.SIGKILL)


def _processes(pid: int) -> set[int]:
    """Return the processes of a login, those that left its terminal among them."""
    scope = _scope(pid)
    if scope is None:
        return {pid}
    numbers = (int(path.name) for path in PROC.iterdir() if path.name.isdigit())
    return {number for number in numbers if _scope(number) == scope}


def _scope(pid: int) -> str | None:
    """Return what systemd calls the login that a process belongs to."""
    try:
        found = _SCOPE.search((PROC / str(pid) / "cgroup").read_text())
    except OSError:
        return None
    return found["scope"] if found else None


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
