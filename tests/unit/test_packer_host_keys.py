# SPDX-License-Identifier: Apache-2.0
"""The options that the template gives ssh: our own host key is accepted at any address, no other is."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).resolve().parents[2] / "packer" / "image.pkr.hcl"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the ssh of Debian")

SERVER = """
import asyncio, sys, asyncssh
class Anybody(asyncssh.SSHServer):
    def begin_auth(self, username):
        return False
async def main():
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Anybody, server_host_keys=sys.argv[1:],
        process_factory=lambda process: (process.stdout.write("in\\n"), process.exit(0)))
    print(server.get_port(), flush=True)
    await server.wait_closed()
asyncio.run(main())
"""


def make_key(path: Path, kind: str) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", path], check=True)
    return path.with_suffix(".pub").read_text().strip()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[int]:
    """An ssh server with an ed25519 and an RSA host key; its port."""
    for kind in ("ed25519", "rsa"):
        make_key(tmp_path / kind, kind)
    argv = [sys.executable, "-c", SERVER, str(tmp_path / "rsa"), str(tmp_path / "ed25519")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        assert process.stdout
        yield int(process.stdout.readline())
        watchdog.cancel()
        process.kill()


def options_of_the_template(known_hosts: Path) -> list[str]:
    """Return what Ansible makes of the template's list."""
    listed = re.search(r"ssh_options = \[(.*?)\n  \]", TEMPLATE.read_text(), re.DOTALL)
    assert listed
    options = re.findall(r'"(-o [^"]+)"', listed[1])
    joined = " ".join(options).replace("${var.known_hosts}", str(known_hosts))
    return shlex.split(joined)


def connect(port: int, known_hosts: Path) -> subprocess.CompletedProcess[str]:
    # As Ansible does when ANSIBLE_HOST_KEY_CHECKING is False, which Packer appends: ours come first, and win.
    argv = ["ssh", "-F", "none", *options_of_the_template(known_hosts), "-o", "StrictHostKeyChecking=no"]
    argv += ["-o", "ControlPath=none", "-p", str(port), "admin@127.0.0.1", "true"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)


def test_our_host_key_is_accepted_at_an_address_nobody_knew(server: int, tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"* {(tmp_path / 'ed25519.pub').read_text()}")
    done = connect(server, known_hosts)
    assert (done.returncode, done.stdout, done.stderr) == (0, "in\n", "")
    # Nothing was learnt on the way.
    assert len(known_hosts.read_text().splitlines()) == 1


@pytest.mark.parametrize("known", ["another", "rsa", "none"])
def test_any_other_host_key_is_refused(server: int, tmp_path: Path, known: str) -> None:
    known_hosts = tmp_path / "known_hosts"
    if known == "another":
        make_key(tmp_path / "another", "ed25519")
    line = f"* {(tmp_path / f'{known}.pub').read_text()}" if known != "none" else ""
    known_hosts.write_text(line)
    done = connect(server, known_hosts)
    assert (done.returncode, done.stdout) == (255, "")
    assert "Host key verification failed" in done.stderr
