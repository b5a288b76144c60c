# SPDX-License-Identifier: Apache-2.0
"""What is told of a tunnel while it is open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.domain.tunnel import HopStatus, TunnelState, TunnelStatus
from orchestrator.domain.tunnel_story import Speed, news, size, span, summary

READY = TunnelStatus(TunnelState.READY, (HopStatus("i-gate"), HopStatus("i-one")), standby="i-two")
OTHER_WAY = (HopStatus("i-gate"), HopStatus("i-two"))
LOST = replace(READY, state=TunnelState.REBUILDING, hops=(), standby="", trouble="i-one does not answer.")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(READY, READY, (), id="nothing"),
        pytest.param(
            READY,
            LOST,
            ("lost the way: i-one does not answer; new connections wait",),
            id="lost with a reason",
        ),
        pytest.param(
            READY, replace(LOST, trouble=""), ("lost the way; new connections wait",), id="lost for no reason"
        ),
        pytest.param(LOST, LOST, (), id="still lost"),
        pytest.param(
            LOST,
            replace(LOST, trouble="AWS is away"),
            ("still no way: AWS is away",),
            id="lost for another reason",
        ),
        pytest.param(
            LOST,
            replace(READY, hops=OTHER_WAY, standby="", reconnects=1),
            ("back after 2.5 s through i-gate and i-two",),
            id="back",
        ),
        pytest.param(
            READY,
            replace(READY, hops=OTHER_WAY, standby="", reconnects=1),
            ("lost the way; goes on through i-gate and i-two", "no second way now"),
            id="the standby took over",
        ),
        pytest.param(
            replace(READY, standby=""), READY, ("second way through i-two is ready",), id="there is a standby"
        ),
        pytest.param(READY, replace(READY, standby=""), ("no second way now",), id="the standby is gone"),
        pytest.param(READY, replace(READY, failed_connections=1), ("1 connection failed",), id="one failed"),
        pytest.param(
            replace(READY, failed_connections=1),
            replace(READY, failed_connections=4),
            ("3 connections failed",),
            id="more failed",
        ),
        pytest.param(READY, replace(READY, state=TunnelState.CLOSED, hops=(), standby=""), (), id="closed"),
    ],
)
def test_changes_are_told(before: TunnelStatus, after: TunnelStatus, expected: tuple[str, ...]) -> None:
    assert news(before, after, lost_s=2.5) == expected


def test_in_brief_the_second_way_is_left_out() -> None:
    taken = replace(READY, hops=OTHER_WAY, standby="", reconnects=1)
    assert news(READY, replace(READY, standby=""), lost_s=0.0, is_brief=True) == ()
    assert news(READY, taken, lost_s=0.0, is_brief=True) == (
        "lost the way; goes on through i-gate and i-two",
    )


def test_speed_is_measured_over_a_second_at_least() -> None:
    speed = Speed(10.0)
    assert speed.next(replace(READY, sent_bytes=9), 10.9) is speed
    measured = speed.next(replace(READY, sent_bytes=100, received_bytes=3000), 12.0)
    assert measured == Speed(12.0, 100, 3000, 50.0, 1500.0)
    assert measured.next(replace(READY, sent_bytes=100, received_bytes=3000), 13.0) == Speed(13.0, 100, 3000)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**20, "1.0 MiB"), (2**31, "2,048.0 MiB")],
)
def test_sizes_are_for_people(number: int, expected: str) -> None:
    assert size(number) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-1, "0:00"), (4.4, "0:04"), (245, "4:05"), (28_770, "7:59:30")]
)
def test_times_are_for_people(seconds: float, expected: str) -> None:
    assert span(seconds) == expected


def test_a_summary_tells_what_was_carried() -> None:
    status = replace(READY, served_connections=3, sent_bytes=512, received_bytes=2**21)
    assert summary(status, 65) == "open for 1:05: 3 connections; 512 B sent, 2.0 MiB received"
    assert summary(replace(status, served_connections=1, reconnects=2), 65) == (
        "open for 1:05: 1 connection; 512 B sent, 2.0 MiB received; way rebuilt 2 times"
    )
