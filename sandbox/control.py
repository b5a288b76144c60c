# SPDX-License-Identifier: Apache-2.0
"""Start, stop and look at the region of a checkout. Returns data or raises; imports nothing heavy."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError
from sandbox.state_dir import CHECKOUT, DEFAULT_PORT, DEFAULT_REGION, DaemonRecord, StateDir

READY = "ready"
ANSWER_TIMEOUT_S = 5.0
# The guests of a region shut down in order; a daemon that needs longer hangs.
END_TIMEOUT_S = 120.0
LOG_LINES_IN_ERROR = 10
OnPhase = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RegionInfo:
    """A running region."""

    endpoint: str
    pid: int
    mode: str
    region: str
    was_running: bool = False


def up(
    *,
    port: int = DEFAULT_PORT,
    mode: str = "real",
    region: str = DEFAULT_REGION,
    seed: int = 0,
    on_phase: OnPhase = lambda phase: None,
    state_dir: StateDir | None = None,
) -> RegionInfo:
    """Start the region of this checkout, unless it runs; return when it can be used.

    A simulated region is the same at every run with the same `seed`.

    Raises:
        SandboxError: the port is taken, the host can't run machines, the region failed to start, or it runs
            in the other mode.
    """
    state = state_dir or StateDir.of_checkout()
    if state.is_held():
        return _running_already(state, mode)
    _check_port(port)
    if mode == "real":
        _check_host()
    state.path.mkdir(parents=True, exist_ok=True)
    heard, told = os.pipe()
    process = _spawn(state, told, port=port, mode=mode, region=region, seed=seed)
    os.close(told)
    failure = _listen(heard, on_phase)
    if failure is not None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait()
        raise SandboxError(f"the region did not start: {failure}", next_step="invoke sandbox.logs")
    record = state.last_record()
    if record is None:
        raise SandboxError("the region ended as soon as it had started", next_step="invoke sandbox.logs")
    # The daemon lives on, in its own session; Popen must not complain that it was not waited for.
    process.returncode = 0
    return _info(record)


def down(*, state_dir: StateDir | None = None) -> bool:
    """Stop the region and remove every trace of it from the host; False if nothing ran.

    What is durable stays: images, objects, parameters, keys and networks are there again after the next `up`.
    """
    state = state_dir or StateDir.of_checkout()
    was_running = state.is_held()
    record = state.last_record()
    if was_running and record is not None:
        _end(record)
    if state.has_had_machines:
        _remove_machines(state, images=False)
    return was_running


def reset(*, state_dir: StateDir | None = None) -> None:
    """Stop the region and forget everything, images included."""
    state = state_dir or StateDir.of_checkout()
    down(state_dir=state)
    if state.has_had_machines:
        _remove_machines(state, images=True)
    shutil.rmtree(state.path, ignore_errors=True)


def status(*, state_dir: StateDir | None = None) -> dict[str, Any]:
    """Return what runs, as the region itself says.

    Raises:
        SandboxError: the region does not run, or does not answer.
    """
    state = state_dir or StateDir.of_checkout()
    record = state.running()
    if record is None:
        raise SandboxError("the region of this checkout does not run", next_step="invoke sandbox.up")
    page = _page(record.port, "status")
    if page is None:
        raise SandboxError(
            f"the region (pid {record.pid}) does not answer on port {record.port}",
            next_step="invoke sandbox.down, then invoke sandbox.up",
        )
    return page | {"endpoint": record.endpoint}


def logs(*, lines: int = 100, requests: bool = True, state_dir: StateDir | None = None) -> Iterator[str]:
    """Yield the last lines of the daemon's log, and of the log of calls, oldest first."""
    state = state_dir or StateDir.of_checkout()
    merged = _tail(state.log, lines) + (_tail(state.requests, lines) if requests else [])
    # Both begin their lines with the time; a traceback's lines stay behind the line they belong to.
    stamped: list[tuple[str, str]] = []
    stamp = ""
    for line in merged:
        stamp = line[:23] if line[:4].isdigit() else stamp
        stamped.append((stamp, line))
    for _, line in sorted(stamped, key=lambda each: each[0])[-lines:]:
        yield line


