# SPDX-License-Identifier: Apache-2.0
"""Processes of this host, told apart so surely that a new one is never taken for a dead one."""

from __future__ import annotations

import os
import pwd
import socket
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_START_FIELD = 19  # of /proc/<pid>/stat, counted after the name in brackets, which may hold blanks


@dataclass(frozen=True, slots=True)
class HostProcess:
    """A process. `started` is empty where the kernel does not tell; then nobody can say that it is gone."""

    user: str
    host: str
    pid: int
    started: str

    @classmethod
    def current(cls) -> HostProcess:
        """Return this process."""
        pid = os.getpid()
        return cls(_user(), socket.gethostname(), pid, started(pid))


def started(pid: int) -> str:
    """Return what names a process for ever, its boot, pid namespace and first tick, or nothing if hidden."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = (_PROC / "self/ns/pid").readlink().name
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "ended" if fields[0] in ("Z", "X") else f"{boot} {namespace} {fields[_START_FIELD]}"


def is_gone(pid: int, process_started: str) -> bool:
    """Tell whether a process of this host has ended; False when it can't be told, as for another host's.

    Host names say nothing here: containers and cloned laptops share them. The boot and the pid namespace do.
    """
    here = started(os.getpid()).split()[:2]
    if not here or process_started.split()[:2] != here:
        return False
    now = started(pid)
    return now != process_started if now else not _exists(pid)


def _exists(pid: int) -> bool:
    """Tell whether there is a process of this number, also where /proc hides those of others."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
