# SPDX-License-Identifier: Apache-2.0
"""Shells on machines over ssh: one key, known host keys, nothing else of the operator's."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.clock import Clock
from orchestrator.errors import RemoteError
from orchestrator.ports import CommandResult
from orchestrator.ssh.transport import Unacceptable, open_transport

if TYPE_CHECKING:
    from paramiko import Channel, Transport

SSH_FAILED = 255  # what ssh(1) ends with when it is not the command that failed
TIMED_OUT = 124  # as timeout(1)
_ATTEMPT_S = 10.0
_SHOWN_LINES = 10
_CHUNK = 32768

_log = logging.getLogger(__name__)


class SshShells:
    """Opens shells."""

    def __init__(self, clock: Clock, *, port: int = 22, pause_s: float = 1.0) -> None:
        self._clock = clock
        self._port = port
        self._pause_s = pause_s

    @contextmanager
    def connect(
        self, address: str, *, user: str, private_key: Path, host_keys: Sequence[str], timeout_s: float
    ) -> Iterator[SshShell]:
        """Connect, retrying until the port answers and lets us in, or the time is up.

        Raises:
            RemoteError: The time is up; or at once if the machine shows another host key than it should.
        """
        what = f"ssh {user}@{address}"
        transport = self._open(
            what,
            lambda limit_s: open_transport(
                (address, self._port),
                user=user,
                private_key=private_key,
                host_keys=host_keys,
                timeout_s=limit_s,
            ),
            timeout_s,
        )
        try:
            yield SshShell(transport, what)
        finally:
            transport.close()

    def _open(self, what: str, open_once: Callable[[float], Transport], timeout_s: float) -> Transport:
        from paramiko import SSHException  # noqa: PLC0415 - most commands open no shell

        deadline = self._clock.monotonic_s() + timeout_s
        while True:
            try:
                return open_once(min(_ATTEMPT_S, deadline - self._clock.monotonic_s()))
            except Unacceptable as exc:
                raise RemoteError(what, status=SSH_FAILED, output=(str(exc),)) from exc
            except (OSError, EOFError, SSHException) as exc:
                if deadline - self._clock.monotonic_s() <= self._pause_s:
                    reason = f"not let in within {timeout_s:g} s; last: {_reason(exc)}"
                    raise RemoteError(what, status=SSH_FAILED, output=(reason,)) from exc
                _log.debug("%s: %s", what, _reason(exc))
            self._clock.sleep(self._pause_s)


def _reason(exc: Exception) -> str:
    return str(exc) or type(exc).__name__


@dataclass(frozen=True, slots=True)
class SshShell:
    """Commands on one machine, over one connection."""

    _transport: Transport
    _what: str

    def run(self, command: str, *, stdin: bytes = b"", timeout_s: float = 120) -> CommandResult:
        """Run a command to its end.

        Raises:
            RemoteError: The command did not end in time, or the connection broke.
        """
        from paramiko import SSHException  # noqa: PLC0415 - as above

        try:
            channel = self._transport.open_session(timeout=timeout_s)
        except (SSHException, OSError, EOFError) as exc:
            raise self._failure(_reason(exc)) from exc
        with channel, ThreadPoolExecutor(3) as pool:
            try:
                channel.exec_command(command)
                return self._attend(channel, pool, stdin=stdin, timeout_s=timeout_s)
            except (SSHException, OSError, EOFError) as exc:
                raise self._failure(f"{_first_line(command)}: {_reason(exc)}") from exc
            finally:
                channel.close()  # so that the threads end, and with them the pool

    def _attend(
        self, channel: Channel, pool: ThreadPoolExecutor, *, stdin: bytes, timeout_s: float
    ) -> CommandResult:
        """Feed and drain the command from threads of their own, so that no full buffer stops the others."""
        deadline = time.monotonic() + timeout_s
        sending = pool.submit(_send, channel, stdin)
        stdout, stderr = _Drain(channel.recv), _Drain(channel.recv_stderr)
        readers = [pool.submit(stdout), pool.submit(stderr)]
        try:
            for reader in (*readers, sending):
                _wait(reader, deadline)
            ended = channel.status_event.wait(max(0.0, deadline - time.monotonic()))
        except FutureTimeout:
            ended = False
        if not ended:
            lines = (stdout.text + stderr.text).splitlines()[-_SHOWN_LINES:]
            reason = f"not done after {timeout_s:g} s"
            raise RemoteError(self._what, status=TIMED_OUT, output=(reason, *lines))
        status = channel.recv_exit_status()
        if status < 0:
            raise self._failure("the connection broke, or a signal ended the command")
        return CommandResult(status, stdout.text, stderr.text)

    def _failure(self, reason: str) -> RemoteError:
        return RemoteError(self._what, status=SSH_FAILED, output=(reason,))


class _Drain:
    """Reads one stream of a command to its end."""

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._chunks: list[bytes] = []

    def __call__(self) -> None:
        while chunk := self._receive(_CHUNK):
            self._chunks.append(chunk)

    @property
    def text(self) -> str:
        return b"".join(self._chunks).decode("utf-8", "replace")


def _send(channel: Channel, stdin: bytes) -> None:
    """Write the input; a command that ends without reading all of it has not failed."""
    try:
        channel.sendall(stdin)
        channel.shutdown_write()
    except OSError:
        _log.debug("the command ended before it had read its input")


def _wait(future: Future[None], deadline: float) -> None:
    future.result(max(0.0, deadline - time.monotonic()))


def _first_line(command: str) -> str:
    return command.splitlines()[0] if command else ""
