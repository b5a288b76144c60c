# SPDX-License-Identifier: Apache-2.0
"""Read what machines use, from the kernel's control groups of either version."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_CONTAINER = "libpod-"


def has_v2() -> bool:
    """Return whether this kernel has only the unified hierarchy."""
    return (_ROOT / "cgroup.controllers").exists()


def memory_of(pid: int) -> int | None:
    """Return the memory of the container whose init is `pid`, without page cache that could be dropped.

    None if it ended meanwhile.
    """
    try:
        directory = _directory(Path(f"/proc/{pid}/cgroup").read_text(), "memory")
        if directory is None:
            return None
        usage, cache = ("memory.current", "inactive_file") if has_v2() else (
            "memory.usage_in_bytes", "total_inactive_file"
        )  # fmt: skip
        statistics = dict(line.split() for line in (directory / "memory.stat").read_text().splitlines())
        return max(0, int((directory / usage).read_text()) - int(statistics[cache]))
    except (FileNotFoundError, ProcessLookupError):
        return None


def cpu_seconds_of(pid: int) -> float | None:
    """Return the CPU time that the container whose init is `pid` has used; None if it ended meanwhile."""
    try:
        directory = _directory(Path(f"/proc/{pid}/cgroup").read_text(), "cpuacct")
        if directory is None:
            return None
        if has_v2():
            statistics = dict(line.split() for line in (directory / "cpu.stat").read_text().splitlines())
            return int(statistics["usage_usec"]) / 1e6
        return int((directory / "cpuacct.usage").read_text()) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return None


def _directory(listing: str, controller: str) -> Path | None:
    for line in listing.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" and has_v2():
            return _ROOT / _container_part(path)
        if controller in controllers.split(","):
            return _ROOT / controller / _container_part(path)
    return None


def _container_part(path: str) -> str:
    """Cut what the container's own systemd added below the container's group."""
    parts: list[str] = []
    for part in path.strip("/").split("/"):
        parts.append(part)
        if part.startswith(_CONTAINER):
            break
    return "/".join(parts)
