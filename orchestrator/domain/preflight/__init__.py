# SPDX-License-Identifier: Apache-2.0
"""What is looked at before a rollout, and what is wrong with it. Pure.

CHECKS is the registry, in the order in which findings are told; docs/preflight.md is made from it.
"""

from __future__ import annotations

from orchestrator.domain.preflight import group, images, room, surroundings, template
from orchestrator.domain.preflight.check import Check
from orchestrator.domain.preflight.situation import Situation
from orchestrator.domain.preflight_finding import Finding, Level

CHECKS: tuple[Check, ...] = (
    *images.CHECKS,
    *template.CHECKS,
    *group.CHECKS,
    *room.CHECKS,
    *surroundings.CHECKS,
)


def check(situation: Situation) -> tuple[Finding, ...]:
    """Return what speaks against a rollout: errors first, each kind in the order of the registry."""
    found = [finding for each in CHECKS for finding in each.findings(situation)]
    return tuple(sorted(found, key=lambda finding: finding.level is not Level.ERROR))


__all__ = ["CHECKS", "Check", "Situation", "check"]
