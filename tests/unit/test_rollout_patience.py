# SPDX-License-Identifier: Apache-2.0
"""Whom a rollout waits for: AWS when it is busy, and nobody who never answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from orchestrator.errors import AwsError, WaitTimeout
from orchestrator.workflows.rollout.patience import LIMIT, Contact, persist
from tests.fakes import FakeClock


def failing(*codes: str) -> Callable[[], str]:
    """Return a call that fails with each code, and then answers."""
    left: Iterator[str] = iter(codes)

    def call() -> str:
        for code in left:
            raise AwsError("autoscaling", "DescribeAutoScalingGroups", code, "")
        return "answer"

    return call


@pytest.mark.parametrize("codes", [(), ("Throttling",), ("Throttling", "Unreachable", "503")])
def test_who_was_heard_of_is_waited_for(codes: tuple[str, ...]) -> None:
    contact = Contact()
    assert persist(FakeClock(), failing(*codes), contact=contact) == "answer"
    assert contact.was_heard


def test_an_endpoint_that_never_answered_is_told_at_once() -> None:
    clock = FakeClock()
    begun_s = clock.monotonic_s()
    with pytest.raises(AwsError) as told:
        persist(clock, failing("Unreachable"), contact=Contact())
    assert (told.value.code, clock.monotonic_s()) == ("Unreachable", begun_s)


def test_a_network_that_goes_down_in_between_is_waited_for() -> None:
    contact = Contact()
    persist(FakeClock(), failing(), contact=contact)
    assert persist(FakeClock(), failing("Unreachable", "Unreachable"), contact=contact) == "answer"


def test_waiting_has_an_end() -> None:
    clock = FakeClock()
    begun_s = clock.monotonic_s()
    with pytest.raises(WaitTimeout):
        persist(clock, failing(*["Throttling"] * 1000))
    assert clock.monotonic_s() - begun_s >= LIMIT.total_seconds()


def test_what_does_not_pass_is_not_waited_for() -> None:
    with pytest.raises(AwsError, match="AccessDenied"):
        persist(FakeClock(), failing("AccessDenied"), contact=Contact(was_heard=True))
