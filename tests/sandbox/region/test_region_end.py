# SPDX-License-Identifier: Apache-2.0
"""A region that ends leaves nothing on the host, however it ended; and what is durable is there again."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox import control
from sandbox.names import RegionNames, of_checkout
from sandbox.state_dir import StateDir

from .conftest import free_port, until

# Twice as long as the region waits for further changes before it saves.
QUIET_S = 6.0

pytestmark = pytest.mark.sandbox


def traces(names: RegionNames) -> dict[str, list[str]]:
    """Return everything on the host that carries the region's names."""

    def lines(*command: str) -> list[str]:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [line for line in done.stdout.splitlines() if names.prefix in line or names.table in line]

    processes = [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and names.prefix in _command_line(entry)
    ]
    return {
        "containers": lines("podman", "ps", "--all", "--format", "{{.Names}}"),
        "links": lines("ip", "-o", "link"),
        "namespaces": lines("ip", "netns"),
        "tables": lines("nft", "list", "tables"),
        "mounts": lines("cat", "/proc/mounts"),
        "processes": processes,
    }


def _command_line(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


NOTHING = {"containers": [], "links": [], "namespaces": [], "tables": [], "mounts": [], "processes": []}


@pytest.fixture(name="state")
def fixture_state(able_host: None, tmp_path: Path) -> Iterator[StateDir]:
    """Return the directory of a region of its own."""
    state = StateDir(tmp_path / ".sandbox")
    yield state
    control.reset(state_dir=state)


def client_of(state: StateDir) -> Any:
    """Return an EC2 client of a running region."""
    session = boto3.session.Session("a", "b", region_name="us-east-1")
    return session.client("ec2", endpoint_url=control.status(state_dir=state)["endpoint"])


def launch(state: StateDir) -> tuple[str, str]:
    """Bring a region up, launch a machine and make an image of it; return instance and image."""
    control.up(port=free_port(), state_dir=state)
    ec2 = client_of(state)
    debian = ec2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
    instance_id = ec2.run_instances(ImageId=debian, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance_id], WaiterConfig={"Delay": 1})
    ami_id = ec2.create_image(InstanceId=instance_id, Name="kept-1", NoReboot=True)["ImageId"]
    ec2.get_waiter("image_available").wait(ImageIds=[ami_id], WaiterConfig={"Delay": 1})
    return instance_id, ami_id


def kill(pid: int) -> None:
    """End a process as the kernel's memory killer would."""
    descriptor = os.pidfd_open(pid)
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    select.select([descriptor], [], [], 10)
    os.close(descriptor)


def test_down_leaves_nothing_and_up_brings_back_what_lasts(state: StateDir) -> None:
    names = of_checkout(state.path.parent)
    instance_id, ami_id = launch(state)
    assert traces(names) != NOTHING
    assert control.down(state_dir=state) is True
    assert traces(names) == NOTHING
    control.up(port=free_port(), state_dir=state)
    ec2 = client_of(state)
    seen = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    assert seen["State"]["Name"] == "terminated"
    again = ec2.run_instances(ImageId=ami_id, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[again], WaiterConfig={"Delay": 1})
    control.reset(state_dir=state)
    assert traces(names) == NOTHING
    images = subprocess.run(
        ["podman", "images", "--format", "{{.Repository}}"], capture_output=True, text=True, check=True
    )
    assert names.image_prefix not in images.stdout


@pytest.mark.parametrize("end", [control.down, control.reset], ids=["down", "reset"])
def test_nothing_is_left_after_the_daemon_was_killed(state: StateDir, end: object) -> None:
    names = of_checkout(state.path.parent)
    launch(state)
    kill(control.status(state_dir=state)["pid"])
    assert traces(names) != NOTHING
    end(state_dir=state)  # type: ignore[operator]
    assert traces(names) == NOTHING


def saved_at(state: StateDir) -> float:
    saved = state.saved("real")
    return saved.stat().st_mtime if saved.exists() else time.time()


def test_a_new_daemon_takes_over_the_machines_of_a_killed_one(state: StateDir) -> None:
    instance_id, _ = launch(state)
    # What is not saved yet is lost with the daemon: saving is some seconds behind. A save that began before
    # the tag was there must not be taken for one that holds it, so the launch is saved first.
    until(lambda: time.time() - saved_at(state), lambda age_s: age_s > QUIET_S)
    now = time.time()
    client_of(state).create_tags(Resources=[instance_id], Tags=[{"Key": "last", "Value": "words"}])
    until(lambda: saved_at(state), lambda saved: saved > now)
    kill(control.status(state_dir=state)["pid"])
    control.up(port=free_port(), state_dir=state)
    ec2 = client_of(state)
    seen = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    assert (seen["State"]["Name"], seen["Tags"]) == ("running", [{"Key": "last", "Value": "words"}])


def test_two_checkouts_run_side_by_side(state: StateDir, tmp_path: Path) -> None:
    other = StateDir(tmp_path / "other" / ".sandbox")
    try:
        first, second = launch(state), launch(other)
        assert first[0] != second[0]
        control.down(state_dir=other)
        machines = control.status(state_dir=state)["machines"]
        assert [(row["instance_id"], row["state"]) for row in machines] == [(first[0], "running")]
    finally:
        control.reset(state_dir=other)
