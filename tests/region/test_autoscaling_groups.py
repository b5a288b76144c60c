# SPDX-License-Identifier: Apache-2.0
"""Groups launch, replace and lose instances as AWS's do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .autoscaling_world import GROUP, World, make_world


@pytest.fixture(name="shared", scope="module")
def fixture_shared() -> Iterator[World]:
    """Return a region with what groups need."""
    for world in make_world():
        world.prepare()
        yield world


@pytest.fixture(name="world")
def fixture_world(shared: World) -> Iterator[World]:
    """Return the region, without any group."""
    yield shared
    shared.clear()


def error_of(call: Any, **arguments: Any) -> tuple[str, str]:
    """Return the code and the message of the error that a call answers."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def launches(world: World) -> list[dict[str, Any]]:
    """Return the activities that launched instances, the latest first."""
    return [each for each in world.activities() if each["Description"].startswith("Launching")]


def test_a_group_spreads_its_instances_over_the_zones(world: World) -> None:
    world.make(6)
    assert world.states() == ["InService"] * 6
    assert world.zones() == "aabbcd"


def test_an_instance_is_pending_until_ec2_says_it_runs(world: World) -> None:
    world.make(1, seconds=-1)
    assert world.instances() == []
    world.pass_time(1)
    assert world.states() == ["InService"]


def test_a_new_group_says_why_it_launched(world: World) -> None:
    world.make(2, zones="a")
    instance_id = world.instances()[1]
    subnet = world.subnets["a"]
    activity = world.activities()[0]
    for name in ("ActivityId", "AutoScalingGroupARN"):
        del activity[name]
    assert activity == {
        "AutoScalingGroupName": GROUP,
        "Cause": (
            f"{world.at} a user request created an AutoScalingGroup changing the desired capacity "
            f"from 0 to 2.  {world.at} an instance was started in response to a difference between "
            "desired and actual capacity, increasing the capacity from 0 to 2."
        ),
        "Description": f"Launching a new EC2 instance: {instance_id}",
        "Details": f'{{"Subnet ID":"{subnet}","Availability Zone":"us-east-1a"}}',
        "EndTime": world.clock.now(),
        "Progress": 100,
        "StartTime": world.clock.now(),
        "StatusCode": "Successful",
    }


def test_scale_in_keeps_zones_even_and_says_why(world: World) -> None:
    world.make(5)
    first = world.instances()[0]
    world.resize(4)
    assert world.zones() == "abcd"
    activity = world.activities()[0]
    assert activity["StatusCode"] == "Successful"
    assert activity["Description"].startswith("Terminating EC2 instance: i-")
    gone = activity["Description"].rpartition(" ")[2]
    assert activity["Cause"] == (
        f"{world.at} a user request explicitly set group desired capacity changing the desired "
        f"capacity from 5 to 4.  {world.at} an instance was taken out of service in response to a "
        "difference between desired and actual capacity, shrinking the capacity from 5 to 4.  "
        f"{world.at} instance {gone} was selected for termination."
    )
    assert gone == first


def test_an_instance_that_is_terminated_elsewhere_is_replaced(world: World) -> None:
    world.make(2, zones="ab")
    lost = world.instances()[0]
    world.ec2.terminate_instances(InstanceIds=[lost])
    world.pass_time()
    assert lost not in world.instances()
    assert world.zones() == "ab"
    launch, termination = (
        next(each for each in world.activities() if each["Description"].startswith(verb))
        for verb in ("Launching", "Terminating")
    )
    assert termination["Cause"] == (
        f"{world.at} an instance was taken out of service in response to an EC2 health check "
        "indicating it has been terminated or stopped."
    )
    assert launch["Cause"] == (
        f"{world.at} an instance was launched in response to an unhealthy instance needing to be replaced."
    )


@pytest.mark.parametrize("grace_s", [0, 300])
def test_an_impaired_instance_is_replaced_when_its_grace_is_over(world: World, grace_s: int) -> None:
    world.make(1, HealthCheckGracePeriod=grace_s)
    ill = world.instances()[0]
    world.local.region.look()
    world.substrate.frozen.add(ill)
    for _ in range(5):
        world.local.region.look()
    world.pass_time(max(grace_s - 1, 0))
    assert (ill in world.instances()) is bool(grace_s)
    world.pass_time(1)
    assert ill not in world.instances()
    assert world.states() == ["InService"]


