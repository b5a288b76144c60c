# SPDX-License-Identifier: Apache-2.0
"""Fleets as AWS shows them: a group, its instances, its launch template and what it did. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

IN_SERVICE = "InService"
STANDBY = "Standby"
_INSTANCE_ID = re.compile(r"\bi-[0-9a-f]+\b")


@dataclass(frozen=True, slots=True)
class FleetInstance:
    """An instance as its group shows it. `version` is None where the launch template is unknown."""

    instance_id: str
    zone: str
    lifecycle_state: str
    is_healthy: bool = True
    is_protected: bool = False
    instance_type: str = ""
    template_id: str = ""
    version: int | None = None

    @property
    def is_in_service(self) -> bool:
        """Tell whether it takes part in the group's work; that it is healthy is not said by that."""
        return self.lifecycle_state == IN_SERVICE

    @property
    def is_standby(self) -> bool:
        """Tell whether an operator has put it aside."""
        return self.lifecycle_state == STANDBY

    def is_of(self, template_id: str, version: int) -> bool:
        """Tell whether it was launched from a version of a launch template."""
        return (self.template_id, self.version) == (template_id, version)


@dataclass(frozen=True, slots=True)
class FleetGroup:
    """A fleet's Auto Scaling group with all its instances.

    `template_version` is what the group names: a number as text, or $Latest or $Default, which Slipway never
    writes. `suspended` holds why a process is suspended by the process's name.
    """

    name: str
    arn: str
    min_size: int
    max_size: int
    desired_capacity: int
    template_id: str
    template_name: str
    template_version: str
    instances: tuple[FleetInstance, ...] = ()
    zones: tuple[str, ...] = ()
    subnet_ids: tuple[str, ...] = ()
    target_group_arns: tuple[str, ...] = ()
    suspended: Mapping[str, str] = field(default_factory=dict)
    health_check_type: str = "EC2"
    grace_period_s: int = 0
    instance_warmup_s: int | None = None
    termination_policies: tuple[str, ...] = ()

    @property
    def numbered_version(self) -> int | None:
        """Return the version as a number, None for $Latest and $Default."""
        return int(self.template_version) if self.template_version.isdigit() else None

    @property
    def in_service(self) -> tuple[FleetInstance, ...]:
        """Return the instances in service."""
        return tuple(each for each in self.instances if each.is_in_service)

    def by_zone(self) -> Mapping[str, int]:
        """Return how many instances are in service in each of the group's zones."""
        counted = Counter(each.zone for each in self.in_service)
        return {zone: counted[zone] for zone in sorted({*self.zones, *counted})}


@dataclass(frozen=True, slots=True)
class LaunchTemplateVersion:
    """One version of a launch template. `ami_id` may be `resolve:ssm:...`, which Slipway never writes."""

    template_id: str
    number: int
    ami_id: str
    instance_type: str
    description: str = ""
    is_default: bool = False
    key_name: str = ""
    instance_profile: str = ""
    security_group_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LifecycleHook:
    """A lifecycle hook. `transition` is AWS's word, autoscaling:EC2_INSTANCE_LAUNCHING for one."""

    name: str
    transition: str
    heartbeat_s: int
    global_timeout_s: int
    default_result: str

    @property
    def is_on_launch(self) -> bool:
        """Tell whether it holds up launches; else it holds up terminations."""
        return self.transition.endswith("LAUNCHING")


@dataclass(frozen=True, slots=True)
class ScalingActivity:
    """What a group did, in AWS's words. `ended_at` is None while it goes on."""

    activity_id: str
    description: str
    cause: str
    status: str
    started_at: datetime
    ended_at: datetime | None = None
    message: str = ""

    @property
    def instance_id(self) -> str:
        """Return the instance that it is about, empty if it names none."""
        found = _INSTANCE_ID.search(self.description)
        return found.group() if found else ""

    @property
    def is_launch(self) -> bool:
        """Tell whether an instance is or was to be launched."""
        return self.description.startswith("Launching")

    @property
    def is_termination(self) -> bool:
        """Tell whether an instance is terminated."""
        return self.description.startswith("Terminating")

    @property
    def has_failed(self) -> bool:
        """Tell whether it came to nothing."""
        return self.status in ("Failed", "Cancelled")


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """A machine as a target group sees it; `state` is the balancer's word: initial, healthy, unhealthy ..."""

    instance_id: str
    state: str
    reason: str = ""
