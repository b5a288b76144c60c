# SPDX-License-Identifier: Apache-2.0
"""The shape of environments/*.yaml and networks/*.yaml.

Defaults live here, their explanation in environments/example.yaml. Checks between fields are validators of
the later field, not of the whole model, so that they are reported with all other errors of the file.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

ENDPOINT_PLACEHOLDER = "{endpoint_url}"
# AWS's own limits: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
_LARGEST_PREFIX, _SMALLEST_PREFIX = 16, 28


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


class Credentials(StrEnum):
    """Where the credentials for an environment come from."""

    DEFAULT = "default"  # boto3's own chain
    LOCAL = "local"  # the fixed pair that the local region takes


def _network(value: object) -> IPv4Network:
    if not isinstance(value, str):
        raise ValueError("must be a string such as 10.0.0.0/16")
    try:
        network = IPv4Network(value)
    except ValueError as exc:
        raise ValueError(f"{value} is not an IPv4 network ({exc})") from exc
    if not _LARGEST_PREFIX <= network.prefixlen <= _SMALLEST_PREFIX:
        raise ValueError(f"{value} must be between /{_LARGEST_PREFIX} and /{_SMALLEST_PREFIX}")
    return network


def _items(value: object) -> object:
    """Let a YAML list become a tuple, which strict mode would refuse."""
    return tuple(value) if isinstance(value, list) else value


Cidr = Annotated[IPv4Network, BeforeValidator(_network)]
Cidrs = Annotated[tuple[Cidr, ...], BeforeValidator(_items), Field(min_length=1)]
ZoneLetter = Annotated[str, Field(pattern=r"^[a-z]$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]


class Tiers(_Model):
    """The subnets of a network: one of each tier in every zone, in the order of `zones`."""

    public: Cidrs
    application: Cidrs
    data: Cidrs

    def named(self) -> tuple[tuple[str, IPv4Network], ...]:
        """Return all subnets, each with the key that holds it."""
        tiers = (("public", self.public), ("application", self.application), ("data", self.data))
        return tuple((f"{tier}.{index}", cidr) for tier, cidrs in tiers for index, cidr in enumerate(cidrs))


class Network(_Model):
    """One VPC."""

    cidr: Cidr
    zones: Annotated[tuple[ZoneLetter, ...], BeforeValidator(_items), Field(min_length=1)]
    subnets: Tiers

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


class Bake(_Model):
    """How images are baked in an environment."""

    instance_type: Annotated[str, Field(pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")] = "t3.small"
    encrypted_root: bool = True
    operator_address_url: str = "https://checkip.amazonaws.com"
    timeout_minutes: Annotated[int, Field(ge=1, le=240)] = 45
    boot_test_timeout_minutes: Annotated[int, Field(ge=1, le=60)] = 10
    max_parallel: Annotated[int, Field(ge=1, le=16)] = 4
    lease_seconds: Annotated[int, Field(ge=10, le=3600)] = 60

    @field_validator("operator_address_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        _check_url(value.replace(ENDPOINT_PLACEHOLDER, "http://127.0.0.1:1"))
        return value


class Environment(_Model):
    """One environment. `name` is that of its file."""

    name: Name
    network: Name
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")]
    account_id: Annotated[str, Field(pattern=r"^[0-9]{12}$")]
    endpoint_url: str | None = None
    credentials: Annotated[Credentials, Field(strict=False, validate_default=True)] = Credentials.DEFAULT
    protected: bool = False
    config_bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    bake: Annotated[Bake, Field(validate_default=True)] = Bake()

    @field_validator("endpoint_url")
    @classmethod
    def _is_endpoint(cls, value: str | None) -> str | None:
        if value is None:
            return None
        url = _check_url(value)
        if url.path or url.query or url.fragment or "@" in url.netloc:
            raise ValueError(f"{value} must hold a scheme, a host and a port only")
        return value

    @field_validator("credentials")
    @classmethod
    def _fit_the_endpoint(cls, value: Credentials, info: ValidationInfo) -> Credentials:
        if "endpoint_url" not in info.data:  # is itself invalid
            return value
        endpoint_url = info.data["endpoint_url"]
        is_local = endpoint_url is not None and _is_loopback(urlsplit(endpoint_url))
        if value is Credentials.LOCAL and not is_local:
            raise ValueError("local is for an endpoint_url on this machine only (127.0.0.1 or localhost)")
        if is_local and value is not Credentials.LOCAL:
            raise ValueError("must be local, because endpoint_url is on this machine")
        return value

    @field_validator("bake")
    @classmethod
    def _placeholder_has_a_value(cls, bake: Bake, info: ValidationInfo) -> Bake:
        is_missing = "endpoint_url" in info.data and info.data["endpoint_url"] is None
        if is_missing and ENDPOINT_PLACEHOLDER in bake.operator_address_url:
            raise ValueError(
                f"operator_address_url holds {ENDPOINT_PLACEHOLDER}, but there is no endpoint_url"
            )
        return bake

    @property
    def operator_address_url(self) -> str:
        """Return the page that says which address we come from."""
        return self.bake.operator_address_url.replace(ENDPOINT_PLACEHOLDER, self.endpoint_url or "")

    def with_endpoint_port(self, port: int) -> Environment:
        """Return the environment with another port of its endpoint, if that is on this machine."""
        if not self.endpoint_url or self.credentials is not Credentials.LOCAL:
            return self
        url = urlsplit(self.endpoint_url)
        host = f"[{url.hostname}]" if url.hostname and ":" in url.hostname else url.hostname
        return self.model_copy(update={"endpoint_url": url._replace(netloc=f"{host}:{port}").geturl()})


def _check_url(value: str) -> SplitResult:
    try:
        url = urlsplit(value)
        is_valid = (
            url.scheme in {"http", "https"} and bool(url.hostname) and (url.port is None or url.port > 0)
        )
    except ValueError:
        is_valid = False
    if not is_valid or any(character.isspace() for character in value):
        raise ValueError(f"{value} is not a URL")
    if url.scheme == "http" and not _is_loopback(url):
        raise ValueError(f"{value} must be https, because it is not on this machine")
    return url


def _is_loopback(url: SplitResult) -> bool:
    if url.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(url.hostname or "").is_loopback
    except ValueError:
        return False
