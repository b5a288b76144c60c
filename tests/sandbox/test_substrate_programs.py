# SPDX-License-Identifier: Apache-2.0
"""Programs that serve from the network have no privilege, and end with it, whoever started them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.machines.host import HostSubstrate
from sandbox.names import of_checkout
from sandbox.substrate import Process, SubstrateError
from tests.sandbox.networks import machine, vpc
from tests.sandbox.packets import can_connect

pytestmark = pytest.mark.sandbox

ECHO = """
import socket
listener = socket.create_server(("", 80))
while True:
    with listener.accept()[0] as channel:
        channel.sendall(channel.recv(100))
"""
PROGRAM = ["/usr/bin/python3", "-c", ECHO]
NODE, CLIENT = machine("node", "10.0.1.10"), machine("client", "10.0.1.11")


@contextmanager
def serving(substrate: HostSubstrate) -> Iterator[Process]:
    """Run the program at the node, from when it answers."""
    program = serve(substrate)
    try:
        yield program
    finally:
        program.kill()
        program.wait(5)


def serve(substrate: HostSubstrate) -> Process:
    """Start the program at the node, and wait until it answers."""
    log = substrate.runtime_dir() / "log"
    program = substrate.serve(NODE.instance_id, PROGRAM, user="haproxy", log=log)
    deadline = time.monotonic() + 20
    while not can_connect(substrate.names.machine_namespace(CLIENT.instance_id), "10.0.1.10", 80):
        assert program.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
    return program


def test_a_program_binds_any_port_with_no_privilege(substrate: HostSubstrate) -> None:
    substrate.apply_network((vpc(NODE, CLIENT),))
    with serving(substrate) as program:
        said = Path(f"/proc/{program.pid}/status").read_text()
    status = dict(line.split(":\t", 1) for line in said.splitlines())
    assert "0" not in status["Uid"].split()
    assert status["Groups"].strip() == ""
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"


def test_the_next_program_replaces_the_one_before(substrate: HostSubstrate) -> None:
    substrate.apply_network((vpc(NODE, CLIENT),))
    before = serve(substrate)
    with serving(substrate) as after:
        assert before.wait(5) == -9
        assert after.poll() is None


def test_a_program_ends_with_its_place(substrate: HostSubstrate) -> None:
    substrate.apply_network((vpc(NODE, CLIENT),))
    program = serve(substrate)
    substrate.apply_network((vpc(CLIENT),))
    assert program.wait(5) == -9
    with pytest.raises(SubstrateError, match="no place in the network"):
        substrate.serve(NODE.instance_id, PROGRAM, user="haproxy", log=substrate.runtime_dir() / "log")


def test_what_a_killed_region_left_is_removed(empty_substrate: HostSubstrate) -> None:
    empty_substrate.apply_network((vpc(NODE, CLIENT),))
    program = serve(empty_substrate)
    another = HostSubstrate(of_checkout(empty_substrate.names.state_dir.parent))
    another.destroy_all(images=True)
    assert program.wait(5) == -9
    assert not another.names.runtime_dir.exists()
