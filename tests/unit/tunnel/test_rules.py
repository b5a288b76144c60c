# SPDX-License-Identifier: Apache-2.0
"""The small rules of tunnels: how much may be on the way, which way comes first, how long to pause."""

from __future__ import annotations

import pytest

from orchestrator.ports.doors import Hop, Route
from orchestrator.ssh.tunnel.builder import by_overlap, pause_s
from orchestrator.ssh.tunnel.chain import window_for

MIB = 2**20


@pytest.mark.parametrize(
    ("round_trip_s", "window"),
    [
        pytest.param(None, 4 * MIB, id="not known yet"),
        pytest.param(0.0005, MIB, id="next door"),
        pytest.param(0.01, 2_000_000, id="as much as fills the way"),
        pytest.param(0.2, 4 * MIB, id="far away"),
    ],
)
def test_how_much_may_be_on_the_way(round_trip_s: float | None, window: int) -> None:
    assert window_for(round_trip_s) == window


def route(*names: str) -> Route:
    return Route(tuple(Hop(name, "127.0.0.1", "operator", ()) for name in names), ("db", 3306))


def test_the_way_that_shares_the_fewest_machines_comes_first() -> None:
    found = [route("b1", "a1"), route("b1", "a2"), route("b2", "a1"), route("b2", "a3")]
    assert by_overlap(found, {"b1", "a1"}) == [found[3], found[1], found[2], found[0]]
    assert by_overlap(found, set()) == found


@pytest.mark.parametrize(("failures", "longest_s"), [(1, 0.1), (2, 0.2), (5, 1.6), (7, 5.0), (10_000, 5.0)])
def test_pauses_grow_to_a_limit_and_are_never_the_same(failures: int, longest_s: float) -> None:
    pauses = [pause_s(failures, 5.0) for _ in range(200)]
    assert longest_s / 2 <= min(pauses) < max(pauses) <= longest_s
