# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a simulated region, and how long its machines take: decisions, without a region."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from sandbox.fault_requests import BadFault, describe, parse
from sandbox.faults import (
    DEFAULT_BOOT_S,
    ApiFault,
    BootTime,
    Fault,
    FaultList,
    LaunchFault,
    Unhealthy,
    Where,
    boot_seconds,
    refuse_call,
    refuse_launch,
    stays_unhealthy,
)

CAPACITY = "InsufficientInstanceCapacity"
ZONE, TYPE = "us-east-1a", "t3.small"


def luck(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - nothing is secret


def numbered(*faults: Fault) -> list[tuple[int, Fault]]:
    return list(enumerate(faults, start=1))


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "launch", "code": CAPACITY, "rate": 1.0},
        {"kind": "launch", "zone": ZONE, "instance_type": TYPE, "code": CAPACITY, "rate": 0.5, "count": 3},
        {
            "kind": "boot",
            "distribution": "uniform",
            "seconds": 30.0,
            "deviation": 0.0,
            "low": 20.0,
            "high": 60.0,
        },
        {"kind": "unhealthy", "zone": ZONE, "rate": 0.1},
        {"kind": "api", "service": "ec2", "operation": "RunInstances", "code": "Throttling", "rate": 0.2},
    ],
    ids=lambda document: document["kind"],
)
def test_a_fault_is_shown_as_it_was_asked_for(document: dict[str, Any]) -> None:
    assert describe(parse(document)) == document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "a fault is a JSON object"),
        ({}, "kind: must be one of launch, boot, unhealthy, api"),
        ({"kind": "flood"}, "kind: must be one of launch, boot, unhealthy, api"),
        (
            {"kind": "unhealthy", "code": "x"},
            "code: a fault of kind unhealthy has no such key, only zone, instance_type, rate",
        ),
        (
            {"kind": "launch", "code": "Nope"},
            "code: must be one of InsufficientInstanceCapacity, InsufficientHostCapacity, "
            "InstanceLimitExceeded, MaxSpotInstanceCountExceeded, Unsupported, VcpuLimitExceeded",
        ),
        ({"kind": "launch", "code": CAPACITY, "rate": 1.5}, "rate: must be a number from 0 to 1"),
        ({"kind": "launch", "code": CAPACITY, "rate": True}, "rate: must be a number from 0"),
        ({"kind": "launch", "code": CAPACITY, "count": 0}, "count: must be a whole number from 1"),
        ({"kind": "unhealthy", "zone": ""}, "zone: must be a text"),
        ({"kind": "boot", "seconds": -1}, "seconds: must be a number from 0"),
        (
            {"kind": "boot", "distribution": "odd"},
            "distribution: must be one of fixed, uniform, exponential, normal",
        ),
        (
            {"kind": "boot", "distribution": "uniform", "low": 2, "high": 1},
            "high: a uniform distribution needs it, and not below low",
        ),
        (
            {"kind": "api", "code": "Throttling", "operation": "RunInstances"},
            "service: an operation needs its service",
        ),
    ],
)
def test_what_is_no_fault_is_refused_by_name(document: Any, message: str) -> None:
    with pytest.raises(BadFault) as refused:
        parse(document)
    assert str(refused.value) == message


def test_a_launch_fails_only_where_the_fault_is() -> None:
    faults = numbered(
        LaunchFault(Where("us-east-1b"), CAPACITY), LaunchFault(Where(None, "m5.large"), "Unsupported")
    )
    met = [refuse_launch(faults, zone, kind, luck(1)) for zone in (ZONE, "us-east-1b") for kind in (TYPE,)]
    assert met == [None, (1, CAPACITY)]
    assert refuse_launch(faults, ZONE, "m5.large", luck(1)) == (2, "Unsupported")


def test_a_rate_is_the_share_that_fails() -> None:
    chance = luck(3)
    faults = numbered(ApiFault("Throttling", "ec2", rate=0.25))
    met = [refuse_call(faults, "ec2", "DescribeVpcs", chance) for _ in range(4000)]
    assert 900 < len([each for each in met if each is not None]) < 1100
    assert refuse_call(faults, "s3", "GetObject", chance) is None


def test_the_same_seed_has_the_same_luck() -> None:
    faults = numbered(
        BootTime(Where(), "normal", 40, deviation=10), Unhealthy(Where(), 0.5), LaunchFault(Where(), "x", 0.5)
    )

    def story(seed: int) -> list[object]:
        chance = luck(seed)
        return [
            (
                boot_seconds(faults, ZONE, TYPE, chance),
                stays_unhealthy(faults, ZONE, TYPE, chance),
                refuse_launch(faults, ZONE, TYPE, chance),
            )
            for _ in range(50)
        ]

    assert story(5) == story(5)
    assert story(5) != story(6)


@pytest.mark.parametrize(
    ("boot", "low", "high"),
    [
        (BootTime(Where(), "fixed", 12), 12, 12),
        (BootTime(Where(), "uniform", low=20, high=60), 20, 60),
        (BootTime(Where(), "exponential", 30), 0, 600),
        (BootTime(Where(), "normal", 5, deviation=50), 0, 400),
    ],
    ids=lambda value: value.distribution if isinstance(value, BootTime) else "",
)
def test_machines_boot_in_whole_seconds_and_never_before_they_are_launched(
    boot: BootTime, low: float, high: float
) -> None:
    chance = luck(2)
    drawn = [boot_seconds(numbered(boot), ZONE, TYPE, chance) for _ in range(500)]
    assert all(low <= seconds <= high and seconds == int(seconds) for seconds in drawn)


def test_the_latest_boot_time_that_concerns_a_machine_is_its_own() -> None:
    faults = numbered(BootTime(Where(), seconds=5), BootTime(Where(zone="us-east-1b"), seconds=9))
    assert boot_seconds(faults, ZONE, TYPE, luck(0)) == 5
    assert boot_seconds(faults, "us-east-1b", TYPE, luck(0)) == 9
    assert boot_seconds([], ZONE, TYPE, luck(0)) == DEFAULT_BOOT_S


def test_a_fault_with_a_count_is_gone_when_it_has_done_its_work() -> None:
    faults = FaultList(luck(1))
    faults.add(LaunchFault(Where(), CAPACITY, count=2))
    assert [faults.launch_code(ZONE, TYPE) for _ in range(3)] == [CAPACITY, CAPACITY, None]
    assert faults.faults == {}
    assert faults.add(ApiFault("Throttling", count=1)) == 2
    assert [faults.call_code("ec2", "RunInstances") for _ in range(2)] == ["Throttling", None]
