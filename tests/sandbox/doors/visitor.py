# SPDX-License-Identifier: Apache-2.0
"""An operator of the demo who visits machines: at a terminal, by commands, and by plain ssh."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.sandbox.bake.project import Ended
from tests.sandbox.environments.demo import Demo

LIMIT_S = 120.0


def until(is_so: Callable[[], bool], *, what: str, within_s: float = LIMIT_S) -> None:
    """Wait until something is so."""
    end = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end, f"not within {within_s} s: {what}"
        time.sleep(1)


@dataclass(frozen=True)
class Visitor:
    """Somebody whose home is a folder of its own."""

    demo: Demo
    home: Path

    @property
    def environ(self) -> dict[str, str]:
        """Return the environment of all that the visitor starts."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
        port = str(self.demo.project.port)
        return kept | {"HOME": str(self.home), "SLIPWAY_SANDBOX_PORT": port, "NO_COLOR": "1"}

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "invoke", *arguments]

    def run(self, *arguments: str, stdin: str = "") -> Ended:
        """Run a command of the project to its end."""
        done = subprocess.run(
            self.argv(*arguments),
            cwd=self.demo.project.path,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def ssh(self, *arguments: str, stdin: str = "") -> Ended:
        return self.run("ssh", "--environment", "sandbox", *arguments, stdin=stdin)

    def at_terminal(self, *arguments: str) -> Typist:
        """Start a command of the project at a terminal of its own."""
        pid, descriptor = pty.fork()
        if pid == 0:
            os.chdir(self.demo.project.path)
            os.execve(sys.executable, self.argv(*arguments), self.environ)  # noqa: S606 - no shell
        return Typist(pid, descriptor)

    def plain(self, *argv: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program that stands on ssh."""
        return subprocess.run(
            argv,
            env=self.environ,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=check,
            timeout=LIMIT_S,
        )

    @property
    def config(self) -> Path:
        """Return what ssh-config has written."""
        return self.home / ".ssh" / "slipway" / "sandbox" / "config"


class Typist:
    """Somebody at a terminal."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self._pid, self._descriptor, self._seen = pid, descriptor, b""

    def read_until(self, text: str) -> str:
        """Return what appears up to a text."""
        end, wanted = time.monotonic() + LIMIT_S, text.encode()
        while wanted not in self._seen:
            assert time.monotonic() < end, self._seen
            if select.select([self._descriptor], [], [], 0.2)[0]:
                self._seen += self._read()
        head, _, self._seen = self._seen.partition(wanted)
        return (head + wanted).decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        os.close(self._descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, 4096)
        except OSError:  # nobody has the other end any more
            return b""
