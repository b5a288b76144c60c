# SPDX-License-Identifier: Apache-2.0
"""Choose what carries a region's machines."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sandbox.simulated import SimulatedSubstrate
from sandbox.state_dir import StateDir
from sandbox.substrate import Substrate


class Mode(StrEnum):
    """Real machines, or none."""

    REAL = "real"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class Carrier:
    """A substrate, and what it gives a region beside machines.

    `listen_api` opens a socket where machines with a way out reach the AWS API, at `api_address`.
    """

    substrate: Substrate
    public_cidr: str
    operator_address: str
    api_address: str | None = None
    listen_api: Callable[[int], socket.socket] | None = None


def carrier(
    mode: Mode, state_dir: StateDir, *, on_progress: Callable[[str], None] = lambda line: None
) -> Carrier:
    """Make the substrate of a mode. The state directory's parent tells one region on a host from another."""
    if mode is Mode.SIMULATED:
        return Carrier(SimulatedSubstrate(has_networks=False), "198.18.0.0/15", "127.0.0.1")
    from sandbox.machines.host import HostSubstrate  # noqa: PLC0415 - a host without machines need not have it

    host = HostSubstrate.of_checkout(state_dir.path.parent, on_progress=on_progress)
    return Carrier(host, host.public_range, host.operator_address, host.region_address, host.listen_region)


def remove_machines(state_dir: StateDir, *, images: bool) -> None:
    """Remove every real machine and network of the directory's region, and its images if asked."""
    from sandbox.machines.host import HostSubstrate  # noqa: PLC0415 - as above

    HostSubstrate.of_checkout(state_dir.path.parent).destroy_all(images=images)
