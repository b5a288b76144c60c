# SPDX-License-Identifier: Apache-2.0
"""The region's clock that tests advance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sandbox.clock import VirtualClock

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_actions_come_in_the_order_in_which_they_are_due_each_at_its_time() -> None:
    clock, seen = VirtualClock(START), []
    for name, wait_s in (("late", 5), ("soon", 1), ("with soon", 1), ("never yet", 60)):
        clock.after(wait_s, lambda name=name: seen.append((name, clock.now() - START)))  # type: ignore[misc]
    clock.advance(10)
    assert seen == [
        ("soon", timedelta(seconds=1)),
        ("with soon", timedelta(seconds=1)),
        ("late", timedelta(seconds=5)),
    ]
    assert clock.now() == START + timedelta(seconds=10)


def test_what_an_action_asks_for_happens_within_the_same_advance() -> None:
    clock, seen = VirtualClock(START), []

    def again() -> None:
        seen.append(clock.now() - START)
        if len(seen) < 3:
            clock.after(2, again)

    clock.after(0, again)
    clock.advance(10)
    assert seen == [timedelta(), timedelta(seconds=2), timedelta(seconds=4)]


def test_a_cancelled_action_and_one_after_the_end_are_not_called() -> None:
    clock, seen = VirtualClock(START), []
    clock.after(1, lambda: seen.append("cancelled")).cancel()
    clock.after(2, lambda: seen.append("closed"))
    clock.advance(1)
    clock.close()
    clock.advance(10)
    assert seen == []


def test_an_action_that_fails_ends_nothing() -> None:
    clock, seen = VirtualClock(START), []
    clock.after(1, lambda: 1 // 0)
    clock.after(2, lambda: seen.append("next"))
    clock.advance(2)
    assert seen == ["next"]
