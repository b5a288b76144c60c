# SPDX-License-Identifier: Apache-2.0
"""Follow what sshd writes into the journal, from where the last run stopped."""

from __future__ import annotations

import json
import logging
import subprocess
import threading
from collections.abc import Callable

from .sessions import BYTES, SSHD, Line, line_of

PAUSE_S = 1.0

log = logging.getLogger(__name__)


def command(cursor: str | None) -> list[str]:
    """Return the command that shows the lines after a cursor, or of this boot, and those to come."""
    begin = [f"--after-cursor={cursor}"] if cursor else ["--boot"]
    # _UID: others may call themselves sshd, but not root.
    matches = ["_UID=0", f"SYSLOG_IDENTIFIER={SSHD}", f"SYSLOG_IDENTIFIER={BYTES}"]
    return ["journalctl", "--follow", "--no-tail", "--quiet", "--all", "--output=json", *begin, *matches]


class Follower:
    """A thread that hands on each line. journalctl follows through rotations; if it ends, another begins."""

    def __init__(self, feed: Callable[[Line | None, str], None], cursor: Callable[[], str | None]) -> None:
        self._feed = feed
        self._cursor = cursor
        self._is_stopping = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End, once what is there is read."""
        self._is_stopping.set()
        if self._process:
            self._process.terminate()
        self._thread.join(timeout=PAUSE_S)

    @property
    def is_alive(self) -> bool:
        """Tell whether somebody still reads."""
        return self._thread.is_alive()

    def _run(self) -> None:
        cursor = self._cursor()
        while not self._is_stopping.is_set():
            count = self._read(command(cursor))
            # A cursor that journald does not know any more would fail for ever.
            cursor = self._cursor() if count or cursor is None else None
            self._is_stopping.wait(PAUSE_S)

    def _read(self, argv: list[str]) -> int:
        """Read until journalctl ends, and return how many lines there were."""
        count = 0
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
            self._process = process
            for text in process.stdout or ():
                try:
                    entry = json.loads(text)
                    cursor = str(entry["__CURSOR"])
                except (ValueError, KeyError):
                    continue
                count += 1
                self._feed(line_of(entry), cursor)
        if not self._is_stopping.is_set():
            log.warning("journalctl ended with %s: it is started anew", process.returncode)
        return count
