# SPDX-License-Identifier: Apache-2.0
"""Fleets, launch templates, target groups and notices, in memory.

    clock = FakeClock()
    fleets, templates = FakeFleets(clock), FakeLaunchTemplates()
    template_id = templates.have("ami-old")             # version 1
    fleets.have("api", template_id, machines=4)         # all in service, of version 1
    fleets.trouble[2] = Trouble.LAUNCH                  # what becomes of machines of version 2
    targets, notices = FakeTargets(fleets), FakeNotices()

Time passes by the fake clock, and however far it jumps at once, all happens at its own time.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from orchestrator.domain.fleet import (
    FleetGroup,
    FleetInstance,
    LaunchTemplateVersion,
    LifecycleHook,
    ScalingActivity,
    TargetHealth,
)
from orchestrator.domain.refresh import InstanceRefresh, RefreshRequest, RefreshStatus
from orchestrator.errors import AwsError, NotFound
from tests.fakes.basics import FakeClock, Recorded
from tests.fakes.garage import Trouble
from tests.fakes.refreshes import Course, Refreshes

__all__ = ["FakeFleets", "FakeLaunchTemplates", "FakeNotices", "FakeTargets", "Trouble"]

ARN = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup"
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d")
STEADY = (RefreshStatus.PENDING, RefreshStatus.IN_PROGRESS, RefreshStatus.BAKING)


class FakeFleets(Recorded):
    """Groups whose refreshes replace machines one after the other, or as many at once as they may.

    Notes each call as `method group` where it changes something, else as `method`.

    Attributes:
        groups: Settings of the groups by name, to be replaced by a test that wants others.
        trouble: What becomes of new machines, by the version they are launched from; see `Trouble`.
            `spared` of them, by version, come up well first.
        boot_s, warmup_s, leave_s: How long machines take; the request's or group's warm-up wins over ours.
    """

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.garage = Refreshes(clock)
        self.groups: dict[str, FleetGroup] = self.garage.groups
        self.trouble: dict[int, Trouble] = self.garage.trouble
        self.spared: dict[int, int] = self.garage.spared
        self.launch_hooks: dict[str, tuple[LifecycleHook, ...]] = self.garage.hooks
        self._numbers = itertools.count(1)

    # The port.

    def group(self, name: str) -> FleetGroup:
        self._note("group")
        self._known(name, "DescribeAutoScalingGroups")
        machines = self.garage.machines[name].values()
        return replace(self.groups[name], instances=tuple(machines))

    def hooks(self, name: str) -> tuple[LifecycleHook, ...]:
        self._note("hooks")
        self._known(name, "DescribeLifecycleHooks")
        return self.launch_hooks.get(name, ())

    def activities(self, name: str, *, limit: int = 100) -> tuple[ScalingActivity, ...]:
        self._note("activities")
        self._known(name, "DescribeScalingActivities")
        return tuple(reversed(self.garage.activities[name].values()))[:limit]

    def refreshes(self, name: str, *, limit: int = 10) -> tuple[InstanceRefresh, ...]:
        self._note("refreshes")
        self._known(name, "DescribeInstanceRefreshes")
        return tuple(course.shown for course in reversed(self.garage.courses.get(name, ())))[:limit]

    def refresh(self, name: str, refresh_id: str) -> InstanceRefresh:
        self._note("refresh")
        self._known(name, "DescribeInstanceRefreshes")
        for course in self.garage.courses.get(name, ()):
            if course.shown.refresh_id == refresh_id:
                return course.shown
        raise NotFound("autoscaling", "DescribeInstanceRefreshes", "NoRefresh", refresh_id)

    def start_refresh(self, name: str, request: RefreshRequest) -> str:
        self._note(f"start_refresh {name}")
        self._known(name, "StartInstanceRefresh")
        if self.garage.active(name):
            raise AwsError("autoscaling", "StartInstanceRefresh", "InstanceRefreshInProgress", name)
        refresh_id = f"00000000-0000-4000-8000-{next(self._numbers):012x}"
        self.garage.start(name, refresh_id, request)
        return refresh_id

    def cancel_refresh(self, name: str) -> str:
        self._note(f"cancel_refresh {name}")
        course = self._active(name, "CancelInstanceRefresh")
        self.garage.cancel(course)
        return course.shown.refresh_id

    def rollback_refresh(self, name: str) -> str:
        self._note(f"rollback_refresh {name}")
        course = self._active(name, "RollbackInstanceRefresh")
        if course.shown.status not in STEADY:
            raise _no_refresh("RollbackInstanceRefresh", name)
        if self.groups[name].numbered_version is None:
            raise AwsError("autoscaling", "RollbackInstanceRefresh", "IrreversibleInstanceRefresh", name)
        self.garage.roll_back(course, "Rollback was requested.")
        return course.shown.refresh_id

    def suspend(self, name: str, process: str) -> None:
        self._note(f"suspend {name} {process}")
        self._known(name, "SuspendProcesses")
        reason = f"User suspended at {self.garage.time.now():%Y-%m-%dT%H:%M:%SZ}"
        suspended = {process: reason, **self.groups[name].suspended}
        self.groups[name] = replace(self.groups[name], suspended=suspended)

    def resume(self, name: str, process: str) -> None:
        self._note(f"resume {name} {process}")
        self._known(name, "ResumeProcesses")
        kept = {each: why for each, why in self.groups[name].suspended.items() if each != process}
        self.groups[name] = replace(self.groups[name], suspended=kept)
        self.garage.go_on(name)

    # What a test arranges.

    def have(
        self, name: str, template_id: str, *, machines: int = 4, version: int = 1, **settings: Any
    ) -> FleetGroup:
        """Have a group, all of whose machines are in service and of one version, spread over four zones.

        Args:
            settings: Other fields of FleetGroup: max_size, target_group_arns, suspended ...
        """
        defaults: dict[str, Any] = {
            "arn": f"{ARN}:1:autoScalingGroupName/{name}",
            "min_size": 0,
            "max_size": machines * 2,
            "desired_capacity": machines,
            "template_name": name,
            "template_version": str(version),
            "zones": ZONES,
            "subnet_ids": tuple(f"subnet-{zone[-1]}" for zone in ZONES),
        }
        group = FleetGroup(name=name, template_id=template_id, **(defaults | settings))
        self.garage.have(group, version)
        return group

    def machine(self, name: str, number: int = 0) -> FleetInstance:
        """Return one of a group's machines."""
        return list(self.garage.machines[name].values())[number]

    def change(self, name: str, instance_id: str, **fields: Any) -> None:
        """Change what is shown of a machine: is_protected, lifecycle_state="Standby" ..."""
        machines = self.garage.machines[name]
        machines[instance_id] = replace(machines[instance_id], **fields)

    def scale(self, name: str, desired: int) -> None:
        """Let somebody else change the desired capacity."""
        self.garage.time.catch_up()
        self.groups[name] = replace(self.groups[name], desired_capacity=desired)
        self.garage.go_on(name)

    def alarm(self, name: str, alarm: str) -> None:
        """Let an alarm that the active refresh watches go off."""
        self.garage.time.catch_up()
        if course := self.garage.active(name):
            reason = f"The alarm {alarm} went into the ALARM state."
            self.garage.fail(course, reason)

    @property
    def boot_s(self) -> float:
        return self.garage.boot_s

    @boot_s.setter
    def boot_s(self, value: float) -> None:
        self.garage.boot_s = value

    @property
    def warmup_s(self) -> float:
        return self.garage.warmup_s

    @warmup_s.setter
    def warmup_s(self, value: float) -> None:
        self.garage.warmup_s = value

    @property
    def leave_s(self) -> float:
        return self.garage.leave_s

    @leave_s.setter
    def leave_s(self, value: float) -> None:
        self.garage.leave_s = value

    def _active(self, name: str, operation: str) -> Course:
        self._known(name, operation)
        course = self.garage.active(name)
        if course is None:
            raise _no_refresh(operation, name)
        return course

    def _known(self, name: str, operation: str) -> None:
        self.garage.time.catch_up()
        if name not in self.groups:
            raise NotFound("autoscaling", operation, "ValidationError", f"there is no group {name}")


