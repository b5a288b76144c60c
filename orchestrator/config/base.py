# SPDX-License-Identifier: Apache-2.0
"""What the models of all configuration files have in common."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

# AWS's own limits: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
LARGEST_PREFIX, SMALLEST_PREFIX = 16, 28


class StrictModel(BaseModel):
    """Refuses unknown keys and converts nothing in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


def _address_range(value: object) -> IPv4Network:
    if not isinstance(value, str):
        raise ValueError("must be a string such as 10.0.0.0/16")
    try:
        return IPv4Network(value)
    except ValueError as exc:
        raise ValueError(f"{value} is not an IPv4 network ({exc})") from exc


def _network(value: object) -> IPv4Network:
    network = _address_range(value)
    if not LARGEST_PREFIX <= network.prefixlen <= SMALLEST_PREFIX:
        raise ValueError(f"{value} must be between /{LARGEST_PREFIX} and /{SMALLEST_PREFIX}")
    return network


def as_tuple(value: object) -> object:
    """Let a YAML list become a tuple, which strict mode would refuse."""
    return tuple(value) if isinstance(value, list) else value


Cidr = Annotated[IPv4Network, BeforeValidator(_network)]
Cidrs = Annotated[tuple[Cidr, ...], BeforeValidator(as_tuple), Field(min_length=1)]
SourceRange = Annotated[IPv4Network, BeforeValidator(_address_range)]
SourceRanges = Annotated[tuple[SourceRange, ...], BeforeValidator(as_tuple)]
ZoneLetter = Annotated[str, Field(pattern=r"^[a-z]$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
InstanceType = Annotated[str, Field(pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")]
HostName = Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$", max_length=253)]
Days = Annotated[int, Field(ge=1, le=3653)]
