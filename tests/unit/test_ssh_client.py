# SPDX-License-Identifier: Apache-2.0
"""The ssh client against a real ssh server on loopback, in this process, that runs real commands."""

from __future__ import annotations

import asyncio
import base64
import socket
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from orchestrator.clock import SystemClock
from orchestrator.errors import RemoteError
from orchestrator.ports import RemoteShell
from orchestrator.ssh.client import SSH_FAILED, TIMED_OUT, SshShells
from orchestrator.ssh.keys import Ed25519KeyMaker

HARDENED = {
    "kex_algs": ["curve25519-sha256", "curve25519-sha256@libssh.org"],
    "encryption_algs": ["aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr"],
    "mac_algs": ["hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com"],
}


async def pump(reader: Any, writer: Any) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()


async def feed(process: Any, stdin: Any) -> None:
    await pump(process.stdin, stdin)
    stdin.close()


class Login(asyncssh.SSHServer):
    """Lets in whom the machine knows by then."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def connection_made(self, conn: Any) -> None:
        self._machine.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: Any) -> bool:
        self._machine.attempts += 1
        known = key.export_public_key().decode().split()[1] in self._machine.public_key
        return known and username == "admin" and self._machine.attempts > self._machine.refusals


@dataclass
class Machine:
    """An ssh server in a thread."""

    folder: Path
    options: dict[str, Any] = field(default_factory=lambda: dict(HARDENED))
    attempts: int = 0
    refusals: int = 0
    port: int = 0
    ciphers: list[str] = field(default_factory=list)
    connections: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        maker = Ed25519KeyMaker()
        self.private_key, self.public_key = maker.make(self.folder, "operator")
        self._host_path, host_line = maker.make(self.folder, "host")
        self.host_key = " ".join(host_line.split()[:2])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self, port: int = 0) -> None:
        if not self._thread.is_alive():
            self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(port), self._loop).result(10)
        self.port = self._server.get_port()

    async def _listen(self, port: int) -> Any:
        return await asyncssh.create_server(
            lambda: Login(self),
            "127.0.0.1",
            port,
            server_host_keys=[str(self._host_path)],
            process_factory=self._run,
            encoding=None,
            **self.options,
        )

    async def _run(self, process: Any) -> None:
        self.ciphers.append(process.channel.get_extra_info("send_cipher"))
        child = await asyncio.create_subprocess_shell(
            process.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        feeding = asyncio.create_task(feed(process, child.stdin))
        try:
            await asyncio.gather(pump(child.stdout, process.stdout), pump(child.stderr, process.stderr))
            process.exit(await child.wait())
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            if child.returncode is None:
                child.kill()
                await child.wait()
            child._transport.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Break all connections."""
        for connection in self.connections:
            self._loop.call_soon_threadsafe(connection.abort)

    async def _end(self) -> None:
        self._server.close()
        for connection in self.connections:
            connection.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(others, timeout=0.2) if others else None
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # for transports to close

    def connect(
        self, *, host_keys: Sequence[str] | None = None, timeout_s: float = 10, port: int | None = None
    ) -> AbstractContextManager[RemoteShell]:
        return SshShells(SystemClock(), port=port or self.port, pause_s=0.1).connect(
            "127.0.0.1",
            user="admin",
            private_key=self.private_key,
            host_keys=[self.host_key] if host_keys is None else host_keys,
            timeout_s=timeout_s,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    machine.start()
    yield machine
    machine.stop()


def test_a_command_gives_status_and_both_outputs(machine: Machine) -> None:
    with machine.connect() as shell:
        result = shell.run("echo out; echo err >&2; exit 3")
    assert (result.status, result.stdout, result.stderr) == (3, "out\n", "err\n")


def test_authenticated_ciphers_are_preferred(machine: Machine) -> None:
    with machine.connect() as shell:
        shell.run("true")
    assert "gcm" in str(machine.ciphers[0])


def test_one_connection_runs_many_commands(machine: Machine) -> None:
    with machine.connect() as shell:
        assert [shell.run(f"echo {number}").stdout for number in range(3)] == ["0\n", "1\n", "2\n"]
    assert machine.attempts <= 2


def test_large_input_and_output_flow_at_once(machine: Machine) -> None:
    body = b"0123456789abcde\n" * 200_000
    with machine.connect() as shell:
        result = shell.run("tee /dev/stderr", stdin=body)
    assert result.stdout.encode() == body
    assert result.stderr.encode() == body


def test_a_command_need_not_read_its_input(machine: Machine) -> None:
    with machine.connect() as shell:
        result = shell.run("echo done", stdin=b"x" * 5_000_000, timeout_s=20)
    assert (result.status, result.stdout) == (0, "done\n")


def test_a_command_that_takes_too_long_is_an_error_with_its_last_lines(machine: Machine) -> None:
    begun = time.monotonic()
    with machine.connect() as shell, pytest.raises(RemoteError) as caught:
        shell.run("echo begun; exec sleep 3", timeout_s=0.5)
    assert caught.value.status == TIMED_OUT
    assert caught.value.output == ("not done after 0.5 s", "begun")
    assert time.monotonic() - begun < 3


def test_another_host_key_is_an_error_at_once_and_nobody_logs_in(machine: Machine, tmp_path: Path) -> None:
    _, other = Ed25519KeyMaker().make(tmp_path, "other")
    begun = time.monotonic()
    with pytest.raises(RemoteError, match="another host key"), machine.connect(host_keys=[other]):
        pass
    assert machine.attempts == 0
    assert time.monotonic() - begun < 5


def test_a_host_key_of_an_unexpected_kind_is_an_error_at_once(machine: Machine) -> None:
    key = "ssh-rsa " + base64.b64encode(b"\0\0\0\x07ssh-rsa").decode()
    with pytest.raises(RemoteError) as caught, machine.connect(host_keys=[key]):
        pass
    assert (caught.value.status, machine.attempts) == (SSH_FAILED, 0)


def test_no_known_host_key_is_an_error(machine: Machine) -> None:
    with pytest.raises(RemoteError), machine.connect(host_keys=[]):
        pass
    assert machine.attempts == 0


def test_one_of_several_known_host_keys_is_enough(machine: Machine, tmp_path: Path) -> None:
    _, other = Ed25519KeyMaker().make(tmp_path, "other")
    with machine.connect(host_keys=[other, f"{machine.host_key} root@machine"]) as shell:
        assert shell.run("true").status == 0


def test_a_port_that_is_not_open_yet_is_tried_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    timer = threading.Timer(0.3, machine.start, (port,))
    timer.start()
    try:
        with machine.connect(port=port) as shell:
            assert shell.run("true").status == 0
    finally:
        timer.join()
        machine.stop()


def test_a_key_that_is_not_known_yet_is_tried_again(machine: Machine) -> None:
    machine.refusals = 1
    with machine.connect() as shell:
        assert shell.run("true").status == 0


def test_a_key_that_is_never_let_in_is_an_error_in_time(machine: Machine) -> None:
    machine.refusals = 1000
    expected = r"not let in within 0\.5 s; last: Authentication failed"
    with pytest.raises(RemoteError, match=expected), machine.connect(timeout_s=0.5):
        pass
    assert machine.attempts > 1


def test_nobody_there_is_an_error_in_time(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with (
        pytest.raises(RemoteError, match="not let in within 0.5 s"),
        machine.connect(port=port, timeout_s=0.5),
    ):
        pass


def test_a_port_that_accepts_and_says_nothing_is_an_error_in_time(machine: Machine) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(RemoteError, match="not let in within 0.5 s"),
        machine.connect(port=silent.getsockname()[1], timeout_s=0.5),
    ):
        pass


def test_a_key_file_that_can_not_be_read_is_an_error_at_once(machine: Machine) -> None:
    machine.private_key.write_text("nonsense")
    with pytest.raises(RemoteError, match="our key operator can't be used"), machine.connect():
        pass


def test_a_connection_that_breaks_is_an_error(machine: Machine) -> None:
    timer = threading.Timer(0.3, machine.cut)
    with machine.connect() as shell, pytest.raises(RemoteError) as caught:
        timer.start()
        shell.run("exec sleep 2", timeout_s=10)
    timer.join()
    assert caught.value.status == SSH_FAILED


def test_a_private_key_is_its_owners_alone_and_never_written_over(tmp_path: Path) -> None:
    path, line = Ed25519KeyMaker().make(tmp_path, "operator")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert line.startswith("ssh-ed25519 AAAA")
    assert line.endswith(" operator")
    assert path.read_text().startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    with pytest.raises(FileExistsError):
        Ed25519KeyMaker().make(tmp_path, "operator")
