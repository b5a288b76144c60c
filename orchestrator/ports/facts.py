# SPDX-License-Identifier: Apache-2.0
"""What AWS knows that decides whether a rollout can go well: quotas, addresses, alarms and the like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from orchestrator.domain.preflight.facts import (
    AlarmState,
    ImageFact,
    InstanceTypeFact,
    SubnetFact,
    TargetLimits,
    VcpuRoom,
)


class Facts(Protocol):
    """Looked up before a rollout; each method is few calls at any size of the fleet, and changes nothing.

    What does not exist is left out of the answer, and is no error.
    """

    def images(self, ami_ids: Sequence[str]) -> Mapping[str, ImageFact]:
        """Return AMIs by their ids, deprecated and disabled ones too."""

    def instance_type(self, name: str) -> InstanceTypeFact | None:
        """Return an instance type, None if the region has none of that name."""

    def zones_offering(self, instance_type: str) -> frozenset[str]:
        """Return the zones in which a type can be launched."""

    def vcpu_room(self, instance_type: str) -> VcpuRoom:
        """Return the quota of on-demand vCPUs that a type counts to, and its use."""

    def subnets(self, subnet_ids: Sequence[str]) -> Mapping[str, SubnetFact]:
        """Return subnets by their ids."""

    def security_groups(self, group_ids: Sequence[str]) -> frozenset[str]:
        """Return which of these security groups exist."""

    def has_key_pair(self, name: str) -> bool:
        """Tell whether there is a key pair of that name."""

    def has_instance_profile(self, profile: str) -> bool:
        """Tell whether there is an instance profile of that name or ARN, and a role in it."""

    def target_limits(self) -> TargetLimits:
        """Return how many targets target groups and load balancers take."""

    def balancer_targets(self, target_group_arns: Sequence[str]) -> Mapping[str, int]:
        """Return how many targets are behind each load balancer in front of these target groups.

        They are counted in all of its target groups. A balancer's name is that in its ARN: `app/<name>/<id>`.
        """

    def alarms(self, names: Sequence[str]) -> Mapping[str, AlarmState]:
        """Return the states of alarms by their names."""

    def open_change_sets(self, stack: str) -> tuple[str, ...]:
        """Return the names of a stack's change sets that could be executed; none of a stack that is not."""
