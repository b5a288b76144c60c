# SPDX-License-Identifier: Apache-2.0
"""The shape of environments/*.yaml.

Defaults live here, their explanation in environments/example.yaml. Checks between fields are validators of
the later field, not of the whole model, so that they are reported with all other errors of the file.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from orchestrator.config.access import Access
from orchestrator.config.base import Days, HostName, InstanceType, Name, StrictModel, as_tuple
from orchestrator.config.fleets import Fleet, fleets_problems
from orchestrator.config.rollout import Waves

ENDPOINT_PLACEHOLDER = "{endpoint_url}"


class Credentials(StrEnum):
    """Where the credentials for an environment come from."""

    DEFAULT = "default"  # boto3's own chain
    LOCAL = "local"  # the fixed pair that the local region takes


class Bake(StrictModel):
    """How images are baked in an environment."""

    instance_type: InstanceType = "t3.small"
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


class ImageVariants(StrictModel):
    """What the image_variants function makes of an upload: the longest edge in pixels by variant."""

    sizes: Mapping[Name, Annotated[int, Field(ge=16, le=8192)]] = Field(
        default_factory=lambda: {"thumb": 160, "small": 640, "large": 1600}
    )
    max_megapixels: Annotated[int, Field(ge=1, le=400)] = 80
    quality: Annotated[int, Field(ge=1, le=100)] = 82


class Cdn(StrictModel):
    """A name of one's own for the CDN. CloudFront takes certificates from us-east-1 only."""

    host: HostName
    certificate_arn: Annotated[str, Field(pattern=r"^arn:aws:acm:us-east-1:")]


class Storage(StrictModel):
    """How long objects are kept in an environment's buckets."""

    noncurrent_days: Days = 90
    log_days: Days = 365


class Environment(StrictModel):
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
    host: HostName | None = None
    fleets: Mapping[Name, Fleet] = Field(default_factory=dict)
    access: Annotated[Access, Field(validate_default=True)] = Access()
    waves: Waves = Waves()
    image_variants: ImageVariants = ImageVariants()
    cdn: Cdn | None = None
    storage: Storage = Storage()
    alert_emails: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()
    budget_usd: Annotated[int, Field(ge=1)] | None = None

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

    @field_validator("access")
    @classmethod
    def _authority_is_somewhere(cls, access: Access, info: ValidationInfo) -> Access:
        url = access.database_ca_url
        if ENDPOINT_PLACEHOLDER in url and "endpoint_url" in info.data and info.data["endpoint_url"] is None:
            raise ValueError(f"database_ca_url holds {ENDPOINT_PLACEHOLDER}, but there is no endpoint_url")
        _check_url(url.replace(ENDPOINT_PLACEHOLDER, "http://127.0.0.1:1"))
        return access

    @field_validator("fleets")
    @classmethod
    def _fit_together(cls, fleets: Mapping[str, Fleet]) -> Mapping[str, Fleet]:
        if problems := list(fleets_problems(fleets)):
            raise ValueError("; ".join(problems))
        return fleets

    @field_validator("fleets")
    @classmethod
    def _host_is_known(cls, fleets: Mapping[str, Fleet], info: ValidationInfo) -> Mapping[str, Fleet]:
        if "host" in info.data and info.data["host"] is None:
            for name, fleet in fleets.items():
                if fleet.is_balanced:
                    raise ValueError(f"{name} is balanced, but there is no host")
        return fleets

    @property
    def operator_address_url(self) -> str:
        """Return the page that says which address we come from."""
        return self.bake.operator_address_url.replace(ENDPOINT_PLACEHOLDER, self.endpoint_url or "")

    @property
    def database_ca_url(self) -> str:
        """Return the page with the certificates that the database is known by."""
        return self.access.database_ca_url.replace(ENDPOINT_PLACEHOLDER, self.endpoint_url or "")

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