class FakeLaunchTemplates(Recorded):
    """Launch templates in memory; the first one made has the id lt-00000000000000001."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: dict[str, list[LaunchTemplateVersion]] = {}
        self.tokens: dict[str, tuple[tuple[object, ...], int]] = {}

    def have(self, ami_id: str, instance_type: str = "t3.small", **fields: Any) -> str:
        """Have a template with one version, and return its id."""
        template_id = f"lt-{len(self.versions) + 1:017x}"
        first = LaunchTemplateVersion(template_id, 1, ami_id, instance_type, is_default=True, **fields)
        self.versions[template_id] = [first]
        return template_id

    def version(self, template_id: str, version: str) -> LaunchTemplateVersion:
        self._note("version")
        known = self._of(template_id)
        if version == "$Latest":
            return known[-1]
        for each in known:
            if version == str(each.number) or (version == "$Default" and each.is_default):
                return each
        code = "InvalidLaunchTemplateId.VersionNotFound"
        raise NotFound("ec2", "DescribeLaunchTemplateVersions", code, f"{template_id} {version}")

    def create_version(
        self, template_id: str, *, source: int, ami_id: str, description: str, token: str
    ) -> int:
        self._note(f"create_version {ami_id}")
        known, asked = self._of(template_id), (template_id, source, ami_id, description)
        if token in self.tokens:
            before, number = self.tokens[token]
            if before != asked:
                raise AwsError("ec2", "CreateLaunchTemplateVersion", "IdempotentParameterMismatch", token)
            return number
        template = next((each for each in known if each.number == source), None)
        if template is None:
            code = "InvalidLaunchTemplateId.VersionNotFound"
            raise NotFound("ec2", "CreateLaunchTemplateVersion", code, f"{template_id} {source}")
        number = known[-1].number + 1
        fields: dict[str, Any] = {"number": number, "ami_id": ami_id, "description": description}
        known.append(replace(template, is_default=False, **fields))
        self.tokens[token] = asked, number
        return number

    def set_default(self, template_id: str, number: int) -> None:
        self._note(f"set_default {number}")
        known = self._of(template_id)
        if number not in {each.number for each in known}:
            code = "InvalidLaunchTemplateId.VersionNotFound"
            raise NotFound("ec2", "ModifyLaunchTemplate", code, f"{template_id} {number}")
        known[:] = [replace(each, is_default=each.number == number) for each in known]

    def _of(self, template_id: str) -> list[LaunchTemplateVersion]:
        if template_id not in self.versions:
            raise NotFound("ec2", "DescribeLaunchTemplates", "InvalidLaunchTemplateId.NotFound", template_id)
        return self.versions[template_id]


class FakeTargets(Recorded):
    """Target groups that see the machines of the groups that name them. `states` overrides what they see."""

    def __init__(self, fleets: FakeFleets) -> None:
        super().__init__()
        self._garage = fleets.garage
        self.states: dict[str, TargetHealth] = {}

    def health(self, target_group_arn: str) -> tuple[TargetHealth, ...]:
        self._note("health")
        self._garage.time.catch_up()
        users = [each for each in self._garage.groups.values() if target_group_arn in each.target_group_arns]
        if not users:
            raise NotFound("elbv2", "DescribeTargetHealth", "TargetGroupNotFound", target_group_arn)
        seen = (each for group in users for each in self._garage.target_health(group.name))
        return tuple(self.states.get(each.instance_id, each) for each in seen)


class FakeNotices(Recorded):
    """Keeps what was published: topic, subject and message."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[tuple[str, str, str]] = []

    @property
    def subjects(self) -> list[str]:
        """The subjects, oldest first."""
        return [subject for _, subject, _ in self.published]

    def publish(self, topic_arn: str, subject: str, message: str) -> None:
        self._note("publish")
        self.published.append((topic_arn, subject, message))


def _no_refresh(operation: str, name: str) -> AwsError:
    return AwsError("autoscaling", operation, "ActiveInstanceRefreshNotFound", name)
