# SPDX-License-Identifier: Apache-2.0
"""Programs are run, told to end, and never outlive whoever started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.clock import SystemClock
from orchestrator.errors import Refused, WaitTimeout
from orchestrator.ports import CommandResult
from orchestrator.tools.process import Processes

PROJECT = Path(__file__).resolve().parents[2]
ENVIRON = {"PATH": os.environ["PATH"]}
PATIENCE_S = 20.0


def eventually(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.02)
    return False


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def read_pid(path: Path) -> int:
    assert eventually(lambda: path.exists() and path.read_text().strip().isdigit())
    return int(path.read_text())


class Runner:
    """Runs shell scripts in a folder of the test's."""

    def __init__(self, folder: Path, **options: float) -> None:
        self.folder = folder
        self.processes = Processes(f"run-{folder.name}", **options)  # type: ignore[arg-type]

    def sh(self, script: str, *, timeout_s: float = PATIENCE_S, stdin: bytes = b"") -> CommandResult:
        return self.processes.run(
            ["sh", "-c", script], cwd=self.folder, environ=ENVIRON, stdin=stdin, timeout_s=timeout_s
        )


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def test_a_program_is_run_to_its_end(runner: Runner) -> None:
    done = runner.sh("cat; pwd; echo bad >&2; exit 3", stdin=b"in\n")
    assert done == CommandResult(3, f"in\n{runner.folder}\n", "bad\n")


def test_much_goes_both_ways(runner: Runner) -> None:
    text = b"0123456789abcde\n" * 100_000
    done = runner.sh("cat; cat /dev/zero | head -c 300000 >&2", stdin=text)
    assert done.stdout.encode() == text
    assert len(done.stderr) == 300_000


def test_a_program_need_not_read_its_input(runner: Runner) -> None:
    assert runner.sh("exec <&-; sleep 0.2; echo done", stdin=b"x" * 1_000_000).stdout == "done\n"


def test_lines_come_as_they_are_written(runner: Runner) -> None:
    lines: list[tuple[str, float]] = []
    runner.processes.run(
        ["sh", "-c", r"echo one; sleep 0.5; printf 'tw\303'; printf '\244o\r\n\377\nrest'"],
        cwd=runner.folder,
        environ=ENVIRON,
        timeout_s=PATIENCE_S,
        on_line=lambda line: lines.append((line, time.monotonic())),
    )
    assert [line for line, _ in lines] == ["one", "twäo", "\ufffd", "rest"]
    assert lines[1][1] - lines[0][1] > 0.3


def test_a_program_gets_the_environment_it_is_given_and_the_name_of_its_run(runner: Runner) -> None:
    names = {line.partition("=")[0] for line in runner.sh("env").stdout.splitlines()}
    assert names - {"_", "SHLVL", "OLDPWD"} == {"PATH", "PWD", "SLIPWAY_RUN", "SLIPWAY_CHILD"}
    assert runner.sh('printf "$SLIPWAY_RUN"').stdout == f"run-{runner.folder.name}"


def test_a_program_has_no_terminal_and_a_group_of_its_own(runner: Runner) -> None:
    fields = runner.sh("cat /proc/self/stat").stdout.rpartition(")")[2].split()
    group, session, terminal = int(fields[2]), int(fields[3]), int(fields[4])
    assert group == session != os.getsid(0)
    assert terminal == 0


def test_a_program_that_is_not_installed_is_refused(runner: Runner) -> None:
    with pytest.raises(Refused, match="error: run no-such-program: it is not installed"):
        runner.processes.run(["no-such-program"], cwd=runner.folder, environ=ENVIRON, timeout_s=1)


def test_too_long_is_ended_and_gets_to_clean_up(runner: Runner) -> None:
    script = "trap 'kill %1; echo cleaned > cleaned; exit' TERM; sleep 60 & wait"
    with pytest.raises(WaitTimeout, match=r"run sh: not done within 0\.5 s"):
        runner.sh(script, timeout_s=0.5)
    assert (runner.folder / "cleaned").exists()


def test_what_does_not_end_is_killed(tmp_path: Path) -> None:
    runner = Runner(tmp_path, grace_s=0.3)
    script = "trap '' TERM; echo $$ > pid; while :; do sleep 0.05; done"
    with pytest.raises(WaitTimeout):
        runner.sh(script, timeout_s=0.5)
    assert not is_alive(read_pid(tmp_path / "pid"))


def test_what_a_program_leaves_in_the_background_is_ended(runner: Runner) -> None:
    # It left the group and holds stdout, as ssh's master connections do.
    started = time.monotonic()
    done = runner.sh(
        "setsid sh -c 'echo $$ > pid; exec sleep 60' & until [ -s pid ]; do sleep 0.02; done; echo out"
    )
    assert done.stdout == "out\n"
    assert eventually(lambda: not is_alive(read_pid(runner.folder / "pid")))
    assert time.monotonic() - started < 15


