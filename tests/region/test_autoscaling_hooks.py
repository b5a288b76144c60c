# SPDX-License-Identifier: Apache-2.0
"""Instances wait for lifecycle hooks, and serve and leave target groups."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .autoscaling_world import GROUP, World, make_world

LAUNCHING, TERMINATING = "autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"


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


def hook(name: str, transition: str, **options: Any) -> dict[str, Any]:
    """Return the specification of a hook."""
    return {"LifecycleHookName": name, "LifecycleTransition": transition, "HeartbeatTimeout": 60} | options


def complete(world: World, name: str, result: str, instance_id: str) -> None:
    """Complete an instance's action."""
    world.groups.complete_lifecycle_action(
        AutoScalingGroupName=GROUP,
        LifecycleHookName=name,
        LifecycleActionResult=result,
        InstanceId=instance_id,
    )


def launches(world: World) -> list[dict[str, Any]]:
    """Return the activities that launched instances, the latest first."""
    return [each for each in world.activities() if each["Description"].startswith("Launching")]


def test_an_instance_waits_for_every_hook(world: World) -> None:
    world.make(1, LifecycleHookSpecificationList=[hook("one", LAUNCHING), hook("two", LAUNCHING)])
    (instance_id,) = world.instances("Pending:Wait")
    assert [each["StatusCode"] for each in launches(world)] == ["MidLifecycleAction"]
    complete(world, "one", "CONTINUE", instance_id)
    world.pass_time()
    assert world.states() == ["Pending:Wait"]
    complete(world, "two", "CONTINUE", instance_id)
    world.pass_time()
    assert world.states() == ["InService"]
    assert [each["StatusCode"] for each in launches(world)] == ["Successful"]
    with pytest.raises(ClientError) as caught:
        complete(world, "two", "CONTINUE", instance_id)
    assert caught.value.response["Error"] == {
        "Type": "Sender",
        "Code": "ValidationError",
        "Message": f"No active Lifecycle Action found with instance ID {instance_id}",
    }


def test_an_abandoned_launch_is_replaced(world: World) -> None:
    world.make(1, LifecycleHookSpecificationList=[hook("ready", LAUNCHING)])
    (first,) = world.instances()
    complete(world, "ready", "ABANDON", first)
    world.pass_time()
    (second,) = world.instances("Pending:Wait")
    assert second != first
    message = launches(world)[1]["StatusMessage"]
    assert launches(world)[1]["StatusCode"] == "Cancelled"
    assert message.startswith(
        "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token "
    )
    assert message.endswith(" was abandoned: Lifecycle Action Completed with ABANDON Result")


@pytest.mark.parametrize(("default", "stays"), [("CONTINUE", True), ("ABANDON", False)])
def test_a_hook_that_nobody_answers_ends_with_its_default(world: World, default: str, stays: bool) -> None:
    world.make(1, LifecycleHookSpecificationList=[hook("ready", LAUNCHING, DefaultResult=default)])
    first = world.instances()
    world.pass_time(59)
    assert world.states() == ["Pending:Wait"]
    world.groups.record_lifecycle_action_heartbeat(
        AutoScalingGroupName=GROUP, LifecycleHookName="ready", InstanceId=first[0]
    )
    world.pass_time(59)
    assert world.instances("Pending:Wait") == first
    world.pass_time(1)
    assert (world.instances("InService") == first) is stays


def test_an_instance_leaves_when_its_hooks_let_it(world: World) -> None:
    world.make(2, zones="ab", LifecycleHookSpecificationList=[hook("leave", TERMINATING)])
    world.resize(1)
    (leaving,) = world.instances("Terminating:Wait")
    assert leaving in world.running()
    complete(world, "leave", "CONTINUE", leaving)
    world.pass_time()
    assert world.states() == ["InService"]
    assert leaving not in world.running()


