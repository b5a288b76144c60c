# SPDX-License-Identifier: Apache-2.0
"""What a tunnel is at a moment, as engines tell it and screens show it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TunnelState(StrEnum):
    """Where a tunnel is in its life."""

    CONNECTING = "connecting"
    READY = "ready"
    REBUILDING = "rebuilding"
    DRAINING = "draining"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class HopStatus:
    """A hop in use. `latency_s` is that of the last question to it, None before the first answer."""

    name: str
    latency_s: float | None = None


@dataclass(frozen=True, slots=True)
class TunnelStatus:
    """How a tunnel is.

    Attributes:
        standby: The name of the machine that the second way goes through; empty while there is none.
        open_connections, served_connections, failed_connections: Of clients, since the tunnel opened.
        sent_bytes, received_bytes: To and from the target.
        reconnects: How often the way was lost and made again.
        trouble: Why there is no way now, in a sentence; empty while there is one.
    """

    state: TunnelState
    hops: tuple[HopStatus, ...] = ()
    standby: str = ""
    open_connections: int = 0
    served_connections: int = 0
    failed_connections: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    reconnects: int = 0
    trouble: str = ""
