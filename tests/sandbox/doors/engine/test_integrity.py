# SPDX-License-Identifier: Apache-2.0
"""No byte is lost, everybody is served, and nothing is left, through real machines."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from orchestrator.ports.doors import TunnelOptions, Tunnels
from tests.sandbox.doors.engine.chain import ChainRoutes, until
from tests.sandbox.doors.engine.targets import say
from tests.sandbox.doors.engine.traffic import Bulk, hanging, idle_connections, talk

pytestmark = pytest.mark.sandbox

STREAMS = 100
AT_ONCE = 20
CROWD = 100


def test_random_streams_with_half_closes_and_pauses_compare_equal(
    tunnels: Tunnels, streams: ChainRoutes, options: TunnelOptions
) -> None:
    with tunnels.open(streams, options) as tunnel, ThreadPoolExecutor(AT_ONCE) as pool:
        whole = list(pool.map(lambda seed: talk(tunnel.address, seed), range(1, STREAMS + 1)))
    assert [seed for seed, each in enumerate(whole, start=1) if each != (True, True)] == []


def test_a_crowd_that_comes_at_once_is_served_whole(
    tunnels: Tunnels, streams: ChainRoutes, options: TunnelOptions
) -> None:
    gate = threading.Barrier(CROWD)

    def come(number: int) -> bytes:
        gate.wait()
        with say(tunnel.address, "echo") as made:
            gate.wait(60)  # all of them are there, and none goes before all are
            made.sendall(b"%04d" % number)
            return made.recv(4, socket.MSG_WAITALL)

    with tunnels.open(streams, options) as tunnel, ThreadPoolExecutor(CROWD) as pool:
        assert list(pool.map(come, range(CROWD))) == [b"%04d" % number for number in range(CROWD)]
        assert tunnel.status().failed_connections == 0


def test_a_slow_reader_slows_only_itself(
    tunnels: Tunnels, streams: ChainRoutes, options: TunnelOptions
) -> None:
    with tunnels.open(streams, options) as tunnel, ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(closing(say(tunnel.address, f"source {256 << 20}")))  # and read nothing
        bulk = Bulk(tunnel.address, size=64 << 20)
        assert bulk.ended(60.0)
        assert bulk.received == bulk.size


def test_stopping_in_full_flow_is_immediate_and_leaves_nothing(
    tunnels: Tunnels, streams: ChainRoutes, options: TunnelOptions
) -> None:
    with tunnels.open(streams, options):
        pass  # what a library keeps for good it has now
    before = left_by_this_process()
    with ExitStack() as stack:
        tunnel = stack.enter_context(tunnels.open(streams, options))
        idle = stack.enter_context(idle_connections(tunnel.address))
        bulk = Bulk(tunnel.address)
        bulk.under_way()
        stopping = threading.Thread(target=stack.pop_all().close)
        del stack
        stopping.start()
        stopping.join(5.0)
        assert not stopping.is_alive()
        assert (bulk.ended(), hanging([each for each in idle if each.fileno() >= 0])) == (True, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(tunnel.address)
    until(left_by_this_process, lambda left: left == before, limit_s=5.0)


def left_by_this_process() -> tuple[object, ...]:
    """Return what a tunnel might leave: threads, descriptors and children."""
    gc.collect()
    threads = sorted(each.name for each in threading.enumerate() if each.is_alive())
    tasks = Path("/proc/self/task")
    children = sorted(text for each in tasks.iterdir() for text in (each / "children").read_text().split())
    return threads, sorted(descriptors()), children


def descriptors() -> Iterator[str]:
    """Yield the kinds of what is open, without numbers that differ from time to time."""
    for each in Path("/proc/self/fd").iterdir():
        try:
            yield str(each.readlink()).partition(":[")[0]
        except FileNotFoundError:  # the listing's own
            continue
