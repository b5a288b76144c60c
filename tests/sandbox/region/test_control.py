# SPDX-License-Identifier: Apache-2.0
"""Starting, looking at and stopping a region's daemon: real processes, simulated machines."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from sandbox import control
from sandbox.errors import SandboxError
from sandbox.state_dir import CHECKOUT, StateDir

pytestmark = pytest.mark.sandbox


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(name="state")
def fixture_state(tmp_path: Path) -> Iterator[StateDir]:
    """Return a state directory whose daemon is gone afterwards."""
    state = StateDir(tmp_path / ".sandbox")
    yield state
    control.reset(state_dir=state)


def test_up_is_idempotent_and_down_leaves_only_what_lasts(state: StateDir) -> None:
    port, phases = free_port(), list[str]()
    info = control.up(port=port, mode="simulated", state_dir=state, on_phase=phases.append)
    assert phases == ["making the public Debian 12 image"]
    again = control.up(port=port, mode="simulated", state_dir=state)
    assert (again.pid, again.was_running) == (info.pid, True)

    with pytest.raises(SandboxError, match="it runs with simulated machines"):
        control.up(port=port, mode="real", state_dir=state)

    session = boto3.session.Session("a", "b", region_name="us-east-1")
    ec2 = session.client("ec2", endpoint_url=info.endpoint)
    assert [each["IsDefault"] for each in ec2.describe_vpcs()["Vpcs"]] == [True]

    status = control.status(state_dir=state)
    assert (status["phase"], status["mode"], status["endpoint"]) == ("ready", "simulated", info.endpoint)
    assert any("ec2 DescribeVpcs 200" in line for line in control.logs(state_dir=state))

    assert control.down(state_dir=state) is True
    assert control.down(state_dir=state) is False
    with pytest.raises(SandboxError, match="does not run"):
        control.status(state_dir=state)
    assert not state.is_held()
    assert sorted(path.name for path in state.path.iterdir()) == [
        "certificate-authority.pem",
        "daemon.lock",
        "daemon.log",
        "requests.log",
        "simulated.state",
    ]


def test_a_killed_daemon_is_cleaned_up_and_started_anew(state: StateDir) -> None:
    port = free_port()
    first = control.up(port=port, mode="simulated", state_dir=state)
    descriptor = os.pidfd_open(first.pid)
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    select.select([descriptor], [], [], 5)
    os.close(descriptor)
    second = control.up(port=port, mode="simulated", state_dir=state)
    assert second.pid != first.pid
    assert control.status(state_dir=state)["pid"] == second.pid


def test_a_port_that_is_taken(state: StateDir, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(SandboxError) as caught:
            control.up(port=port, mode="simulated", state_dir=state)
    assert "another program" in str(caught.value)
    assert f"--port {port + 1}" in str(caught.value)
    control.up(port=port, mode="simulated", state_dir=state)
    other = StateDir(tmp_path / "other" / ".sandbox")
    with pytest.raises(SandboxError, match=f"the region of {CHECKOUT}"):
        control.up(port=port, mode="simulated", state_dir=other)


def test_a_region_that_cannot_start_says_why(state: StateDir) -> None:
    with pytest.raises(SandboxError, match="did not start"):
        control.up(port=free_port(), mode="imaginary", state_dir=state)
    assert not state.is_held()
