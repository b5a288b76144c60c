# SPDX-License-Identifier: Apache-2.0
"""Shells and commands on machines by the system's OpenSSH, through one connection to the bastion."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from orchestrator.clock import Clock
from orchestrator.domain.ssh_failure import failed_at_bastion, is_barred, ssh_failure, was_interrupted
from orchestrator.errors import DoorError, MachineMissing
from orchestrator.ports import CommandResult, Hop, Login, OnMachineLine, Terminal
from orchestrator.tools import openssh
from orchestrator.tools.process import Processes

# ssh's own failures, and what commands may end with too.
_FAILED = 255
# More than ConnectTimeout, which holds for each step of it alone.
_LIMIT_S = 30.0
_LOOK_S = 0.02
_FOR_EVER_S = float("inf")


class OpenSshShells:
    """Opens ways to machines. Keys are on disk only while a way is open, in a private folder."""

    def __init__(
        self,
        programs: Processes,
        terminal: Terminal,
        *,
        environ: Mapping[str, str],
        environment: str,
        clock: Clock,
    ) -> None:
        self._programs = programs
        self._terminal = terminal
        self._environ = environ
        self._environment = environment
        self._clock = clock

    @contextmanager
    def open(self, bastions: Sequence[Hop], targets: Sequence[Hop], login: Login) -> Iterator[OpenSshShell]:
        """Open a way to machines, through the first bastion that answers; directly if there is none.

        Raises:
            DoorError: No bastion lets us through.
        """
        with self._programs.scratch() as folder:
            _write(folder / openssh.KEY, login.private_key)
            _write(folder / openssh.CERTIFICATE, f"{login.certificate}\n")
            _write(folder / openssh.KNOWN_HOSTS, openssh.known_hosts([*bastions, *targets]))
            with ExitStack() as connected:
                bastion = self._connect(connected, folder, bastions, targets)
                yield OpenSshShell(self, folder, bastion)

    def _connect(
        self, connected: ExitStack, folder: Path, bastions: Sequence[Hop], targets: Sequence[Hop]
    ) -> Hop | None:
        failure: DoorError | None = None
        for bastion in bastions:
            _write(folder / openssh.CONFIG, openssh.config(folder, targets, bastion=bastion))
            try:
                connected.enter_context(self._master(folder, bastion))
            except MachineMissing as error:  # another one may answer
                failure = error
                continue
            return bastion
        if failure:
            raise failure
        _write(folder / openssh.CONFIG, openssh.config(folder, targets, bastion=None))
        return None

    @contextmanager
    def _master(self, folder: Path, bastion: Hop) -> Iterator[None]:
        argv = openssh.master_argv(folder, bastion)
        with self._programs.beside(argv, cwd=folder, environ=self._environ) as is_running:
            deadline = self._clock.monotonic_s() + _LIMIT_S
            while not openssh.master_socket(folder).exists():
                if not is_running() or self._clock.monotonic_s() > deadline:
                    raise self.failure(folder, bastion)
                self._clock.sleep(_LOOK_S)
            yield

    def failure(self, folder: Path, hop: Hop) -> DoorError:
        """Return why a machine could not be reached."""
        log = self.log(folder, hop)
        return self.told_failure(log, hop) or MachineMissing(
            f"ssh {hop.name}",
            f"ssh ended without a reason: {log.strip()[-200:] or 'it said nothing'}",
            next_command=f"invoke rollout.status --environment {self._environment}",
        )

    def told_failure(self, log: str, hop: Hop) -> DoorError | None:
        """Return what a log says of a failure."""
        return ssh_failure(log, machine=hop.name, environment=self._environment)

    def log(self, folder: Path, hop: Hop) -> str:
        """Return what ssh said on the way to a machine."""
        path = openssh.log_of(folder, hop)
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def stop(self) -> None:
        """End what runs, and start nothing more."""
        self._programs.terminate_all()

    def attend(self, argv: Sequence[str]) -> int:
        """Run a program on the operator's terminal."""
        return self._terminal.attend(argv, environ=self._environ)

    def run(
        self,
        folder: Path,
        argv: Sequence[str],
        *,
        on_line: Callable[[str], None],
        on_error_line: Callable[[str], None],
    ) -> CommandResult:
        """Run a program to its end, however long it takes."""
        return self._programs.run(
            argv,
            cwd=folder,
            environ=self._environ,
            timeout_s=_FOR_EVER_S,
            on_line=on_line,
            on_error_line=on_error_line,
        )


class OpenSshShell:
    """An open way to machines."""

    def __init__(self, shells: OpenSshShells, folder: Path, bastion: Hop | None) -> None:
        self._shells = shells
        self._folder = folder
        self._bastion = bastion

    @property
    def via(self) -> str:
        """Return the bastion that it goes through; empty if through none."""
        return self._bastion.name if self._bastion else ""

    def attend(self, hop: Hop, command: str = "") -> int:
        """Give the terminal to a shell on a machine, or to a command, and return its exit code.

        Raises:
            DoorError: The machine could not be reached, or the connection was lost.
            KeyboardInterrupt: It ended because of Ctrl-C.
        """
        code = self._shells.attend(openssh.session_argv(self._folder, hop, command))
        self._check(hop, code)
        return code

    def run(self, hop: Hop, command: str, *, on_line: OnMachineLine) -> CommandResult:
        """Run a command on a machine, from any thread, without a terminal or anything to read.

        Args:
            on_line: Gets each line as it comes, and whether it is of stderr.

        Raises:
            DoorError: The machine could not be reached, or the connection was lost.
        """
        result = self._shells.run(
            self._folder,
            openssh.session_argv(self._folder, hop, command),
            on_line=lambda line: on_line(line, is_error=False),
            on_error_line=lambda line: on_line(line, is_error=True),
        )
        self._check(hop, result.status)
        return result

    def stop(self) -> None:
        """End what runs; those who wait are interrupted."""
        self._shells.stop()

    def _check(self, hop: Hop, code: int) -> None:
        """Tell a failure of ssh from a command's own 255."""
        if code != _FAILED:
            return
        log = self._shells.log(self._folder, hop)
        if was_interrupted(log):
            raise KeyboardInterrupt
        if self._bastion and failed_at_bastion(log):
            bastion_log = self._shells.log(self._folder, self._bastion)
            if is_barred(bastion_log):
                hop, log = self._bastion, bastion_log
        if failure := self._shells.told_failure(log, hop):
            raise failure


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner has ever been able to read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
