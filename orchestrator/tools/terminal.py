# SPDX-License-Identifier: Apache-2.0
"""Programs on the operator's own terminal: in its foreground, with its signals and its size.

Started with posix_spawn, which can put descriptors where a program looks for them, and waited for as a shell
does: a program that stops stops us, and both go on together.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

from orchestrator.errors import Refused
from orchestrator.tools.streams import holding

# What Python ignores, programs expect to end by.
_PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)
# Above all numbers that a program is given something at.
_OUT_OF_THE_WAY = 100
_SIGNALLED = 128
_GRACE_S = 5.0
_STDIN = 0
_Handler = Callable[[int, FrameType | None], None]


class OwnTerminal:
    """The terminal that this command was typed at. Only the main thread may use it."""

    def attend(
        self,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        descriptors: Mapping[int, bytes] | None = None,
        stdin: bytes | None = None,
    ) -> int:
        """Run a program to its end with this terminal and its signals, and return its exit code.

        One that a signal ended has that of a shell: 128 and the signal's number.

        Args:
            descriptors: What the program can read from descriptors of these numbers, and from nowhere else.
            stdin: What it reads instead of the terminal.

        Raises:
            Refused: It is not installed.
        """
        path = environ.get("PATH", os.defpath)
        program = shutil.which(argv[0], path=path)
        if program is None:
            raise Refused(f"run {argv[0]}", "it is not installed", next_command="./inv, which installs it")
        # If we are killed, it ends; the kernel sees to that.
        leash = shutil.which("setpriv", path=path)
        whole = [leash, "--pdeathsig", "TERM", "--", program, *argv[1:]] if leash else [program, *argv[1:]]
        contents = dict(descriptors or {}) | ({} if stdin is None else {_STDIN: stdin})
        return _run(lambda: _spawn(whole, environ, contents))


def _spawn(argv: list[str], environ: Mapping[str, str], contents: Mapping[int, bytes]) -> int:
    with ExitStack() as files:
        actions = [
            (os.POSIX_SPAWN_DUP2, _held(files, content), number) for number, content in contents.items()
        ]
        # Those that we handle are the program's own again by themselves.
        return os.posix_spawn(argv[0], argv, environ, file_actions=actions, setsigdef=list(_PYTHON_IGNORES))


def _held(files: ExitStack, content: bytes) -> int:
    """Return a descriptor to read the content from; programs do not inherit it by itself."""
    file = files.enter_context(holding(content))
    number = fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
    files.callback(os.close, number)
    return number


def _run(spawn: Callable[[], int]) -> int:
    """Run a program to its end. Ctrl-C is its own affair, the end of the terminal is told to it."""
    told: list[int] = []
    pid = 0

    def leave(_number: int, _frame: FrameType | None) -> None:
        return None

    def pass_on(_number: int, _frame: FrameType | None) -> None:
        if pid:
            os.kill(pid, signal.SIGTERM)

    def note(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    # Who is told to end while the program starts would not know yet whom to end first: that is told later.
    keys = {signal.SIGINT: leave, signal.SIGHUP: pass_on}
    with _handling(keys), _handling({signal.SIGTERM: note}) as before:
        pid = spawn()
        try:
            _restore(before)
            for number in told:
                signal.raise_signal(number)
            status = _reap(pid)
        except BaseException:  # SIGTERM
            _end(pid)
            raise
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _SIGNALLED - code


def _end(pid: int) -> None:
    """End a program; it is given the time to put the terminal right."""
    killer = threading.Timer(_GRACE_S, os.kill, (pid, signal.SIGKILL))
    killer.start()
    try:
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)
        os.waitpid(pid, 0)
    finally:
        killer.cancel()


def _reap(pid: int) -> int:
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return status
        # The shell waits for us, not for what we have started; its `fg` wakes the whole group.
        os.kill(os.getpid(), signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)


@contextmanager
def _handling(handlers: Mapping[signal.Signals, _Handler]) -> Iterator[Mapping[signal.Signals, Any]]:
    """Handle signals for the block, and give how they were handled before."""
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield before
    finally:
        _restore(before)


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
