# SPDX-License-Identifier: Apache-2.0
"""Tunnels to the demo's database as operators open them, and what there is to see of them."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.sandbox.bake.project import Ended, ended
from tests.sandbox.environments.demo import Demo

READY_S, END_S = 60.0, 20.0
VERB = "db-tunnel"
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def execute(demo: Demo, sql: str, *more: str) -> Ended:
    """Run SQL through a tunnel of its own."""
    return demo.project.run(VERB, "--exec", sql, *more)


@dataclass
class Open:
    """A bare tunnel that is open."""

    demo: Demo
    process: subprocess.Popen[str]
    ready: dict[str, Any]

    @property
    def port(self) -> int:
        return int(self.ready["port"])

    def stop(self, number: signal.Signals = signal.SIGINT) -> Ended:
        """Stop it as an operator does."""
        self.process.send_signal(number)
        return ended(self.process, END_S)


@contextmanager
def tunnel(demo: Demo, *more: str) -> Iterator[Open]:
    """Open a bare tunnel for a block."""
    process = demo.project.start(VERB, "--json", *more)
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], READY_S)[0], "it did not become ready"
        line = process.stdout.readline()
        assert line.startswith('{"ca_url"'), (line, process.stderr.read() if process.stderr else "")
        yield Open(demo, process, json.loads(line))
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class Master:
    """The database's master user, and clients that know nothing of Slipway."""

    user: str
    password: str
    folder: Path

    def run(
        self, port: int, program: str, *arguments: str, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a client of MariaDB's against a local port."""
        options = self.folder / "options.cnf"
        options.touch(0o600)
        options.write_text(
            f'[client]\nuser="{self.user}"\npassword="{self.password}"\nhost=127.0.0.1\nport={port}\n'
            f"protocol=tcp\nssl-ca={self.folder / 'ca.pem'}\n[mysql]\nconnect-timeout=60\n"
        )
        argv = [program, f"--defaults-file={options}", *arguments]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=120)

    def asks(self, port: int, sql: str) -> str:
        """Return what a query answers; it has to end well."""
        done = self.run(port, "mariadb", "--batch", "--skip-column-names", "levels", stdin=sql)
        assert done.returncode == 0, done.stderr
        return done.stdout


def leftovers(session: str) -> list[str]:
    """Return what of a run is still there: processes that name it, and files."""
    found = [str(each) for each in Path("/tmp").glob(f"slipway-{session}*")]  # noqa: S108 - where runs put files
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if session.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text())
        except OSError:
            continue
    return found


def records(demo: Demo, session: str) -> list[dict[str, Any]]:
    """Return what the operator's command told of a session; log group and bucket have the same."""
    told = [each for each in _told(demo) if each["session"] == session and "operator" in each]
    s3, bucket = demo.client("s3"), "slipway-sandbox-logs-123456789012"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="access/")
    keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
    own = sorted(key for key in keys if f"/operators-{session}-" in key)
    kept = [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in own]
    assert kept == told, f"{kept} in the bucket, {told} in the log group"
    return told


def told_by_machines(demo: Demo, session: str) -> set[tuple[str, str, str]]:
    """Return what the machines on the way told of a session: which machine, of which door, what."""
    told = [each for each in _told(demo) if each["session"] == session and "operator" not in each]
    return {(each["instance_id"], each["door"], each["event"]) for each in told}


def _told(demo: Demo) -> list[dict[str, Any]]:
    pages = (
        demo.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName="/slipway/sandbox/access")
    )
    return [json.loads(each["message"]) for page in pages for each in page["events"]]


@dataclass
class Typed:
    """A command on a terminal of its own."""

    process: subprocess.Popen[bytes]
    screen: int
    seen: str = ""

    def types(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def shows(self, wanted: str) -> None:
        """Wait until it has shown something."""
        end = time.monotonic() + READY_S
        while wanted not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.screen], [], [], 0.2)[0]:
                self.seen += _STYLE.sub("", os.read(self.screen, 65536).decode("utf-8", "replace"))


@contextmanager
def typed(demo: Demo, *arguments: str) -> Iterator[Typed]:
    """Start a command of the demo's checkout on a terminal."""
    screen, terminal = pty.openpty()
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHONPATH"))
    }
    environ |= {"SLIPWAY_SANDBOX_PORT": str(demo.project.port), "NO_COLOR": "1", "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", *arguments],
        cwd=demo.project.path,
        env=environ,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=_own_terminal,  # noqa: PLW1509 - the terminal has to be the new session's
    )
    os.close(terminal)
    try:
        yield Typed(process, screen)
    finally:
        process.kill()
        process.wait(END_S)
        os.close(screen)


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def everywhere() -> Iterator[tuple[str, bytes]]:
    """Give what everybody can see of processes, and what their environments hold."""
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                yield str(folder / name), (folder / name).read_bytes()
            except OSError:
                continue
