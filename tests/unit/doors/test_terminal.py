# SPDX-License-Identifier: Apache-2.0
"""Programs on a terminal of their own in a test: what they are given, their signals and their ends."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import Refused
from orchestrator.tools.terminal import OwnTerminal

PROJECT = Path(__file__).resolve().parents[3]
ENVIRON = {"PATH": os.environ["PATH"]}
LIMIT_S = 30.0
PROGRAM = """\
import sys
from orchestrator.tools.terminal import OwnTerminal
import os
class Told(Exception): pass
import signal
def unwind(*_): raise Told
signal.signal(signal.SIGTERM, unwind)
try:
    print("code", OwnTerminal().attend(sys.argv[1:], environ=dict(os.environ)), flush=True)
except Told:
    print("unwound", flush=True)
is_as_before = signal.getsignal(signal.SIGINT) is signal.default_int_handler
print("end" if is_as_before else "our handler is still there", flush=True)
"""


class Screen:
    """A terminal at which a program was typed."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid = pid
        self._descriptor = descriptor
        self._seen = b""

    def read_until(self, text: str) -> str:
        """Return what appears up to a text."""
        end, wanted = time.monotonic() + LIMIT_S, text.encode()
        while wanted not in self._seen:
            assert time.monotonic() < end, self._seen
            if select.select([self._descriptor], [], [], 0.1)[0]:
                self._seen += os.read(self._descriptor, 4096)
        head, _, self._seen = self._seen.partition(wanted)
        return (head + wanted).decode()

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def state(self) -> str:
        """Return what the kernel says of the command: S sleeps, T is stopped."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def screen(request: pytest.FixtureRequest) -> Iterator[Screen]:
    argv = [sys.executable, "-c", PROGRAM, *request.param]
    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(PROJECT)
        os.execv(sys.executable, argv)  # noqa: S606 - no shell
    yield Screen(pid, descriptor)
    os.close(descriptor)


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


class TestTerminal:
    @pytest.mark.parametrize(
        "screen",
        [shell("trap 'stty size; exit 7' WINCH; echo ready; while :; do sleep 0.05; done")],
        indirect=True,
    )
    def test_a_program_learns_of_new_sizes_and_its_exit_code_is_returned(self, screen: Screen) -> None:
        screen.read_until("ready")
        screen.resize(50, 132)
        assert "50 132" in screen.read_until("code 7")
        screen.read_until("end")
        assert screen.wait() == 0

    @pytest.mark.parametrize(
        "screen",
        [shell("trap 'echo heard; exit 3' INT; echo ready; while :; do sleep 0.05; done")],
        indirect=True,
    )
    def test_ctrl_c_is_the_programs_own_affair(self, screen: Screen) -> None:
        screen.read_until("ready")
        screen.type("\x03")
        screen.read_until("heard")
        screen.read_until("code 3")
        screen.read_until("end")
        assert screen.wait() == 0

    @pytest.mark.parametrize(
        "screen",
        [shell("trap 'echo tidied; exit 1' TERM; echo ready; while :; do sleep 0.05; done")],
        indirect=True,
    )
    def test_when_we_are_told_to_end_the_program_ends_first(self, screen: Screen) -> None:
        screen.read_until("ready")
        os.kill(screen.pid, signal.SIGTERM)
        assert "tidied" in screen.read_until("unwound")
        assert screen.wait() == 0

    @pytest.mark.parametrize(
        "screen",
        [shell("echo ready; kill -STOP $$; echo on again; exit 4")],
        indirect=True,
    )
    def test_a_program_that_stops_stops_us_and_both_go_on_together(self, screen: Screen) -> None:
        screen.read_until("ready")
        end = time.monotonic() + LIMIT_S
        while screen.state() != "T":
            assert time.monotonic() < end
            time.sleep(0.02)
        os.kill(screen.pid, signal.SIGCONT)
        screen.read_until("on again")
        screen.read_until("code 4")
        assert screen.wait() == 0


class TestPrograms:
    def test_a_program_that_a_signal_ended_has_the_code_of_a_shell(self) -> None:
        assert OwnTerminal().attend(shell("kill -KILL $$"), environ=ENVIRON) == 137

    def test_what_it_is_given_is_read_from_descriptors(self, tmp_path: Path) -> None:
        script = f"cat <&8 >{tmp_path}/8; cat <&9 >{tmp_path}/9; cat >{tmp_path}/0"
        descriptors = {8: b"eight", 9: b"nine" * 9999}
        code = OwnTerminal().attend(shell(script), environ=ENVIRON, descriptors=descriptors, stdin=b"zero")
        assert code == 0
        assert [(tmp_path / name).read_bytes() for name in "890"] == [b"eight", b"nine" * 9999, b"zero"]

    def test_it_inherits_nothing_else(self, tmp_path: Path) -> None:
        found = []
        for descriptors in ({}, {7: b"secret"}):
            script = f"ls /proc/self/fd >{tmp_path}/fds"
            OwnTerminal().attend(shell(script), environ=ENVIRON, descriptors=descriptors, stdin=b"")
            found.append(set((tmp_path / "fds").read_text().split()))
        assert found[1] - found[0] == {"7"}

    def test_its_environment_is_what_it_is_given(self, tmp_path: Path) -> None:
        code = OwnTerminal().attend(shell(f"env >{tmp_path}/env"), environ=ENVIRON | {"A": "b"}, stdin=b"")
        assert code == 0
        names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
        assert names <= {"A", "PATH", "PWD", "OLDPWD", "SHLVL", "_"}

    def test_pipes_end_it_as_a_shell_would(self) -> None:
        assert OwnTerminal().attend(shell("kill -PIPE $$"), environ=ENVIRON) == 141

    def test_one_that_is_not_installed_is_refused(self) -> None:
        with pytest.raises(Refused, match="run no-such-program: it is not installed"):
            OwnTerminal().attend(["no-such-program"], environ=ENVIRON)
