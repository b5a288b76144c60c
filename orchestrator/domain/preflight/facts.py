# SPDX-License-Identifier: Apache-2.0
"""What AWS knows that decides whether a rollout can go well, as it was looked up. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias, TypeVar

from orchestrator.domain.image import CLASS_TAG, STATE_TAG, ImageState, parse_image_name

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unread:
    """A fact that could not be read. `call` is the AWS call that failed: `ec2 DescribeImages`."""

    call: str
    why: str


class CannotTell(Exception):
    """Raised by a check that needs a fact which could not be read."""

    def __init__(self, unread: Unread) -> None:
        super().__init__(unread.call, unread.why)
        self.unread = unread


Fact: TypeAlias = T | Unread


def known(fact: Fact[T]) -> T:
    """Return a fact that was read, or raise CannotTell."""
    if isinstance(fact, Unread):
        raise CannotTell(fact)
    return fact


@dataclass(frozen=True, slots=True)
class ImageFact:
    """An AMI as DescribeImages shows it; `state` is EC2's word.

    `is_protected` tells that it can't be deregistered until somebody lifts that protection.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-deregistration-protection.html
    """

    ami_id: str
    name: str
    state: str
    architecture: str
    owner_id: str
    deprecated_at: datetime | None = None
    is_protected: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def class_name(self) -> str:
        """Return the server class that its name says, empty if it is not of our making."""
        parsed = parse_image_name(self.name)
        return self.tags.get(CLASS_TAG, parsed[0]) if parsed else ""

    @property
    def is_published(self) -> bool:
        """Tell whether a bake has vouched for it."""
        return self.tags.get(STATE_TAG) == ImageState.PUBLISHED


@dataclass(frozen=True, slots=True)
class InstanceTypeFact:
    """An instance type: what it can run, and what it takes of the quota."""

    name: str
    architectures: tuple[str, ...]
    vcpus: int


@dataclass(frozen=True, slots=True)
class VcpuRoom:
    """How many vCPUs the account may run of a family of types, and how many it runs.

    `used` is None when CloudWatch has no data, as in an account that runs nothing.
    """

    quota_code: str
    quota: int
    used: int | None


@dataclass(frozen=True, slots=True)
class SubnetFact:
    """A subnet, and how many of its addresses are free."""

    subnet_id: str
    zone: str
    free_addresses: int


@dataclass(frozen=True, slots=True)
class TargetLimits:
    """How many targets the account may have in a target group, and behind a load balancer of each kind."""

    per_group: int
    per_application_balancer: int
    per_network_balancer: int

    def per_balancer(self, name: str) -> int:
        """Return how many targets a load balancer takes, by its name in ARNs: `app/<name>/<id>`."""
        return self.per_network_balancer if name.startswith("net/") else self.per_application_balancer


class AlarmState(StrEnum):
    """A CloudWatch alarm's state."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"
