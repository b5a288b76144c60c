# SPDX-License-Identifier: Apache-2.0
"""What sshd does differently on a machine of a fleet: nobody leaves a key of his own behind in his home.

Images are baked and tested with such a key, so it can't be in the image.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from . import cache

# The server's settings include it, and do without.
NAME = "fleet_member.conf"
SETTINGS = "AuthorizedKeysFile none\n"
RELOAD = ("systemctl", "--no-block", "try-reload-or-restart", "ssh.service")

log = logging.getLogger(__name__)


def run_program(argv: Sequence[str]) -> None:
    """Run a program, and tell if it fails."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        log.warning("%s: %s", " ".join(argv), done.stderr.strip())


def let_in_only_who_is_known(
    *, directory: Path = cache.RUN, run: Callable[[Sequence[str]], None] = run_program
) -> None:
    """Let sshd take the keys that this program knows, and no others. A server that runs is told."""
    if cache.write_changed(directory, {NAME: SETTINGS}):
        run(RELOAD)
