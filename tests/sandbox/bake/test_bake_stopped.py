# SPDX-License-Identifier: Apache-2.0
"""Stop a bake while it provisions its machine, and what others may do meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sandbox.bake.holdings import Account, difference
from tests.sandbox.bake.project import Project, ended
from tests.sandbox.bake.relay import kill_all_of

pytestmark = pytest.mark.sandbox

SLOW = """
- name: Take a nap
  ansible.builtin.command:
    cmd: sleep 300
  changed_when: true
"""
PATIENCE_S = 120.0


@contextmanager
def napping(project: Project) -> Iterator[subprocess.Popen[str]]:
    """Give a bake whose machine is being provisioned."""
    project.add_class("slow", SLOW)
    bake = project.start("bake-ami", "--server-class", "slow")
    watch = threading.Timer(PATIENCE_S, lambda: kill_all_of(bake.pid))
    watch.start()
    try:
        assert bake.stderr is not None
        seen = []
        for line in bake.stderr:
            seen.append(line)
            if "Take a nap" in line:
                break
        else:
            pytest.fail(f"it ended before it provisioned: {''.join(seen)}")
        yield bake
    finally:
        watch.cancel()
        if bake.poll() is None:
            kill_all_of(bake.pid)
            ended(bake)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_bake_cleans_up(
    project: Project, account: Account, number: signal.Signals, status: int
) -> None:
    before = account.holdings()
    with napping(project) as bake:
        bake.send_signal(number)
        told = ended(bake)
    assert (told.status, told.stdout) == (status, "")
    assert told.stderr.splitlines()[-1] == "stopped: what this command had begun was cleaned up"
    assert difference(before, account.holdings()) == {}
    assert account.keys("locks/") == []
    assert project.run_folders == []
    assert _processes_in(project.path) == []


def test_a_bake_that_runs_is_left_alone(project: Project, account: Account) -> None:
    """By a second bake of the class, which is told who bakes it, and by gc."""
    before = account.holdings()
    with napping(project) as bake:
        during = account.holdings()
        run_id = project.run_folders[0]
        refused = project.bake("slow")
        assert refused.status == 4
        error = refused.document
        assert (error["error"], error["what"]) == ("Refused", "lock bake/sandbox/slow")
        assert f"(process {bake.pid}, run {run_id})" in error["cause"]
        assert error["state"] == "slow: failed"
        gc = project.run("gc", "--yes")
        assert (gc.status, gc.stdout) == (0, "nothing to remove\n")
        assert difference(during, account.holdings()) == {}
        bake.send_signal(signal.SIGINT)
        assert ended(bake).status == 130
    assert difference(before, account.holdings()) == {}


def _processes_in(folder: Path) -> list[str]:
    """Return the processes that work in a folder, by what they were called with."""
    return [
        command
        for process in Path("/proc").glob("[0-9]*")
        if str(folder) in (command := _command(process)) or _works_in(process, folder)
    ]


def _command(process: Path) -> str:
    return _try(lambda: (process / "cmdline").read_bytes().replace(b"\0", b" ").decode())


def _works_in(process: Path, folder: Path) -> bool:
    where = _try(lambda: os.readlink(process / "cwd"))  # noqa: PTH115 - what it was may be gone
    return where.startswith(str(folder))


def _try(read: Callable[[], str]) -> str:
    try:
        return read()
    except OSError:
        return ""
