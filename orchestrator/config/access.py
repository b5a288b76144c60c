# SPDX-License-Identifier: Apache-2.0
"""The shape of `access`: how people get to an environment's private machines and its database."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orchestrator.config.base import StrictModel


class Access(StrictModel):
    """How doors are opened. `database_ca_url` is checked by the environment, whose endpoint it may name."""

    user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] = "admin"
    certificate_minutes: Annotated[int, Field(ge=1, le=60)] = 5
    signed_key_hours: Annotated[int, Field(ge=1, le=24)] = 8
    tunnel_hours: Annotated[int, Field(ge=1, le=24)] = 8
    database_ca_url: str = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
