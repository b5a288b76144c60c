# SPDX-License-Identifier: Apache-2.0
"""Read stacks/prices.yaml: what things cost."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from orchestrator.config.base import StrictModel, as_tuple
from orchestrator.config.loader import read_document, validate
from orchestrator.domain.cost import Prices
from orchestrator.errors import ConfigError

PRICES_PATH = "stacks/prices.yaml"


def _decimal(value: object) -> object:
    # By its text: 0.045 is meant, not the float next to it.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Decimal(str(value)) if is_number else value


_Price = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0)]


class _Table(StrictModel):
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    region: str
    sources: Annotated[tuple[str, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    hours_per_month: _Price
    nat_gateway: _Price
    interface_endpoint_per_zone: _Price
    load_balancer: _Price
    public_ipv4: _Price
    aurora_capacity_unit: _Price
    gp3_gib: _Price
    kms_key: _Price
    secret: _Price
    web_acl: _Price
    web_acl_rule: _Price
    alarm: _Price
    instances: Mapping[str, _Price]
    database_classes: Mapping[str, _Price]
    usage: Mapping[str, str]


def load_prices(project: Path) -> Prices:
    """Return the price table, or raise ConfigError."""
    document, problems = read_document(project, PRICES_PATH)
    table, more = validate(_Table, PRICES_PATH, document)
    problems += more
    if problems or table is None:
        raise ConfigError(PRICES_PATH, tuple(problems))
    return Prices(**dict(table))
