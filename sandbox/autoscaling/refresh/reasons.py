# SPDX-License-Identifier: Apache-2.0
"""Say what a refresh waits for. Pure."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.autoscaling.refresh import words
from sandbox.autoscaling.refresh.pace import View
from sandbox.autoscaling.refresh.record import Refresh, RefreshStatus
from sandbox.autoscaling.refresh.tally import LEAVING, Kind, Tally

# What is waited for when no new instance is, in this order; while there are some to replace, nothing is.
_WAITS: tuple[tuple[Kind, Callable[[str], str]], ...] = (
    *((kind, words.leaving) for kind in LEAVING),
    (Kind.STALE, lambda _: ""),
    (Kind.PROTECTED, words.protected),
    (Kind.STANDBY, words.in_standby),
)


def reason_of(refresh: Refresh, seen: View, tally: Tally) -> str:
    """Return the reason of the status, with an instance as an example; empty if nothing is waited for."""
    if refresh.status is RefreshStatus.BAKING:
        return words.BAKING
    if refresh.waits_until is not None:
        return words.CHECKPOINT.format(refresh.preferences.checkpoints[refresh.checkpoint - 1])
    if seen.unready:
        warming = tally.warming_example()
        return words.warming(warming) if warming else words.unavailable(tally.example(Kind.UNREADY))
    for kind, says in _WAITS:
        if tally.counts[kind]:
            return says(tally.example(kind))
    return ""
