# SPDX-License-Identifier: Apache-2.0
"""A region by a clock that tests advance, with a launch template and subnets to make groups of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.clock import VirtualClock
from sandbox.simulated import SimulatedSubstrate

from .conftest import LocalRegion, make_region

GROUP = "web"


@dataclass
class World:
    """A region, its clock, and a group."""

    local: LocalRegion
    clock: VirtualClock
    substrate: SimulatedSubstrate
    subnets: dict[str, str] = field(default_factory=dict)
    template_id: str = ""

    @property
    def groups(self) -> Any:
        """The client of Auto Scaling."""
        return self.local.client("autoscaling")

    @property
    def ec2(self) -> Any:
        """The client of EC2."""
        return self.local.client("ec2")

    @property
    def template_data(self) -> dict[str, Any]:
        """What the launch template says at first."""
        return {"ImageId": self.local.ami_id, "InstanceType": "t3.small"}

    def prepare(self) -> None:
        """Make what groups need."""
        found = self.ec2.describe_subnets()["Subnets"]
        self.subnets = {each["AvailabilityZone"][-1]: each["SubnetId"] for each in found}
        self.make_template(self.template_data)

    def make(self, size: int = 2, *, zones: str = "abcd", seconds: float = 0, **options: Any) -> None:
        """Make the group and let its instances come into service."""
        options = {
            "AutoScalingGroupName": GROUP,
            "MinSize": 0,
            "MaxSize": 10,
            "DesiredCapacity": size,
            "LaunchTemplate": {"LaunchTemplateId": self.template_id},
            "VPCZoneIdentifier": ",".join(self.subnets[zone] for zone in zones),
        } | options
        self.groups.create_auto_scaling_group(**options)
        self.pass_time(seconds)

    def pass_time(self, seconds: float = 0) -> None:
        """Let time pass, and whatever is due happen."""
        self.clock.advance(seconds)

    @property
    def at(self) -> str:
        """The region's time, as causes have it."""
        return f"At {self.clock.now():%Y-%m-%dT%H:%M:%SZ}"

    def clear(self) -> None:
        """Remove the group and all that tests left behind."""
        self.substrate.failing_starts.clear()
        self.substrate.frozen.clear()
        for group in self.groups.describe_auto_scaling_groups()["AutoScalingGroups"]:
            self.groups.delete_auto_scaling_group(
                AutoScalingGroupName=group["AutoScalingGroupName"], ForceDelete=True
            )
        if left := self.running():
            self.ec2.terminate_instances(InstanceIds=left)
        self.pass_time(60)
        assert self.groups.describe_auto_scaling_groups()["AutoScalingGroups"] == []
        self.ec2.delete_launch_template(LaunchTemplateId=self.template_id)
        self.make_template(self.template_data)

    def make_template(self, data: dict[str, Any]) -> None:
        """Make the group's launch template."""
        template = self.ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
        self.template_id = template["LaunchTemplate"]["LaunchTemplateId"]

    def group(self) -> dict[str, Any]:
        """Describe the group."""
        found = self.groups.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])
        return dict(found["AutoScalingGroups"][0])

    def instances(self, *states: str) -> list[str]:
        """Return the ids of the group's instances, those in some states only."""
        found = self.group()["Instances"]
        return [each["InstanceId"] for each in found if not states or each["LifecycleState"] in states]

    def states(self) -> list[str]:
        """Return the states of the group's instances."""
        return [each["LifecycleState"] for each in self.group()["Instances"]]

    def zones(self) -> str:
        """Return the letters of the instances' zones, in order."""
        return "".join(sorted(each["AvailabilityZone"][-1] for each in self.group()["Instances"]))

    def activities(self) -> list[dict[str, Any]]:
        """Return what the group did, the latest first."""
        found = self.groups.describe_scaling_activities(AutoScalingGroupName=GROUP)
        return list(found["Activities"])

    def resize(self, desired: int) -> None:
        """Set the desired capacity, and let happen what is due at once."""
        self.groups.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=desired)
        self.pass_time()

    def running(self) -> list[str]:
        """Return the ids of the instances that EC2 says are running."""
        answer = self.ec2.describe_instances(
            Filters=[{"Name": "instance-state-name", "Values": ["running"]}], MaxResults=1000
        )
        return [each["InstanceId"] for some in answer["Reservations"] for each in some["Instances"]]


def make_world(
    state_file: Path | None = None, substrate: SimulatedSubstrate | None = None
) -> Iterator[World]:
    """Run a region by a virtual clock until the generator is closed."""
    substrate, clock = substrate or SimulatedSubstrate(), VirtualClock()
    regions = make_region(substrate, state_file, clock)
    world = World(next(regions), clock, substrate)
    clock.advance(0)
    try:
        yield world
    finally:
        next(regions, None)
