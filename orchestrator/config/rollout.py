# SPDX-License-Identifier: Apache-2.0
"""The shape of how a fleet is rolled, and of an environment's place among the others.

The names are those of AWS's preferences of an instance refresh, in snake_case.
https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from orchestrator.config.base import StrictModel, as_tuple
from orchestrator.domain.refresh import ProtectedInstances, StandbyInstances

_TWO_DAYS_S = 172_800
_WHOLE = 100


class Rollout(StrictModel):
    """How a fleet gets a new image."""

    min_healthy_percentage: Annotated[int, Field(ge=0, le=_WHOLE)] = _WHOLE
    max_healthy_percentage: Annotated[int, Field(ge=_WHOLE, le=200, validate_default=True)] = 150
    checkpoint_percentages: Annotated[
        tuple[Annotated[int, Field(ge=1, le=_WHOLE)], ...], BeforeValidator(as_tuple)
    ] = ()
    checkpoint_delay_s: Annotated[int, Field(ge=0, le=_TWO_DAYS_S)] = 300
    instance_warmup_s: Annotated[int, Field(ge=0, le=7200)] = 60
    refresh_bake_time_s: Annotated[int, Field(ge=0, le=_TWO_DAYS_S)] = 0
    alarms: Annotated[tuple[str, ...], BeforeValidator(as_tuple), Field(max_length=10)] = ()
    max_failures: Annotated[int, Field(ge=1, le=100)] = 2
    scale_in_protected_instances: Annotated[ProtectedInstances, Field(strict=False)] = (
        ProtectedInstances.IGNORE
    )
    standby_instances: Annotated[StandbyInstances, Field(strict=False)] = StandbyInstances.IGNORE
    surge_budget_usd: Annotated[float, Field(ge=0)] | None = None

    @field_validator("max_healthy_percentage")
    @classmethod
    def _within_a_hundred(cls, value: int, info: ValidationInfo) -> int:
        least = info.data.get("min_healthy_percentage", value)
        if value - least > _WHOLE:
            raise ValueError(f"{value} is more than 100 above min_healthy_percentage {least}")
        return value

    @field_validator("checkpoint_percentages")
    @classmethod
    def _ascend(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if value != tuple(sorted(set(value))):
            raise ValueError("must ascend")
        if value and value[-1] != _WHOLE:
            raise ValueError("must end with 100, or the rest of the fleet would stay as it is")
        return value


class Waves(StrictModel):
    """An environment's place when several are rolled, and the time that each fleet gets to settle."""

    wave: Annotated[int, Field(ge=1, le=100)] | None = None
    settle_s: Annotated[int, Field(ge=0, le=_TWO_DAYS_S)] = 300
