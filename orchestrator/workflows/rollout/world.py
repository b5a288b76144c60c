# SPDX-License-Identifier: Apache-2.0
"""What rollouts work with: an environment and the ports into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.clock import Clock
from orchestrator.config.models import Environment
from orchestrator.domain.rollout.progress import Progress
from orchestrator.ports import (
    Fleets,
    Identity,
    Images,
    LaunchTemplates,
    Locks,
    Machines,
    Notices,
    Objects,
    Parameters,
    Stacks,
    Targets,
)
from orchestrator.ports.facts import Facts
from orchestrator.workflows.account import guard_account

# Shows one look at a rollout; called at every poll.
ProgressSink = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class RolloutWorld:
    """An environment and the ports into it.

    Attributes:
        operator: Who runs the command, for records: `ann@laptop`.
        hourly_usd: What a machine costs, by instance type; types without a price cost nothing here.
    """

    environment: Environment
    fleets: Fleets
    templates: LaunchTemplates
    targets: Targets
    images: Images
    machines: Machines
    parameters: Parameters
    objects: Objects
    locks: Locks
    identity: Identity
    notices: Notices
    stacks: Stacks
    facts: Facts
    clock: Clock
    operator: str
    run_id: str
    hourly_usd: Mapping[str, float]

    def guard_account(self) -> None:
        """Refuse to change anything when the credentials are another account's."""
        guard_account(self.environment, self.identity)
