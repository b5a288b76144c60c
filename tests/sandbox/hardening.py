# SPDX-License-Identifier: Apache-2.0
"""Asks two auditors what they think of a machine: Lynis, run on it as root, and ssh-audit, from outside.

`Run` runs a shell command on the machine as root and returns its standard output; how (podman exec, ssh) is
the caller's business. Lynis is installed for the question, so ask a machine that is thrown away.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Run = Callable[[str], str]

SSH_POLICY = "Hardened Debian 12 (version 3)"

_INSTALL = (
    "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install lynis"
)
_REPORT = "/var/log/lynis-report.dat"


@dataclass(frozen=True, slots=True)
class LynisReport:
    """What Lynis says of a machine."""

    index: int
    warnings: tuple[str, ...]
    suggestions: tuple[str, ...]


def lynis(run: Run) -> LynisReport:
    """Audit the machine with Debian's Lynis and return its report."""
    run(f"{_INSTALL} && lynis audit system --quick --quiet --no-colors")
    rows = [row.split("=", 1) for row in run(f"cat {_REPORT}").splitlines() if "=" in row]
    (index,) = [int(value) for key, value in rows if key == "hardening_index"]
    return LynisReport(
        index=index,
        warnings=tuple(value for key, value in rows if key == "warning[]"),
        suggestions=tuple(value for key, value in rows if key == "suggestion[]"),
    )


def ssh_audit(address: str, port: int = 22) -> tuple[bool, str]:
    """Hold the ssh server against ssh-audit's policy; return whether it passes, and what ssh-audit says."""
    done = subprocess.run(
        [
            Path(sys.executable).parent / "ssh-audit",
            "--no-colors",
            "-p",
            str(port),
            "-P",
            SSH_POLICY,
            address,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode == 0, done.stdout + done.stderr
