# SPDX-License-Identifier: Apache-2.0
"""Say what a refresh waits for. Pure."""

from __future__ import annotations

from sandbox.autoscaling.refresh import words
from sandbox.autoscaling.refresh.pace import View
from sandbox.autoscaling.refresh.record import Refresh, RefreshStatus
from sandbox.autoscaling.refresh.tally import LEAVING, Kind, Tally


def reason_of(refresh: Refresh, seen: View, tally: Tally) -> str:
    """Return the reason of the status, with an instance as an example; empty if nothing is waited for."""
    if refresh.status is RefreshStatus.BAKING:
        return words.BAKING
    if refresh.waits_until is not None:
        return words.CHECKPOINT.format(refresh.preferences.checkpoints[refresh.checkpoint - 1])
    if seen.unready:
        if warming := tally.warming_example():
            return words.warming(warming)
        return words.unavailable(tally.example(Kind.UNREADY))
    for kind in LEAVING:
        if tally.counts[kind]:
            return words.leaving(tally.example(kind))
    if seen.stale:
        return ""
    if tally.counts[Kind.PROTECTED]:
        return words.protected(tally.example(Kind.PROTECTED))
    if tally.counts[Kind.STANDBY]:
        return words.in_standby(tally.example(Kind.STANDBY))
    return ""