def test_a_copy_of_the_program_gets_to_clean_up_too(runner: Runner) -> None:
    # Packer runs itself again; the outer one ends first.
    copy = "trap 'sleep 0.5; echo > cleaned; exit' TERM; echo $$ > pid; while :; do sleep 0.05; done"
    (runner.folder / "copy.sh").write_text(copy)
    script = "trap 'kill -TERM $(cat pid); exit' TERM; sh copy.sh & wait"
    with pytest.raises(WaitTimeout):
        runner.sh(script, timeout_s=1)
    assert (runner.folder / "cleaned").exists()


def test_an_error_of_the_reader_ends_the_program(runner: Runner) -> None:
    def fail(line: str) -> None:
        raise LookupError(line)

    with pytest.raises(LookupError, match="1"):
        runner.processes.run(
            ["sh", "-c", "echo $$ > pid; echo 1; sleep 60"],
            cwd=runner.folder,
            environ=ENVIRON,
            timeout_s=PATIENCE_S,
            on_line=fail,
        )
    assert not is_alive(read_pid(runner.folder / "pid"))


def test_all_are_terminated_from_another_thread_and_no_more_are_started(runner: Runner) -> None:
    ended: list[type[BaseException]] = []

    def work(number: int) -> None:
        try:
            runner.sh(
                f"trap 'kill %1; echo > cleaned{number}; exit' TERM; sleep 60 & echo $$ > pid{number}; wait"
            )
        except KeyboardInterrupt as interrupt:
            ended.append(type(interrupt))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    pids = [read_pid(runner.folder / f"pid{number}") for number in range(3)]
    runner.processes.terminate_all()
    assert not any(is_alive(pid) for pid in pids)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert ended == [KeyboardInterrupt] * 3
    assert all((runner.folder / f"cleaned{number}").exists() for number in range(3))
    with pytest.raises(KeyboardInterrupt):
        runner.sh("true")


STARTER = """
import os, sys
from pathlib import Path
from orchestrator.tools.process import Processes

script = "trap 'kill %1; echo > cleaned; exit' TERM; sleep 60 & echo $$ > pid; wait"
processes = Processes(sys.argv[2])
processes.run(["sh", "-c", script], cwd=Path(sys.argv[1]), environ=dict(os.environ), timeout_s=60)
"""


def start_elsewhere(folder: Path, run_id: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", STARTER, str(folder), run_id]
    return subprocess.Popen(argv, cwd=PROJECT, stderr=subprocess.PIPE)


def test_a_program_cleans_up_when_we_are_killed(tmp_path: Path) -> None:
    with start_elsewhere(tmp_path, "run-killed") as starter:
        pid = read_pid(tmp_path / "pid")
        starter.kill()
    assert eventually((tmp_path / "cleaned").exists)
    assert eventually(lambda: not is_alive(pid))


def test_ctrl_c_ends_the_program_before_us(tmp_path: Path) -> None:
    with start_elsewhere(tmp_path, "run-interrupted") as starter:
        pid = read_pid(tmp_path / "pid")
        starter.send_signal(signal.SIGINT)
        _, stderr = starter.communicate(timeout=PATIENCE_S)
    assert b"KeyboardInterrupt" in stderr
    assert (tmp_path / "cleaned").exists()
    assert not is_alive(pid)


def test_what_a_dead_run_left_is_found_by_its_name(tmp_path: Path) -> None:
    run_id = f"run-{os.getpid()}"
    ours = {**ENVIRON, "SLIPWAY_RUN": run_id}
    others = {**ENVIRON, "SLIPWAY_RUN": f"{run_id}-other"}
    with (
        subprocess.Popen(["sleep", "60"], env=ours, start_new_session=True) as left,
        subprocess.Popen(["sleep", "60"], env=others) as stranger,
        Processes(run_id).scratch() as folder,
        Processes(f"{run_id}-other").scratch() as other_folder,
    ):
        (folder / "file").touch()
        reaper = threading.Thread(target=left.wait)
        reaper.start()
        assert Processes("gc", clock=SystemClock()).end_run(run_id) == 1
        reaper.join(PATIENCE_S)
        assert left.returncode == -signal.SIGTERM
        assert stranger.poll() is None
        assert not folder.exists()
        assert other_folder.exists()
        assert Processes("gc").end_run(run_id) == 0
        stranger.kill()


def test_scratch_is_private_short_and_goes(runner: Runner) -> None:
    with runner.processes.scratch() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        # Sockets of ssh live in it: 108 bytes, of which ssh and Ansible add 31.
        assert len(str(folder)) < 77
        assert " " not in str(folder)
    assert not folder.exists()
