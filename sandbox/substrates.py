# SPDX-License-Identifier: Apache-2.0
"""Choose what carries a region's machines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sandbox.state_dir import StateDir
from sandbox.substrate import Substrate


class Mode(StrEnum):
    """Real machines, or none."""

    REAL = "real"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class Carrier:
    """A substrate and the addresses it gives a region."""

    substrate: Substrate
    public_cidr: str
    operator_address: str
    api_address: str | None


def carrier(mode: Mode, state_dir: StateDir) -> Carrier:
    """Make the substrate of a mode."""
    del state_dir
    from sandbox.simulated import SimulatedSubstrate  # noqa: PLC0415

    if mode is Mode.SIMULATED:
        return Carrier(SimulatedSubstrate(), "198.18.0.0/15", "127.0.0.1", None)
    raise NotImplementedError("real machines")
