# SPDX-License-Identifier: Apache-2.0
"""All that the checks before a rollout look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.fleet import FleetGroup, LaunchTemplateVersion, LifecycleHook, TargetHealth
from orchestrator.domain.forecast.course import Course
from orchestrator.domain.preflight.facts import (
    AlarmState,
    Fact,
    ImageFact,
    InstanceTypeFact,
    SubnetFact,
    TargetLimits,
    VcpuRoom,
    known,
)
from orchestrator.domain.refresh import InstanceRefresh, RefreshPreferences
from orchestrator.domain.stack import StackState

# An AMI that is a reference to a parameter, which only a launch resolves.
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html
PARAMETER_PREFIX = "resolve:ssm:"


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who holds a lock."""

    lock: str
    user: str
    host: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Intent:
    """What is to be rolled, and how.

    Attributes:
        source: The launch template's version that the new one is made from; it names the old image.
        own_refresh_ids: Refreshes that this rollout itself began.
        is_paused_by_us: Whether the group's InstanceRefresh process was suspended to pause a rollout.
        taken_back_by: The fleet's latest rollout, if it had to take this very image back and nobody has named
            the image since.
    """

    environment: str
    account_id: str
    fleet: str
    server_class: str
    group: FleetGroup
    source: LaunchTemplateVersion
    new_ami_id: str
    preferences: RefreshPreferences
    course: Course
    refreshes: tuple[InstanceRefresh, ...] = ()
    own_refresh_ids: tuple[str, ...] = ()
    is_paused_by_us: bool = False
    taken_back_by: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """A rollout that is intended, and the facts around it; each may be one that could not be read.

    Attributes:
        images: The new and the old AMI, by id, as far as they exist.
        has_boot_record: Whether the config bucket holds the manifest that a bake writes after the boot test.
        offered_in: The zones in which the instance type can be launched.
        target_health: The fleet's targets by target group.
        balancer_targets: How many targets are behind each of the fleet's load balancers.
        stack: The environment's fleets stack, None if there is none.
        change_sets: Change sets of that stack that wait to be executed.
        holders: Who else holds the fleet's lock or provisions the environment.
    """

    now: datetime
    intent: Intent
    images: Fact[Mapping[str, ImageFact]]
    has_boot_record: Fact[bool]
    instance_type: Fact[InstanceTypeFact | None]
    offered_in: Fact[frozenset[str]]
    vcpus: Fact[VcpuRoom]
    subnets: Fact[Mapping[str, SubnetFact]]
    security_groups: Fact[frozenset[str]]
    has_key_pair: Fact[bool]
    has_instance_profile: Fact[bool]
    target_health: Fact[Mapping[str, tuple[TargetHealth, ...]]]
    target_limits: Fact[TargetLimits]
    balancer_targets: Fact[Mapping[str, int]]
    hooks: Fact[tuple[LifecycleHook, ...]]
    alarms: Fact[Mapping[str, AlarmState]]
    stack: Fact[StackState | None]
    change_sets: Fact[tuple[str, ...]]
    holders: Fact[tuple[Holder, ...]]

    @property
    def group(self) -> FleetGroup:
        """Return the group as it stands."""
        return self.intent.group

    @property
    def new_image(self) -> ImageFact | None:
        """Return the new image, None if there is none of that id; raises CannotTell."""
        return known(self.images).get(self.intent.new_ami_id)

    @property
    def old_ami_id(self) -> str:
        """Return the image that a rollback returns to; empty when the template names a parameter."""
        ami_id = self.intent.source.ami_id
        return "" if ami_id.startswith(PARAMETER_PREFIX) else ami_id

    @property
    def old_image(self) -> ImageFact | None:
        """Return the old image, None if there is none; raises CannotTell."""
        return known(self.images).get(self.old_ami_id)

    def is_own(self, image: ImageFact) -> bool:
        """Tell whether an image is of the environment's account."""
        return image.owner_id == self.intent.account_id

    @property
    def surge(self) -> int:
        """Return how many machines are to run at once beyond those that run now."""
        return max(0, self.intent.course.most_running - len(self.group.instances))