def test_a_user_may_say_that_an_instance_is_ill(world: World) -> None:
    world.make(1, HealthCheckGracePeriod=60)
    ill = world.instances()[0]
    world.groups.set_instance_health(InstanceId=ill, HealthStatus="Unhealthy")
    world.pass_time()
    assert world.instances() == [ill]
    world.groups.set_instance_health(InstanceId=ill, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    world.pass_time()
    assert ill not in world.instances()
    causes = [each["Cause"] for each in world.activities()]
    assert any(cause.endswith("in response to a user health-check.") for cause in causes)


def attribute(world: World, instance_id: str, name: str) -> Any:
    """Return an attribute of an instance."""
    answer = world.ec2.describe_instance_attribute(InstanceId=instance_id, Attribute=name)
    return answer[name[0].upper() + name[1:]]["Value"]


def test_a_template_says_everything_about_an_instance(world: World) -> None:
    iam = world.local.client("iam")
    iam.create_role(RoleName="web", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="web")
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    vpc_id = world.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group_id = world.ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc_id)["GroupId"]
    data = {
        "ImageId": world.local.ami_id,
        "InstanceType": "t3.large",
        "IamInstanceProfile": {"Name": "web"},
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": False, "Groups": [group_id]}],
        "UserData": "aGVsbG8=",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3"}}],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "made-by", "Value": "template"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "disk-of", "Value": "web"}]},
            {"ResourceType": "network-interface", "Tags": [{"Key": "card-of", "Value": "web"}]},
        ],
        "Monitoring": {"Enabled": True},
        "EbsOptimized": True,
        "DisableApiTermination": True,
        "InstanceInitiatedShutdownBehavior": "terminate",
    }
    world.ec2.create_launch_template_version(LaunchTemplateId=world.template_id, LaunchTemplateData=data)
    world.make(
        2,
        zones="c",
        LaunchTemplate={"LaunchTemplateId": world.template_id, "Version": "$Latest"},
        Tags=[
            {"Key": "fleet", "Value": "web", "PropagateAtLaunch": True},
            {"Key": "secret", "Value": "no", "PropagateAtLaunch": False},
        ],
    )
    for instance_id in world.instances():
        instance = world.local.instance(instance_id)
        tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
        assert tags == {
            "aws:autoscaling:groupName": GROUP,
            "aws:ec2launchtemplate:id": world.template_id,
            "aws:ec2launchtemplate:version": "2",
            "fleet": "web",
            "made-by": "template",
        }
        assert instance["InstanceType"] == "t3.large"
        assert instance["IamInstanceProfile"]["Arn"].endswith(":instance-profile/web")
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        assert instance["SubnetId"] == world.subnets["c"]
        assert "PublicIpAddress" not in instance
        assert [each["GroupId"] for each in instance["NetworkInterfaces"][0]["Groups"]] == [group_id]
        assert (instance["Monitoring"]["State"], instance["EbsOptimized"]) == ("enabled", True)
        assert attribute(world, instance_id, "disableApiTermination") is True
        assert attribute(world, instance_id, "instanceInitiatedShutdownBehavior") == "terminate"
        nic_id = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
        nic = world.ec2.describe_network_interfaces(NetworkInterfaceIds=[nic_id])["NetworkInterfaces"][0]
        assert nic["TagSet"] == [{"Key": "card-of", "Value": "web"}]
        volume_id = instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
        volume = world.ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]
        assert (volume["Size"], volume["VolumeType"]) == (20, "gp3")
        assert {"Key": "disk-of", "Value": "web"} in volume["Tags"]
        assert attribute(world, instance_id, "userData") == "aGVsbG8="
    assert world.group()["Instances"][0]["LaunchTemplate"]["Version"] == "2"
    # Protection from termination is not meant for the group.
    world.resize(0)
    assert world.running() == []


