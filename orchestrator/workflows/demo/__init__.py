# SPDX-License-Identifier: Apache-2.0
"""Show that an environment works, and that its fleet gets a new image without anybody noticing."""

from __future__ import annotations

from orchestrator.workflows.demo.doors import Queried, query
from orchestrator.workflows.demo.environment import DemoWorld, Shown, page_addresses, show
from orchestrator.workflows.demo.images import Variants, baking
from orchestrator.workflows.demo.rollouts import Rolled, RolloutDemo, roll_both, variants_wanted

__all__ = [
    "DemoWorld",
    "Queried",
    "Rolled",
    "RolloutDemo",
    "Shown",
    "Variants",
    "baking",
    "page_addresses",
    "query",
    "roll_both",
    "show",
    "variants_wanted",
]
