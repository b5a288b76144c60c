# SPDX-License-Identifier: Apache-2.0
"""The shape of networks/*.yaml: a VPC and what its environments share; networks/example.yaml explains it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from orchestrator.config.base import (
    Cidr,
    Cidrs,
    Days,
    HostName,
    Name,
    SourceRanges,
    StrictModel,
    ZoneLetter,
    as_tuple,
)

SERVERLESS = "db.serverless"


class Nat(StrEnum):
    """How machines without a public address reach the internet; the biggest lever on a network's cost."""

    NONE = "none"
    ONE = "one"
    PER_ZONE = "per_zone"


class Tiers(StrictModel):
    """The subnets of a network: one of each tier in every zone, in the order of `zones`."""

    public: Cidrs
    application: Cidrs
    data: Cidrs

    def named(self) -> tuple[tuple[str, IPv4Network], ...]:
        """Return all subnets, each with the key that holds it."""
        tiers = (("public", self.public), ("application", self.application), ("data", self.data))
        return tuple((f"{tier}.{index}", cidr) for tier, cidrs in tiers for index, cidr in enumerate(cidrs))


class DatabaseMember(StrictModel):
    """An instance of the cluster. Who writes is the cluster's affair, so no member is called a writer."""

    id: Name
    db_class: Annotated[str, Field(alias="class", pattern=r"^db(\.[a-z0-9]+){1,2}$")]
    tier: Annotated[int, Field(ge=0, le=15)]


class Capacity(StrictModel):
    """Aurora Serverless v2: capacity units of 2 GiB of memory, in steps of a half."""

    min_capacity: Annotated[float, Field(ge=0, le=256, multiple_of=0.5)]
    max_capacity: Annotated[float, Field(ge=1, le=256, multiple_of=0.5)]

    @field_validator("max_capacity")
    @classmethod
    def _above_min(cls, value: float, info: ValidationInfo) -> float:
        if value < info.data.get("min_capacity", 0):
            raise ValueError(f"{value} is below min_capacity {info.data['min_capacity']}")
        return value


class Database(StrictModel):
    """The Aurora MySQL cluster of a network. Members of class db.serverless need `serverless`."""

    members: Annotated[
        tuple[DatabaseMember, ...], BeforeValidator(as_tuple), Field(min_length=1, max_length=16)
    ]
    serverless: Annotated[Capacity | None, Field(validate_default=True)] = None
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)] = "app"
    engine_version: str = "8.0.mysql_aurora.3.08.0"
    backup_days: Annotated[int, Field(ge=1, le=35)] = 7
    deletion_protection: bool = True

    @field_validator("members")
    @classmethod
    def _ids_differ(cls, members: tuple[DatabaseMember, ...]) -> tuple[DatabaseMember, ...]:
        if len({member.id for member in members}) != len(members):
            raise ValueError("names an id twice")
        return members

    @field_validator("serverless")
    @classmethod
    def _capacity_is_known(cls, value: Capacity | None, info: ValidationInfo) -> Capacity | None:
        members = info.data.get("members", ())
        if value is None and any(member.db_class == SERVERLESS for member in members):
            raise ValueError(f"is missing, but a member is of class {SERVERLESS}")
        return value


class Balancer(StrictModel):
    """The application load balancer of a network."""

    certificate_arn: Annotated[str, Field(pattern=r"^arn:aws:acm:")] | None = None
    idle_timeout_s: Annotated[int, Field(ge=1, le=4000)] = 60
    deletion_protection: bool = True
    requests_per_address: Annotated[int, Field(ge=10, le=2_000_000_000)] = 2000


class Network(StrictModel):
    """One VPC, and what is there once for all of its environments."""

    cidr: Cidr
    zones: Annotated[tuple[ZoneLetter, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    subnets: Tiers
    domain: HostName | None = None
    ssh_from: SourceRanges = ()
    nat: Annotated[Nat, Field(strict=False)] = Nat.ONE
    s3_endpoint: bool = True
    interface_endpoints: Annotated[tuple[Name, ...], BeforeValidator(as_tuple)] = ()
    log_days: Days = 365
    audit: bool = True
    balancer: Balancer = Balancer()
    database: Database | None = None

    @field_validator("zones")
    @classmethod
    def _zones_differ(cls, zones: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(zones)) != len(zones):
            raise ValueError("names a zone twice")
        return zones

    @field_validator("subnets")
    @classmethod
    def _subnets_fit(cls, tiers: Tiers, info: ValidationInfo) -> Tiers:
        problems = [
            *_count_problems(tiers, info.data.get("zones")),
            *_place_problems(tiers.named(), info.data.get("cidr")),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return tiers


def _count_problems(tiers: Tiers, zones: tuple[str, ...] | None) -> Iterable[str]:
    for tier in ("public", "application", "data"):
        count = len(getattr(tiers, tier))
        if zones is not None and count != len(zones):
            yield f"{tier} has {count} subnets for {len(zones)} zones"


def _place_problems(subnets: tuple[tuple[str, IPv4Network], ...], cidr: IPv4Network | None) -> Iterable[str]:
    for position, (name, subnet) in enumerate(subnets):
        if cidr is not None and not subnet.subnet_of(cidr):
            yield f"{name} {subnet} is outside of {cidr}"
        for other_name, other in subnets[:position]:
            if subnet.overlaps(other):
                yield f"{name} {subnet} overlaps {other_name} {other}"