def test_what_a_template_asks_in_vain_fails_by_name(world: World) -> None:
    data = world.template_data | {"CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 1}}
    world.ec2.create_launch_template_version(LaunchTemplateId=world.template_id, LaunchTemplateData=data)
    world.make(1, LaunchTemplate={"LaunchTemplateId": world.template_id, "Version": "2"})
    assert world.activities()[0]["StatusMessage"] == (
        "ec2.RunInstances from a launch template with CpuOptions is not supported by the local AWS region. "
        "Launching EC2 instance failed."
    )


def test_a_launch_that_ec2_refuses_is_recorded_and_tried_again_later(world: World) -> None:
    bad = {"ImageId": "ami-00000000000000000", "InstanceType": "t3.small"}
    world.ec2.create_launch_template_version(LaunchTemplateId=world.template_id, LaunchTemplateData=bad)
    latest = {"LaunchTemplateId": world.template_id, "Version": "$Latest"}
    world.make(1, LaunchTemplate=latest)
    failed = world.activities()
    assert [each["StatusCode"] for each in failed] == ["Failed"]
    message = "The image id '[ami-00000000000000000]' does not exist. Launching EC2 instance failed."
    assert failed[0]["StatusMessage"] == message
    assert failed[0]["Description"] == f"Launching a new EC2 instance.  Status Reason: {message}"
    world.pass_time(14)
    assert len(world.activities()) == 1
    world.pass_time(1)
    assert len(world.activities()) == 2
    world.pass_time(29)
    assert len(world.activities()) == 2
    good = bad | {"ImageId": world.local.ami_id}
    world.ec2.create_launch_template_version(LaunchTemplateId=world.template_id, LaunchTemplateData=good)
    world.pass_time(1)
    assert world.states() == ["InService"]


def test_a_machine_that_does_not_start_is_recorded_and_tried_again_later(world: World) -> None:
    world.substrate.failing_starts[world.local.ami_id] = "no space left"
    world.make(1)
    (launch,) = launches(world)
    assert launch["StatusCode"] == "Cancelled"
    assert launch["StatusMessage"].startswith(
        "Instance became unhealthy while waiting for instance to be in InService state. "
        "Termination Reason: Server.InternalError: "
    )
    assert world.states() == []
    world.pass_time(15)
    assert len(launches(world)) == 2
    world.pass_time(29)
    assert len(launches(world)) == 2
    world.substrate.failing_starts.clear()
    world.pass_time(1)
    assert world.states() == ["InService"]


def test_an_instance_that_is_given_up_while_it_starts_ends_its_launch(world: World) -> None:
    hook = {"LifecycleHookName": "ready", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}
    world.make(1, LifecycleHookSpecificationList=[hook])
    assert world.states() == ["Pending:Wait"]
    world.resize(0)
    assert world.states() == []
    assert [each["StatusCode"] for each in launches(world)] == ["Cancelled"]


def test_protected_instances_are_kept(world: World) -> None:
    world.make(3, zones="a", NewInstancesProtectedFromScaleIn=True)
    kept = world.instances()
    world.resize(1)
    assert world.instances() == kept
    failed = [each for each in world.activities() if each["StatusCode"] == "Failed"]
    assert [each["StatusMessage"] for each in failed] == [
        "Could not scale to desired capacity because all remaining instances are protected from scale-in."
    ]
    world.groups.set_instance_protection(
        AutoScalingGroupName=GROUP, InstanceIds=kept[:2], ProtectedFromScaleIn=False
    )
    world.pass_time()
    assert world.instances() == kept[2:]


def test_standby_takes_an_instance_out_and_back(world: World) -> None:
    world.make(2, zones="ab")
    first = world.instances()[0]
    answer = world.groups.enter_standby(
        AutoScalingGroupName=GROUP, InstanceIds=[first], ShouldDecrementDesiredCapacity=True
    )["Activities"][0]
    assert answer["Description"] == f"Moving EC2 instance to Standby: {first}"
    assert (answer["StatusCode"], answer["Progress"]) == ("InProgress", 50)
    assert answer["Cause"] == (
        f"{world.at} instance {first} was moved to standby in response to a user request, "
        "shrinking the capacity from 2 to 1."
    )
    world.pass_time()
    assert sorted(world.states()) == ["InService", "Standby"]
    assert world.group()["DesiredCapacity"] == 1
    world.groups.exit_standby(AutoScalingGroupName=GROUP, InstanceIds=[first])
    assert sorted(world.states()) == ["InService", "Pending"]
    world.pass_time()
    assert world.states() == ["InService"] * 2
    assert world.group()["DesiredCapacity"] == 2


def test_detached_instances_go_on_and_can_be_attached_again(world: World) -> None:
    world.make(2, zones="ab")
    first = world.instances()[0]
    world.groups.detach_instances(
        AutoScalingGroupName=GROUP, InstanceIds=[first], ShouldDecrementDesiredCapacity=False
    )
    world.pass_time()
    assert first not in world.instances()
    assert len(world.instances()) == 2
    assert first in world.running()
    world.groups.attach_instances(AutoScalingGroupName=GROUP, InstanceIds=[first])
    world.pass_time()
    assert first in world.instances()
    assert world.group()["DesiredCapacity"] == 3


def test_terminating_an_instance_may_shrink_the_group(world: World) -> None:
    world.make(2, zones="ab")
    first, second = world.instances()
    activity = world.groups.terminate_instance_in_auto_scaling_group(
        InstanceId=first, ShouldDecrementDesiredCapacity=True
    )["Activity"]
    assert activity["Cause"] == (
        f"{world.at} instance {first} was taken out of service in response to a user request, "
        "shrinking the capacity from 2 to 1."
    )
    world.pass_time()
    assert world.instances() == [second]
    world.groups.terminate_instance_in_auto_scaling_group(
        InstanceId=second, ShouldDecrementDesiredCapacity=False
    )
    world.pass_time()
    assert len(world.instances()) == 1


def test_zones_are_balanced_by_launching_first(world: World) -> None:
    world.make(4, zones="a")
    subnets = ",".join(world.subnets[zone] for zone in "ab")
    world.groups.update_auto_scaling_group(AutoScalingGroupName=GROUP, VPCZoneIdentifier=subnets)
    world.pass_time()
    assert world.zones() == "aabb"
    causes = [each["Cause"] for each in world.activities()]
    assert any(
        "availability zones us-east-1b us-east-1a had 0 4 instances respectively. An instance was launched "
        "to aid in balancing the group's zones." in cause
        for cause in causes
    )
    assert any(
        "instances were launched to balance instances in zones us-east-1b with other zones resulting in more "
        "than desired number of instances in the group." in cause
        for cause in causes
    )


def test_instances_leave_a_zone_that_the_group_leaves(world: World) -> None:
    world.make(3, zones="ab")
    world.groups.update_auto_scaling_group(AutoScalingGroupName=GROUP, VPCZoneIdentifier=world.subnets["c"])
    world.pass_time()
    assert world.zones() == "ccc"


@pytest.mark.parametrize(
    ("process", "happens"),
    [("Launch", "aa"), ("ReplaceUnhealthy", "aab"), ("HealthCheck", "aab"), ("Terminate", "aab")],
)
def test_a_suspended_process_waits_until_it_is_resumed(world: World, process: str, happens: str) -> None:
    world.make(3, zones="ab")
    world.groups.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=[process])
    assert world.group()["SuspendedProcesses"] == [
        {"ProcessName": process, "SuspensionReason": f"User suspended at {world.at[3:]}"}
    ]
    lost = [each["InstanceId"] for each in world.group()["Instances"] if each["AvailabilityZone"][-1] == "b"]
    world.ec2.terminate_instances(InstanceIds=lost)
    world.pass_time()
    assert world.zones() == happens
    world.groups.resume_processes(AutoScalingGroupName=GROUP, ScalingProcesses=[process])
    world.pass_time()
    assert world.zones() == "aab"
    assert lost[0] not in world.instances()


