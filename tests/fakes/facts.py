# SPDX-License-Identifier: Apache-2.0
"""What is looked up before a rollout, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.domain.preflight.facts import (
    AlarmState,
    ImageFact,
    InstanceTypeFact,
    SubnetFact,
    TargetLimits,
    VcpuRoom,
)
from tests.fakes.basics import Recorded


class FakeFacts(Recorded):
    """Facts of an account in which nothing stands in the way of what a test has put there.

    Attributes:
        made_images: AMIs that there are, by id.
        types: Instance types that there are.
        offered_in: Zones in which every type can be launched.
        used_vcpus: How many of the quota are in use, None without data.
        made_subnets: Subnets that there are, by id.
        names: Security groups, key pairs and instance profiles that there are.
        balancers: Load balancers by name: their targets, and the ARNs of their target groups.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made_images: dict[str, ImageFact] = {}
        self.types = {"t3.small": InstanceTypeFact("t3.small", ("x86_64",), 2)}
        self.offered_in = frozenset({"us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"})
        self.vcpu_quota = 1_000_000
        self.used_vcpus: int | None = 0
        self.made_subnets: dict[str, SubnetFact] = {}
        self.names: set[str] = set()
        self.limits = TargetLimits(1_000, 1_000, 3_000)
        self.balancers: dict[str, tuple[int, frozenset[str]]] = {}
        self.alarm_states: dict[str, AlarmState] = {}
        self.change_sets: dict[str, tuple[str, ...]] = {}

    def images(self, ami_ids: Sequence[str]) -> Mapping[str, ImageFact]:
        self._note("images")
        return {each: self.made_images[each] for each in ami_ids if each in self.made_images}

    def instance_type(self, name: str) -> InstanceTypeFact | None:
        self._note("instance_type")
        return self.types.get(name)

    def zones_offering(self, instance_type: str) -> frozenset[str]:
        self._note("zones_offering")
        return self.offered_in if instance_type in self.types else frozenset()

    def vcpu_room(self, instance_type: str) -> VcpuRoom:
        self._note(f"vcpu_room {instance_type}")
        return VcpuRoom("L-1216C47A", self.vcpu_quota, self.used_vcpus)

    def subnets(self, subnet_ids: Sequence[str]) -> Mapping[str, SubnetFact]:
        self._note("subnets")
        return {each: self.made_subnets[each] for each in subnet_ids if each in self.made_subnets}

    def security_groups(self, group_ids: Sequence[str]) -> frozenset[str]:
        self._note("security_groups")
        return frozenset(self.names & set(group_ids))

    def has_key_pair(self, name: str) -> bool:
        self._note("has_key_pair")
        return name in self.names

    def has_instance_profile(self, profile: str) -> bool:
        self._note("has_instance_profile")
        return profile in self.names

    def target_limits(self) -> TargetLimits:
        self._note("target_limits")
        return self.limits

    def balancer_targets(self, target_group_arns: Sequence[str]) -> Mapping[str, int]:
        self._note("balancer_targets")
        return {
            name: targets
            for name, (targets, groups) in self.balancers.items()
            if groups & set(target_group_arns)
        }

    def alarms(self, names: Sequence[str]) -> Mapping[str, AlarmState]:
        self._note("alarms")
        return {each: self.alarm_states[each] for each in names if each in self.alarm_states}

    def open_change_sets(self, stack: str) -> tuple[str, ...]:
        self._note("open_change_sets")
        return self.change_sets.get(stack, ())
