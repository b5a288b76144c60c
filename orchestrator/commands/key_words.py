# SPDX-License-Identifier: Apache-2.0
"""What an operator types to say which keys are meant. Quick to import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyWords:
    """What was typed. `environment` is empty when it was left out."""

    environment: str = ""
    name: str = ""
    key: str = ""
    is_replaced: bool = False
    hours: str = ""
    fleets: tuple[str, ...] = ()
    door: str = "shell"
    output: str = ""
    is_confirmed: bool = False
    as_json: bool = False
