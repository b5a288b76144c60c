# SPDX-License-Identifier: Apache-2.0
"""What is worth telling of a tunnel while it is open: what changed, how fast it carries, how long it stays.

Pure: two looks in, sentences out.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.tunnel import TunnelState, TunnelStatus

_MIB = 2**20
_KIB = 2**10
# Bytes per second are told over so long, or they dance.
_SPAN_S = 1.0


@dataclass(frozen=True, slots=True)
class TunnelLook:
    """A tunnel at a moment, for screens.

    Attributes:
        sent_per_s, received_per_s: Bytes.
        left_s: Seconds until it closes by itself.
        lost_s: Seconds since the way was lost; None while there is one.
    """

    status: TunnelStatus
    sent_per_s: float
    received_per_s: float
    left_s: float
    lost_s: float | None = None


@dataclass(frozen=True, slots=True)
class Speed:
    """What is measured since when, and the last result."""

    at_s: float
    sent: int = 0
    received: int = 0
    sent_per_s: float = 0.0
    received_per_s: float = 0.0

    def next(self, status: TunnelStatus, at_s: float) -> Speed:
        """Return the speed after another look; the same until there is enough to measure."""
        span = at_s - self.at_s
        if span < _SPAN_S:
            return self
        sent, received = status.sent_bytes, status.received_bytes
        return Speed(at_s, sent, received, (sent - self.sent) / span, (received - self.received) / span)


def news(
    before: TunnelStatus, after: TunnelStatus, *, lost_s: float, is_brief: bool = False
) -> tuple[str, ...]:
    """Return what changed between two looks, one sentence each.

    Args:
        lost_s: So long ago the way was lost, if it was.
        is_brief: Leave out what changes nothing for clients: the second way.
    """
    told = [*_way(before, after, lost_s)]
    if (failed := after.failed_connections - before.failed_connections) > 0:
        told.append(f"{counted(failed, 'connection')} failed")
    is_told = after.state is TunnelState.READY and not is_brief
    if after.standby != before.standby and is_told:
        told.append(f"second way through {after.standby} is ready" if after.standby else "no second way now")
    return tuple(told)


def _way(before: TunnelStatus, after: TunnelStatus, lost_s: float) -> list[str]:
    was_ready, is_ready = before.state is TunnelState.READY, after.state is TunnelState.READY
    if was_ready and after.state is TunnelState.REBUILDING:
        return [f"lost the way{_cause(after)}; new connections wait"]
    if is_ready and before.state is TunnelState.REBUILDING:
        return [f"back after {lost_s:.1f} s through {through(after)}"]
    if was_ready and is_ready and after.reconnects > before.reconnects:
        return [f"lost the way; goes on through {through(after)}"]
    if after.state is TunnelState.REBUILDING and after.trouble not in {"", before.trouble}:
        return [f"still no way{_cause(after)}"]
    return []


def _cause(status: TunnelStatus) -> str:
    return f": {status.trouble.rstrip('.')}" if status.trouble else ""


def through(status: TunnelStatus) -> str:
    """Return the machines on the way, in their order."""
    return " and ".join(hop.name for hop in status.hops) or "no machine"


def counted(number: int, noun: str) -> str:
    """Return `1 connection`, `2 connections`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number: float) -> str:
    """Return bytes for people: `512 B`, `1.5 KiB`, `2.0 MiB`."""
    if number < _KIB:
        return f"{number:.0f} B"
    if number < _MIB:
        return f"{number / _KIB:.1f} KiB"
    return f"{number / _MIB:,.1f} MiB"


def span(seconds: float) -> str:
    """Return a time for people: `7:59:30`, `4:05`."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def summary(status: TunnelStatus, seconds: float) -> str:
    """Return what a tunnel has done, when it is over."""
    parts = [
        counted(status.served_connections, "connection"),
        f"{size(status.sent_bytes)} sent, {size(status.received_bytes)} received",
    ]
    parts += [f"way rebuilt {counted(status.reconnects, 'time')}"] if status.reconnects else []
    return f"open for {span(seconds)}: {'; '.join(parts)}"
