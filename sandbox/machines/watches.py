# SPDX-License-Identifier: Apache-2.0
"""The host's limit of inotify instances, which root of the host and of every machine share."""

from __future__ import annotations

from pathlib import Path

_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
# systemd and its companions hold six or seven a machine: the kernel's 128 are gone with the twentieth, whose
# services then fail to start with "Too many open files". Unused ones cost nothing, so nobody lowers it again.
_ENOUGH = 8192


def allow_many() -> None:
    """Raise the limit, if it is low and the host lets us; few machines do without."""
    try:
        if int(_LIMIT.read_text()) < _ENOUGH:
            _LIMIT.write_text(f"{_ENOUGH}\n")
    except OSError:
        return
