# SPDX-License-Identifier: Apache-2.0
"""The only place that starts programs, but for the operator's own terminal. None outlives us, however we end.

A child is asked to end with SIGTERM, so that it can clean up: by our own code while we live, by the kernel
when we are killed (setpriv --pdeathsig). The kernel means the thread that started the child: that one waits.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import IO

from orchestrator.clock import Clock, SystemClock
from orchestrator.errors import Refused, WaitTimeout
from orchestrator.ports import CommandResult
from orchestrator.tools.streams import OnLine, Output, holding

# In the environment of every program, and of what it starts: whose it is, by run and by child.
RUN_VARIABLE = "SLIPWAY_RUN"
CHILD_VARIABLE = "SLIPWAY_CHILD"
# Not the temporary folder of a session, whose path may be long.
_BASE = "/tmp" if Path("/tmp").is_dir() else gettempdir()  # noqa: S108 - what is made in it is private
_PREFIX = "slipway-"
# Packer terminates its machine before it ends, which takes most of a minute on AWS.
GRACE_S = 120.0
_TURN_S = 0.1
_LOOK_S = 0.1
_COMM_LENGTH = 15  # of a name in /proc/<pid>/comm


@dataclass(frozen=True, slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    mark: str
    program: str

    @property
    def is_running(self) -> bool:
        """Tell whether the program runs, or a copy of itself that it started, as Packer does."""
        return self.process.poll() is None or any(_name(pid) == self.program for pid in _marked(self.mark))


class Processes:
    """The programs that one run of a command starts."""

    def __init__(self, run_id: str, *, grace_s: float = GRACE_S, clock: Clock | None = None) -> None:
        self._run_id = run_id
        self._grace_s = grace_s
        self._clock = clock or SystemClock()
        self._numbers = itertools.count(1)
        # Reentrant: a signal handler may stop everything while this very thread starts something.
        self._lock = threading.RLock()
        self._children: dict[int, _Child] = {}
        self._is_stopping = False

    def run(  # noqa: PLR0913 - what a program is given
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        stdin: bytes = b"",
        timeout_s: float,
        on_line: OnLine | None = None,
        on_error_line: OnLine | None = None,
    ) -> CommandResult:
        """Run a program to its end. What it left running in the background is ended too.

        Args:
            environ: The whole environment, PATH included. Secrets go here or to stdin, never into argv.
            on_line: Gets each line of stdout as it comes.
            on_error_line: The same of stderr.

        Raises:
            Refused: It is not installed.
            WaitTimeout: It took too long, and was ended.
            KeyboardInterrupt: terminate_all ended it.
        """
        deadline = self._clock.monotonic_s() + timeout_s
        with Output(on_line) as stdout, Output(on_error_line) as stderr, holding(stdin) as stdin_file:
            child = self._start(argv, cwd=cwd, environ=environ, files=(stdin_file, stdout.file, stderr.file))
            try:
                while not _has_ended_within(child, _TURN_S):
                    stdout.read()
                    stderr.read()
                    if self._clock.monotonic_s() > deadline:
                        raise _too_long(argv[0], timeout_s)
            finally:
                self._end([child])
                with self._lock:
                    del self._children[child.process.pid]
            # First, so that what it said last is told also when it was stopped.
            result = CommandResult(child.process.returncode, stdout.finish(), stderr.finish())
            if self._is_stopping:
                raise KeyboardInterrupt
            return result

    @contextmanager
    def beside(
        self, argv: Sequence[str], *, cwd: Path, environ: Mapping[str, str]
    ) -> Iterator[Callable[[], bool]]:
        """Run a program while the block runs, which gets a function that tells whether it still does.

        What it says goes nowhere: let it write to a file.
        """
        with Path(os.devnull).open("r+b") as nowhere:
            child = self._start(argv, cwd=cwd, environ=environ, files=(nowhere, nowhere, nowhere))
            try:
                yield lambda: child.process.poll() is None
            finally:
                self._end([child])
                with self._lock:
                    del self._children[child.process.pid]

    def terminate_all(self) -> None:
        """End everything that runs, and start nothing more: other threads get KeyboardInterrupt."""
        with self._lock:
            self._is_stopping = True
            children = list(self._children.values())
        self._end(children)

    def end_run(self, run_id: str) -> int:
        """End what a dead run left behind on this host; return how many processes that were."""
        mark = f"{RUN_VARIABLE}={run_id}"
        found = _marked(mark)
        _signal_each(found, signal.SIGTERM)
        if found and not self._wait(lambda: not _marked(mark)):
            _signal_each(_marked(mark), signal.SIGKILL)
        for folder in Path(_BASE).iterdir():
            if folder.name.rpartition("-")[0] == _PREFIX + run_id:
                shutil.rmtree(folder, ignore_errors=True)
        return len(found)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a private folder with a short path without blanks: ssh's sockets and options ask for both."""
        name = f"{_PREFIX}{self._run_id}-"
        with TemporaryDirectory(prefix=name, dir=_BASE, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def _start(
        self, argv: Sequence[str], *, cwd: Path, environ: Mapping[str, str], files: tuple[IO[bytes], ...]
    ) -> _Child:
        path = environ.get("PATH", os.defpath)
        if shutil.which(argv[0], path=path) is None:
            raise Refused(f"run {argv[0]}", "it is not installed", next_command="./inv, which installs it")
        mine = {
            RUN_VARIABLE: self._run_id,
            CHILD_VARIABLE: f"{self._run_id}/{os.getpid()}/{next(self._numbers)}",
        }
        leash = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv", path=path) else []
        with self._lock:
            if self._is_stopping:
                raise KeyboardInterrupt
            process = subprocess.Popen(  # noqa: S603 - argv is a list, no shell reads it
                [*leash, *argv],
                cwd=cwd,
                env={**environ, **mine},
                stdin=files[0],
                stdout=files[1],
                stderr=files[2],
                start_new_session=True,  # a group of its own, and no terminal to ask questions on
            )
            program = Path(argv[0]).name[:_COMM_LENGTH]
            child = _Child(process, f"{CHILD_VARIABLE}={mine[CHILD_VARIABLE]}", program)
            self._children[process.pid] = child
        return child

    def _end(self, children: Iterable[_Child]) -> None:
        """Ask the programs that still run to end, wait for them together, then see to it."""
        children = list(children)
        running = [child for child in children if child.process.poll() is None]
        for child in running:
            # The program alone: what it has started is its own to end.
            child.process.terminate()
        try:
            if running:
                self._wait(lambda: not any(child.is_running for child in running))
        finally:
            for child in children:
                _kill(child)

    def _wait(self, is_done: Callable[[], bool]) -> bool:
        deadline = self._clock.monotonic_s() + self._grace_s
        while not is_done():
            if self._clock.monotonic_s() > deadline:
                return False
            self._clock.sleep(_LOOK_S)
        return True


def _has_ended_within(child: _Child, seconds: float) -> bool:
    try:
        child.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill(child: _Child) -> None:
    """Kill the program if it still runs, and what it left behind in whatever session and group."""
    if child.process.poll() is None:
        child.process.kill()
        child.process.wait()
    _signal_each(_marked(child.mark), signal.SIGKILL)


def _too_long(program: str, timeout_s: float) -> WaitTimeout:
    cause = f"not done within {timeout_s:g} s"
    return WaitTimeout(f"run {program}", cause, state="it was ended, and cleaned up if it could")


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8").strip()
    except OSError:
        return ""


def _marked(mark: str) -> list[int]:
    """Return the processes that have `mark` in their environment; none where the kernel doesn't show it."""
    wanted = mark.encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = (folder / "environ").read_bytes()
        except OSError:  # gone, or somebody else's
            continue
        if wanted in environ.split(b"\0"):
            found.append(int(folder.name))
    return found


def _signal_each(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def attend(argv: Sequence[str], *, cwd: Path, environ: Mapping[str, str]) -> int:
    """Run a program on this terminal, as if the operator had typed it, and return its exit code."""
    return subprocess.run(argv, cwd=cwd, env=dict(environ), check=False).returncode  # noqa: S603 - as above