def test_a_hook_tells_its_target(world: World) -> None:
    sqs = world.local.client("sqs")
    url = sqs.create_queue(QueueName="hooks")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    told = hook("ready", LAUNCHING, NotificationTargetARN=arn, RoleARN="arn:aws:iam::123456789012:role/hooks")
    world.make(1, LifecycleHookSpecificationList=[told | {"NotificationMetadata": "blue"}])
    (instance_id,) = world.instances("Pending:Wait")
    body = json.loads(sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"])
    assert (body["LifecycleTransition"], body["EC2InstanceId"]) == (LAUNCHING, instance_id)
    assert (body["AutoScalingGroupName"], body["NotificationMetadata"]) == (GROUP, "blue")
    world.groups.complete_lifecycle_action(
        AutoScalingGroupName=GROUP,
        LifecycleHookName="ready",
        LifecycleActionResult="CONTINUE",
        LifecycleActionToken=body["LifecycleActionToken"],
    )
    world.pass_time()
    assert world.states() == ["InService"]


def test_hooks_are_described_changed_and_deleted(world: World) -> None:
    world.make(1, LifecycleHookSpecificationList=[hook("ready", LAUNCHING)])
    world.groups.put_lifecycle_hook(
        AutoScalingGroupName=GROUP, LifecycleHookName="ready", HeartbeatTimeout=90
    )
    shown = world.groups.describe_lifecycle_hooks(AutoScalingGroupName=GROUP)["LifecycleHooks"]
    assert shown == [
        {
            "LifecycleHookName": "ready",
            "AutoScalingGroupName": GROUP,
            "LifecycleTransition": LAUNCHING,
            "HeartbeatTimeout": 90,
            "GlobalTimeout": 9000,
            "DefaultResult": "ABANDON",
        }
    ]
    world.groups.put_lifecycle_hook(
        AutoScalingGroupName=GROUP, LifecycleHookName="ready", DefaultResult="CONTINUE"
    )
    world.groups.delete_lifecycle_hook(AutoScalingGroupName=GROUP, LifecycleHookName="ready")
    assert world.groups.describe_lifecycle_hooks(AutoScalingGroupName=GROUP)["LifecycleHooks"] == []


def target_group(world: World, delay_s: int) -> str:
    """Make a target group behind a load balancer."""
    elbv2 = world.local.client("elbv2")
    vpc_id = world.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    arn = str(
        elbv2.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc_id)["TargetGroups"][0][
            "TargetGroupArn"
        ]
    )
    elbv2.modify_target_group_attributes(
        TargetGroupArn=arn,
        Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": str(delay_s)}],
    )
    balancer = elbv2.create_load_balancer(Name="web", Subnets=[world.subnets["a"], world.subnets["b"]])
    elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}],
    )
    return arn


def targets(world: World, arn: str) -> dict[str, str]:
    """Return the state of each target."""
    answer = world.local.client("elbv2").describe_target_health(TargetGroupArn=arn)
    return {
        each["Target"]["Id"]: each["TargetHealth"]["State"] for each in answer["TargetHealthDescriptions"]
    }


def test_instances_serve_their_target_groups_and_drain_before_they_go(world: World) -> None:
    arn = target_group(world, delay_s=30)
    world.make(2, zones="ab", TargetGroupARNs=[arn])
    assert sorted(targets(world, arn)) == sorted(world.instances())
    world.resize(1)
    (leaving,) = world.instances("Terminating")
    assert world.activities()[0]["StatusCode"] == "WaitingForELBConnectionDraining"
    assert targets(world, arn)[leaving] == "draining"
    world.pass_time(29)
    assert leaving in world.running()
    world.pass_time(1)
    assert leaving not in world.running()
    assert world.states() == ["InService"]
    (last,) = world.instances()
    world.groups.enter_standby(
        AutoScalingGroupName=GROUP, InstanceIds=[last], ShouldDecrementDesiredCapacity=True
    )
    world.pass_time()
    assert world.states() == ["EnteringStandby"]
    world.pass_time(30)
    assert world.states() == ["Standby"]
    assert targets(world, arn) == {}
    world.groups.exit_standby(AutoScalingGroupName=GROUP, InstanceIds=[last])
    world.pass_time()
    assert list(targets(world, arn)) == [last]
    world.groups.detach_load_balancer_target_groups(AutoScalingGroupName=GROUP, TargetGroupARNs=[arn])
    world.pass_time(30)
    assert targets(world, arn) == {}
    assert world.states() == ["InService"]
    world.groups.attach_load_balancer_target_groups(AutoScalingGroupName=GROUP, TargetGroupARNs=[arn])
    world.pass_time()
    assert list(targets(world, arn)) == [last]