def test_a_group_with_instances_is_only_deleted_by_force(world: World) -> None:
    world.make(2, NewInstancesProtectedFromScaleIn=True)
    assert error_of(world.groups.delete_auto_scaling_group, AutoScalingGroupName=GROUP) == (
        "ResourceInUse",
        "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
        "still in the group.",
    )
    world.groups.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
    assert world.group()["Status"] == "Delete in progress"
    world.pass_time()
    assert world.groups.describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert world.running() == []
    past = world.groups.describe_scaling_activities(AutoScalingGroupName=GROUP, IncludeDeletedGroups=True)
    assert {each["AutoScalingGroupState"] for each in past["Activities"]} == {"Deleted"}


def test_bounds_move_the_desired_capacity(world: World) -> None:
    world.make(2)
    world.groups.update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=3)
    world.pass_time()
    assert len(world.instances()) == 3
    assert world.activities()[0]["Cause"].startswith(
        f"{world.at} a user request update of AutoScalingGroup constraints to min: 3, max: 10, desired: 3 "
        "changing the desired capacity from 2 to 3."
    )
    world.groups.update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=0, MaxSize=1)
    world.pass_time()
    assert len(world.instances()) == 1


def test_cooldown_is_honoured_when_asked(world: World) -> None:
    world.make(1, DefaultCooldown=120)
    set_capacity = world.groups.set_desired_capacity
    code, _ = error_of(set_capacity, AutoScalingGroupName=GROUP, DesiredCapacity=2, HonorCooldown=True)
    assert code == "ScalingActivityInProgress"
    world.pass_time(120)
    set_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2, HonorCooldown=True)
    world.pass_time()
    assert len(world.instances()) == 2


def test_activities_come_in_pages(world: World) -> None:
    world.make(7)
    pages = world.groups.get_paginator("describe_scaling_activities").paginate(
        AutoScalingGroupName=GROUP, PaginationConfig={"PageSize": 3}
    )
    sizes = [len(page["Activities"]) for page in pages]
    assert sizes == [3, 3, 1]
    code, _ = error_of(
        world.groups.describe_scaling_activities, AutoScalingGroupName=GROUP, NextToken="elsewhere"
    )
    assert code == "InvalidNextToken"
