# SPDX-License-Identifier: Apache-2.0
"""The shape of an environment's fleets: one Auto Scaling group each, of one server class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from orchestrator.config.base import InstanceType, Name, StrictModel
from orchestrator.config.rollout import Rollout

# What else of a network has a security group.
RESERVED_NAMES = frozenset({"balancer", "database", "database-client", "endpoint"})


class Metric(StrEnum):
    """What a fleet is scaled by."""

    CPU = "cpu"  # average percentage
    REQUESTS = "requests"  # of the balancer, per machine and minute
    QUEUE_DEPTH = "queue_depth"  # waiting jobs per machine


class Scaling(StrictModel):
    """Target tracking: machines are added and removed to keep the metric at the target."""

    metric: Annotated[Metric, Field(strict=False)]
    target: Annotated[float, Field(gt=0)]


class Fleet(StrictModel):
    """One Auto Scaling group with its launch template. How many machines run is AWS's affair.

    `is_public` gives machines public addresses and admits ssh from the network's `ssh_from`; `is_balanced`
    puts them behind the load balancer; `uses_database` and `uses_queue` let them reach those.
    """

    server_class: Annotated[Name, Field(alias="class")]
    instance_type: InstanceType
    min_size: Annotated[int, Field(ge=0, le=1000)]
    max_size: Annotated[int, Field(ge=1, le=1000)]
    is_public: Annotated[bool, Field(alias="public")] = False
    is_balanced: Annotated[bool, Field(alias="balanced")] = False
    uses_database: Annotated[bool, Field(alias="database")] = False
    uses_queue: Annotated[bool, Field(alias="queue")] = False
    scaling: Scaling | None = None
    root_gib: Annotated[int, Field(ge=4, le=16384)] = 16
    health_path: Annotated[str, Field(pattern=r"^/")] = "/health"
    health_interval_s: Annotated[int, Field(ge=5, le=300)] = 10
    grace_period_s: Annotated[int, Field(ge=0, le=7200)] = 120
    launch_timeout_s: Annotated[int, Field(ge=30, le=7200)] = 600
    drain_s: Annotated[int, Field(ge=0, le=3600)] = 60
    user_data: str = ""
    rollout: Annotated[Rollout, Field(validate_default=True)] = Rollout()

    @field_validator("max_size")
    @classmethod
    def _above_min(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("min_size", 0):
            raise ValueError(f"{value} is below min_size {info.data['min_size']}")
        return value

    @field_validator("is_balanced", "uses_database")
    @classmethod
    def _private(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("is_public"):
            raise ValueError("is not for a public fleet: what the internet reaches goes no further than ssh")
        return value

    @field_validator("scaling")
    @classmethod
    def _metric_exists(cls, value: Scaling | None, info: ValidationInfo) -> Scaling | None:
        if value and value.metric is Metric.REQUESTS and not info.data.get("is_balanced"):
            raise ValueError("requests needs balanced: true")
        if value and value.metric is Metric.QUEUE_DEPTH and not info.data.get("uses_queue"):
            raise ValueError("queue_depth needs queue: true")
        return value


def fleets_problems(fleets: Mapping[str, Fleet]) -> Iterator[str]:
    """Give what is wrong with the fleets of an environment beside each other."""
    for name in sorted(RESERVED_NAMES & set(fleets)):
        yield f"{name} is no name for a fleet, a network's own part has it"
    seen: dict[str, str] = {}
    for name in fleets:
        # Logical ids of templates have no dashes.
        if (other := seen.setdefault(name.replace("-", ""), name)) != name:
            yield f"{other} and {name} differ in dashes only"
    balanced = [name for name, fleet in fleets.items() if fleet.is_balanced]
    if len(balanced) > 1:
        yield f"{', '.join(balanced)} are balanced, but an environment has one host"
