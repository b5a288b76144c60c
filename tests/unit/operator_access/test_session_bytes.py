# SPDX-License-Identifier: Apache-2.0
"""How much a connection has carried is what the kernel counted."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from session_bytes import carried, sockets

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(name="pair")
def connected_pair() -> Iterator[Pair]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with ours, theirs:
        yield ours, theirs


def send(source: socket.socket, target: socket.socket, count: int) -> None:
    source.sendall(b"x" * count)
    while count:
        count -= len(target.recv(count))


def test_both_directions_are_counted(pair: Pair) -> None:
    ours, theirs = pair
    send(ours, theirs, 70_000)
    send(theirs, ours, 300)
    sent, received = carried(ours)
    # The kernel counts the opening of a connection as a byte once it is acknowledged.
    assert (sent - 70_000 in (0, 1), received) == (True, 300)


def test_the_connections_of_a_process_are_found_and_stay_its_own(pair: Pair) -> None:
    ours, theirs = pair
    found = sockets(os.getpid())
    names = {each.getsockname() for each in found if each.type == socket.SOCK_STREAM}
    for each in found:
        each.close()
    assert {ours.getsockname(), theirs.getsockname()} <= names
    send(ours, theirs, 1)
