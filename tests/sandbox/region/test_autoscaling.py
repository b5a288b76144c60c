# SPDX-License-Identifier: Apache-2.0
"""A group keeps real machines: one for each zone, healed, with hooks, and over the end of the daemon."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from sandbox import control
from sandbox.machines.podman import Podman
from sandbox.names import of_checkout

from .conftest import RealRegion, until

pytestmark = pytest.mark.sandbox

GROUP = "fleet"
ZONES = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"]
LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"


def describe(region: RealRegion) -> dict[str, Any]:
    """Describe the group."""
    found = region.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])
    return dict(found["AutoScalingGroups"][0])


def instances(region: RealRegion, state: str = "InService") -> dict[str, str]:
    """Return the zones of the instances in a state."""
    found = describe(region)["Instances"]
    return {each["InstanceId"]: each["AvailabilityZone"] for each in found if each["LifecycleState"] == state}


def await_zones(region: RealRegion, *zones: str, state: str = "InService") -> dict[str, str]:
    """Wait until there is just one instance in each of some zones, all in a state."""
    until(
        lambda: (sorted(instances(region, state).values()), len(describe(region)["Instances"])),
        lambda seen: seen == (sorted(zones), len(zones)),
        patience_s=120,
    )
    return instances(region, state)


def machines(region: RealRegion) -> set[str]:
    """Return the ids of the machines that this host really runs."""
    containers = Podman(of_checkout(region.state.path.parent)).containers()
    return {container.instance_id for container in containers if container.pid}


def running(region: RealRegion) -> set[str]:
    """Return the ids of the instances that EC2 runs for the group, whether or not the group knows them."""
    filters = [
        {"Name": "tag:aws:autoscaling:groupName", "Values": [GROUP]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "shutting-down"]},
    ]
    reservations = region.client("ec2").describe_instances(Filters=filters)["Reservations"]
    return {each["InstanceId"] for some in reservations for each in some["Instances"]}


def let_in(region: RealRegion, waiting: Iterable[str]) -> None:
    """Say that instances are ready."""
    for instance_id in waiting:
        region.client("autoscaling").complete_lifecycle_action(
            AutoScalingGroupName=GROUP,
            LifecycleHookName="ready",
            LifecycleActionResult="CONTINUE",
            InstanceId=instance_id,
        )


def kill_daemon(region: RealRegion) -> None:
    """Kill the region's daemon and wait for its end."""
    descriptor = os.pidfd_open(control.status(state_dir=region.state)["pid"])
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        select.select([descriptor], [], [], 10)
    finally:
        os.close(descriptor)


@pytest.fixture(name="template", scope="module")
def fixture_template(region: RealRegion) -> str:
    """Return a launch template of machines that the operator can reach."""
    interface = {
        "DeviceIndex": 0,
        "AssociatePublicIpAddress": True,
        "Groups": [region.group("fleet", 22)],
    }
    region.client("ec2").create_launch_template(
        LaunchTemplateName="fleet",
        LaunchTemplateData={
            "ImageId": region.ami_id(),
            "InstanceType": "t3.small",
            "KeyName": "operator",
            "NetworkInterfaces": [interface],
            "MetadataOptions": {"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
        },
    )
    return "fleet"


@pytest.fixture(name="fleet")
def fixture_fleet(region: RealRegion, template: str) -> Iterator[RealRegion]:
    """Return the region with a group of four over four zones, whose instances wait for a hook."""
    groups = region.client("autoscaling")
    filters = [{"Name": "tag:slipway:tier", "Values": ["public"]}]
    found = region.client("ec2").describe_subnets(Filters=filters)["Subnets"]
    hook = {"LifecycleHookName": "ready", "LifecycleTransition": LAUNCHING, "HeartbeatTimeout": 300}
    groups.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=8,
        DesiredCapacity=4,
        LaunchTemplate={"LaunchTemplateName": template, "Version": "$Latest"},
        VPCZoneIdentifier=",".join(each["SubnetId"] for each in found),
        LifecycleHookSpecificationList=[hook],
    )
    yield region
    groups.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
    until(lambda: groups.describe_auto_scaling_groups()["AutoScalingGroups"], lambda left: not left)


def test_a_group_lives_on_real_machines(fleet: RealRegion) -> None:
    groups = fleet.client("autoscaling")
    waiting = await_zones(fleet, *ZONES, state="Pending:Wait")
    let_in(fleet, waiting)
    serving = await_zones(fleet, *ZONES)
    assert set(serving) == set(waiting) <= machines(fleet)
    groups.delete_lifecycle_hook(AutoScalingGroupName=GROUP, LifecycleHookName="ready")

    address = fleet.instance(next(iter(serving)))["PublicIpAddress"]
    url = "http://169.254.169.254/latest"
    token = f"$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {url}/api/token)"
    path = f"{url}/meta-data/autoscaling/target-lifecycle-state"
    assert fleet.run(address, f'curl -sf -H "X-aws-ec2-metadata-token: {token}" {path}') == "InService"

    lost = next(each for each, zone in serving.items() if zone == "us-east-1c")
    Podman(of_checkout(fleet.state.path.parent)).signal(lost, "SIGKILL")
    until(lambda: set(describe_ids(fleet)), lambda seen: lost not in seen)
    healed = await_zones(fleet, *ZONES)
    assert set(serving) - set(healed) == {lost}

    groups.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    until(lambda: len(describe(fleet)["Instances"]), lambda count: count == 2)
    left = instances(fleet)
    until(lambda: machines(fleet) & set(healed), lambda seen: seen == set(left))


def test_a_group_goes_on_when_the_daemon_was_killed(fleet: RealRegion) -> None:
    groups = fleet.client("autoscaling")
    let_in(fleet, await_zones(fleet, *ZONES, state="Pending:Wait"))
    await_zones(fleet, *ZONES)
    groups.delete_lifecycle_hook(AutoScalingGroupName=GROUP, LifecycleHookName="ready")
    saved_at = time.time()
    groups.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=3)
    # What has not been saved yet is lost with the daemon, be it the group itself.
    saved = fleet.state.saved("real")
    until(lambda: saved.exists() and saved.stat().st_mtime, lambda seen: seen > saved_at)
    port = int(fleet.endpoint.rpartition(":")[2])
    kill_daemon(fleet)
    control.up(port=port, mode="real", state_dir=fleet.state)
    before = describe(fleet)["DesiredCapacity"]
    until(lambda: len(instances(fleet)), lambda count: count == before, patience_s=120)
    groups.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=4)
    serving = await_zones(fleet, *ZONES)
    until(lambda: running(fleet), lambda seen: seen == set(serving))
    assert set(serving) <= machines(fleet)


def describe_ids(region: RealRegion) -> list[str]:
    """Return the ids of all instances of the group."""
    return [each["InstanceId"] for each in describe(region)["Instances"]]