def _running_already(state: StateDir, mode: str) -> RegionInfo:
    record = state.last_record()
    page = _page(record.port, "health") if record else None
    if record is None or page is None:
        raise SandboxError(
            "the region of this checkout is starting or hangs",
            next_step="invoke sandbox.status, or invoke sandbox.down and then sandbox.up",
        )
    if record.mode != mode:
        raise SandboxError(
            f"it runs with {record.mode} machines", next_step=f"invoke sandbox.down, then up with {mode} ones"
        )
    return _info(record, was_running=True)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            pass
        else:
            return
    page = _page(port, "health")
    holder = f"the region of {page['checkout']}" if page else "another program"
    raise SandboxError(f"port {port} is used by {holder}", next_step=f"invoke sandbox.up --port {port + 1}")


def _check_host() -> None:
    from sandbox import preflight  # noqa: PLC0415 - a simulated region needs nothing of the host

    if lacking := preflight.missing():
        causes = "; ".join(str(each) for each in lacking)
        raise SandboxError(
            f"this host cannot carry machines: {causes}; {preflight.STILL_WORKS}",
            next_step="invoke sandbox.up --mode simulated",
        )


def _spawn(
    state: StateDir, told: int, *, port: int, mode: str, region: str, seed: int
) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-m", "sandbox.daemon", "--state-dir", str(state.path)]
    arguments += ["--port", str(port), "--mode", mode, "--region", region, "--report-fd", str(told)]
    arguments += ["--seed", str(seed)]
    # A profile or endpoint meant for AWS must not reach the botocore inside the daemon.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    if mode == "simulated":
        # The order of sets of texts is drawn anew in each process, unless it is told.
        environment["PYTHONHASHSEED"] = "0"
    with state.log.open("ab") as log:
        return subprocess.Popen(  # noqa: S603
            arguments,
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(told,),
            start_new_session=True,
        )


def _listen(heard: int, on_phase: OnPhase) -> str | None:
    """Follow the start; return why it failed, or None when the region is ready."""
    with os.fdopen(heard) as lines:
        for line in lines:
            phase = line.strip()
            if phase == READY:
                return None
            if phase.startswith("failed "):
                return phase.removeprefix("failed ")
            on_phase(phase)
    return "its process ended"


def _end(record: DaemonRecord) -> None:
    """Ask the daemon to end, and see to it that it does."""
    try:
        descriptor = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        if not select.select([descriptor], [], [], END_TIMEOUT_S)[0]:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], [], [], ANSWER_TIMEOUT_S)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


def _remove_machines(state: StateDir, *, images: bool) -> None:
    """Remove what a killed daemon left; after an orderly end this finds nothing but images."""
    from sandbox.substrates import remove_machines  # noqa: PLC0415 - only these commands need it

    remove_machines(state, images=images)


def _page(port: int, name: str) -> dict[str, Any] | None:
    """Return a page of the region on `port`, or None if there is none."""
    try:
        with urllib.request.urlopen(  # noqa: S310 - always http on loopback
            f"http://127.0.0.1:{port}/_slipway/{name}", timeout=ANSWER_TIMEOUT_S
        ) as answer:
            page = json.load(answer)
    except (OSError, urllib.error.URLError, ValueError):
        return None
    return page if isinstance(page, dict) and page.get("service") == "slipway-sandbox" else None


def _info(record: DaemonRecord, *, was_running: bool = False) -> RegionInfo:
    return RegionInfo(record.endpoint, record.pid, record.mode, record.region, was_running)


def _tail(path: Path, lines: int) -> list[str]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", errors="replace") as text:
        return [line.rstrip("\n") for line in deque(text, maxlen=lines)]
