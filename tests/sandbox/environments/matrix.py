# SPDX-License-Identifier: Apache-2.0
"""Try a reachability matrix cell by cell with packets.

Every place answers at every port, so what is not answered did not get there.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from stacks.reachability import Wiring, matrix
from tests.sandbox.packets import at, listening

# Of a range for documentation: nobody's rule names it.
STRANGER = "198.51.100.77"
TRIES_AT_ONCE = 24
PATIENCE_S, TLS = 1.0, 443


@dataclass(frozen=True)
class Spot:
    """Where connections of a place begin, and the addresses that others try."""

    namespace: str | None
    address: str
    public_address: str = ""
    source: str = ""


@contextmanager
def host_addresses(*addresses: str) -> Iterator[None]:
    """Let this host, which is the internet, have more addresses."""
    for each in addresses:
        subprocess.run(["ip", "address", "add", f"{each}/32", "dev", "lo"], check=True)
    try:
        yield
    finally:
        for each in addresses:
            subprocess.run(["ip", "address", "del", f"{each}/32", "dev", "lo"], check=True)


@contextmanager
def nobody_else(*ranges: str) -> Iterator[None]:
    """See to it that this host's own network, which is the internet here, has nobody at private addresses."""
    for each in ranges:
        subprocess.run(["ip", "route", "add", "blackhole", each], check=True)
    try:
        yield
    finally:
        for each in ranges:
            subprocess.run(["ip", "route", "del", "blackhole", each], check=True)


@contextmanager
def listeners(spots: Mapping[str, Spot], ports: tuple[int, ...]) -> Iterator[None]:
    """Echo at every place and port that nobody else listens at, so that whatever gets there is answered."""
    with ExitStack() as open_listeners:
        for spot in {(spot.namespace, spot.address): spot for spot in spots.values()}.values():
            for port in ports:
                # Where a port is taken (sshd, nginx, HAProxy), its owner answers.
                with suppress(OSError):
                    open_listeners.enter_context(listening(spot.namespace, port, spot.address))
        yield


def is_answered(source: Spot, target: Spot, port: int) -> bool:
    """Whether a connection is opened and answered."""
    # From outside a place is known by its public address, if it has one.
    address = (target.public_address or target.address) if source.source else target.address

    def ask() -> bool:
        with socket.socket() as asking:
            asking.settimeout(PATIENCE_S)
            if source.source:
                asking.bind((source.source, 0))
            asking.connect((address, port))
            asking.sendall(HELLO if port == TLS else b"GET / HTTP/1.0\r\n\r\n")
            return bool(asking.recv(1))

    try:
        return at(source.namespace, ask)
    except OSError:
        return False


def hello() -> bytes:
    """Return how a TLS client begins."""
    sent = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(
            ssl.MemoryBIO(), sent, server_hostname="example.com"
        ).do_handshake()
    return sent.read()


HELLO = hello()


def differences(
    wiring: Wiring, spots: Mapping[str, Spot], vpcs: Sequence[str]
) -> dict[tuple[str, str, int], str]:
    """Return every cell that packets contradict.

    Args:
        vpcs: The networks' addresses; the host's own network may have the same ones elsewhere.
    """
    assert set(spots) == {place.name for place in wiring.places}
    cells = matrix(wiring)
    tries = [(source, target, port) for source, target in cells for port in wiring.ports if source != target]

    def attempt(each: tuple[str, str, int]) -> bool:
        source, target, port = each
        return is_answered(spots[source], spots[target], port)

    with (
        nobody_else(*vpcs),
        listeners(spots, wiring.ports),
        ThreadPoolExecutor(TRIES_AT_ONCE) as side_by_side,
    ):
        answered = dict(zip(tries, side_by_side.map(attempt, tries), strict=True))
    return {
        each: "open" if is_open else "closed"
        for each, is_open in answered.items()
        if is_open is not (each[2] in cells[each[0], each[1]])
    }
