# SPDX-License-Identifier: Apache-2.0
"""CloudFormation's launch templates, Auto Scaling groups, scaling policies and lifecycle hooks."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from sandbox.cloudformation.handler import Call, HandlerError, Physical
from sandbox.cloudformation.registry import handlers

from .round_trip import REMOVED, Trip, handler_calls, made, travel

World = Mapping[str, str]
GROUP = "AWS::AutoScaling::AutoScalingGroup"
TEMPLATE = "AWS::EC2::LaunchTemplate"
HOOK = {
    "LifecycleHookName": "terminate",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    "HeartbeatTimeout": 90,
    "DefaultResult": "CONTINUE",
}


def _tag(key: str, value: str) -> dict[str, Any]:
    return {"Key": key, "Value": value, "PropagateAtLaunch": True}


@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    yield from handler_calls()


@pytest.fixture(name="world", scope="module")
def fixture_world(call: Call) -> Iterator[World]:
    """Return a network with a launch template, target groups and a group without instances."""
    image = call.client("ec2").describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
    with ExitStack() as stack:

        def make(type_name: str, **properties: Any) -> Physical:
            return stack.enter_context(made(call, type_name, properties))

        vpc = make("AWS::EC2::VPC", CidrBlock="10.70.0.0/16").physical_id
        subnets = {
            f"subnet_{zone}": make(
                "AWS::EC2::Subnet",
                VpcId=vpc,
                CidrBlock=f"10.70.{number}.0/24",
                AvailabilityZone=f"us-east-1{zone}",
            ).physical_id
            for number, zone in enumerate("ab")
        }
        security_group = make("AWS::EC2::SecurityGroup", GroupDescription="api", VpcId=vpc).physical_id
        role = make(
            "AWS::IAM::Role",
            AssumeRolePolicyDocument={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "ec2.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            },
        ).physical_id
        profile = make("AWS::IAM::InstanceProfile", Roles=[role]).attributes["Arn"]
        template = make(TEMPLATE, LaunchTemplateData={"ImageId": image, "InstanceType": "t3.small"})
        targets = {
            name: make(
                "AWS::ElasticLoadBalancingV2::TargetGroup", VpcId=vpc, Protocol="HTTP", Port=80
            ).physical_id
            for name in ("targets", "other_targets")
        }
        group = make(
            GROUP,
            MinSize="0",
            MaxSize="4",
            VPCZoneIdentifier=[subnets["subnet_a"]],
            LaunchTemplate={"LaunchTemplateId": template.physical_id, "Version": "1"},
        ).physical_id
        yield {
            "image": image,
            "security_group": security_group,
            "profile": profile,
            "template": template.physical_id,
            "group": group,
            **subnets,
            **targets,
        }


def _template_data(world: World, **others: Any) -> dict[str, Any]:
    return {
        "ImageId": world["image"],
        "InstanceType": "t3.small",
        "UserData": base64.b64encode(b"#!/bin/sh\n").decode(),
        "IamInstanceProfile": {"Arn": world["profile"]},
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
            "InstanceMetadataTags": "disabled",
        },
        "Monitoring": {"Enabled": True},
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "AssociatePublicIpAddress": False,
                "DeleteOnTermination": True,
                "Groups": [world["security_group"]],
            }
        ],
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {
                    "VolumeSize": 16,
                    "VolumeType": "gp3",
                    "Encrypted": True,
                    "DeleteOnTermination": True,
                },
            }
        ],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "Class", "Value": "api"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "Class", "Value": "api"}]},
        ],
    } | others


def _tagged(value: str) -> list[dict[str, Any]]:
    return [{"ResourceType": "launch-template", "Tags": [{"Key": "Name", "Value": value}]}]


def _cpu(target: float) -> dict[str, Any]:
    return {
        "TargetValue": target,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
    }


def _depth() -> dict[str, Any]:
    metric = {
        "Namespace": "AWS/SQS",
        "MetricName": "ApproximateNumberOfMessagesVisible",
        "Dimensions": [{"Name": "QueueName", "Value": "jobs"}],
    }
    return {
        "TargetValue": 10,
        "CustomizedMetricSpecification": {
            "Metrics": [
                {
                    "Id": "jobs",
                    "MetricStat": {"Metric": metric, "Stat": "Sum"},
                    "ReturnData": False,
                },
                {"Id": "depth", "Label": "jobs", "Expression": "jobs / 2", "ReturnData": True},
            ]
        },
    }


TRIPS: dict[str, Callable[[World], Trip]] = {
    "launch template": lambda world: Trip(
        TEMPLATE,
        {
            "LaunchTemplateName": "api",
            "VersionDescription": "first",
            "LaunchTemplateData": _template_data(world),
            "TagSpecifications": _tagged("one"),
        },
        changes=(
            {"LaunchTemplateData": _template_data(world, InstanceType="t3.large")},
            {"VersionDescription": "third"},
            {"TagSpecifications": _tagged("two")},
        ),
    ),
    "group": lambda world: Trip(
        GROUP,
        {
            "AutoScalingGroupName": "api",
            "MinSize": "0",
            "MaxSize": "4",
            "Cooldown": "60",
            "DefaultInstanceWarmup": 30,
            "HealthCheckType": "ELB",
            "HealthCheckGracePeriod": 120,
            "LaunchTemplate": {"LaunchTemplateId": world["template"], "Version": "1"},
            "LifecycleHookSpecificationList": [HOOK],
            "MetricsCollection": [{"Granularity": "1Minute"}],
            "NewInstancesProtectedFromScaleIn": False,
            "TargetGroupARNs": [world["targets"]],
            "TerminationPolicies": ["OldestLaunchTemplate", "OldestInstance"],
            "VPCZoneIdentifier": [world["subnet_a"], world["subnet_b"]],
            "Tags": [_tag("Name", "one"), _tag("Class", "api")],
        },
        changes=(
            {"MaxSize": "6"},
            {"VPCZoneIdentifier": [world["subnet_b"]]},
            {"TargetGroupARNs": [world["other_targets"]]},
            {"TargetGroupARNs": REMOVED, "HealthCheckType": "EC2", "HealthCheckGracePeriod": 10},
            {"LifecycleHookSpecificationList": [HOOK | {"HeartbeatTimeout": 60}]},
            {"LifecycleHookSpecificationList": [HOOK | {"LifecycleHookName": "other"}]},
            {"MetricsCollection": [{"Granularity": "1Minute", "Metrics": ["GroupMinSize"]}]},
            {"Tags": [_tag("Name", "two")], "TerminationPolicies": ["NewestInstance"]},
            {
                "LifecycleHookSpecificationList": REMOVED,
                "MetricsCollection": REMOVED,
                "TerminationPolicies": REMOVED,
                "Cooldown": REMOVED,
                "DefaultInstanceWarmup": REMOVED,
            },
        ),
    ),
    "policy for processors": lambda world: Trip(
        "AWS::AutoScaling::ScalingPolicy",
        {
            "AutoScalingGroupName": world["group"],
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingConfiguration": _cpu(50),
        },
        changes=(
            {"TargetTrackingConfiguration": _cpu(60)},
            {"TargetTrackingConfiguration": _depth()},
        ),
    ),
    "lifecycle hook": lambda world: Trip(
        "AWS::AutoScaling::LifecycleHook",
        {"AutoScalingGroupName": world["group"], **HOOK, "NotificationMetadata": "m"},
        changes=({"HeartbeatTimeout": 60}, {"DefaultResult": "ABANDON"}),
    ),
}


@pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS.keys())
def test_every_property_comes_back(call: Call, world: World, trip: Callable[[World], Trip]) -> None:
    travel(call, trip(world))


def test_a_changed_launch_template_is_a_new_version(call: Call, world: World) -> None:
    data = _template_data(world)
    # A call that names a subnet takes no template that has interfaces.
    del data["NetworkInterfaces"]
    given = {"LaunchTemplateData": data}
    after = {"LaunchTemplateData": data | {"InstanceType": "t3.large"}}
    with made(call, TEMPLATE, given) as physical:
        assert physical.attributes["LatestVersionNumber"] == "1"
        updated = handlers()[TEMPLATE].update(call, physical.physical_id, before=given, after=after)
        assert updated.attributes["LatestVersionNumber"] == "2"
        assert updated.attributes["DefaultVersionNumber"] == "1"
        launched = call.client("ec2").run_instances(
            MinCount=1,
            MaxCount=1,
            SubnetId=world["subnet_a"],
            LaunchTemplate={"LaunchTemplateId": physical.physical_id, "Version": "2"},
        )["Instances"][0]
        attribute = call.client("ec2").describe_instance_attribute(
            InstanceId=launched["InstanceId"], Attribute="userData"
        )
        call.client("ec2").terminate_instances(InstanceIds=[launched["InstanceId"]])
        call.sleep(60)
        assert attribute["UserData"]["Value"] == data["UserData"]
        assert launched["InstanceType"] == "t3.large"


def _sizes(call: Call, name: str) -> tuple[int, int, int]:
    answer = call.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    group = answer["AutoScalingGroups"][0]
    return group["MinSize"], group["DesiredCapacity"], group["MaxSize"]


def _instances(call: Call, name: str) -> list[str]:
    answer = call.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    return sorted(each["InstanceId"] for each in answer["AutoScalingGroups"][0]["Instances"])


def test_a_group_keeps_its_instances_size_and_version_when_it_is_updated(call: Call, world: World) -> None:
    template = {"LaunchTemplateId": world["template"], "Version": "1"}
    given = {
        "MinSize": "1",
        "MaxSize": "4",
        "LaunchTemplate": template,
        "VPCZoneIdentifier": [world["subnet_a"]],
    }
    handler, autoscaling = handlers()[GROUP], call.client("autoscaling")
    with made(call, GROUP, given) as physical:
        name = physical.physical_id
        before = _instances(call, name)
        assert len(before) == 1
        autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=3)
        call.client("ec2").create_launch_template_version(
            LaunchTemplateId=world["template"],
            SourceVersion="1",
            LaunchTemplateData={"InstanceType": "t3.medium"},
        )
        autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=name, LaunchTemplate=template | {"Version": "2"}
        )
        handler.update(call, name, before=given, after=given | {"MaxSize": "5"})
        assert _sizes(call, name) == (1, 3, 5)
        assert set(before) <= set(_instances(call, name))
        assert (handler.read(call, name) or {})["LaunchTemplate"]["Version"] == "2"
        handler.update(call, name, before=given | {"MaxSize": "5"}, after=given | {"MaxSize": "2"})
        assert _sizes(call, name) == (1, 2, 2)


def test_a_group_that_can_not_launch_fails_with_the_reason(call: Call, world: World) -> None:
    broken = {"ImageId": "ami-00000000000000000", "InstanceType": "t3.small"}
    with made(call, TEMPLATE, {"LaunchTemplateData": broken}) as template:
        given = {
            "AutoScalingGroupName": "broken",
            "MinSize": "1",
            "MaxSize": "1",
            "LaunchTemplate": {"LaunchTemplateId": template.physical_id, "Version": "1"},
            "VPCZoneIdentifier": [world["subnet_a"]],
        }
        with pytest.raises(HandlerError, match="did not stabilize.*does not exist"):
            handlers()[GROUP].create(call, given)
        assert handlers()[GROUP].read(call, "broken") is None


def test_a_group_does_not_wait_for_what_its_hook_waits_for(call: Call, world: World) -> None:
    given = {
        "MinSize": "2",
        "MaxSize": "2",
        "LaunchTemplate": {"LaunchTemplateId": world["template"], "Version": "1"},
        "LifecycleHookSpecificationList": [
            HOOK | {"LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}
        ],
        "VPCZoneIdentifier": [world["subnet_a"], world["subnet_b"]],
    }
    with made(call, GROUP, given) as physical:
        answer = call.client("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=[physical.physical_id]
        )
        instances = answer["AutoScalingGroups"][0]["Instances"]
        assert [each["LifecycleState"] for each in instances] == ["Pending:Wait"] * 2


def test_a_group_that_is_not_wanted_any_more_is_not_waited_for(call: Call, world: World) -> None:
    given = {
        "MinSize": "1",
        "MaxSize": "1",
        "LaunchTemplate": {"LaunchTemplateId": world["template"], "Version": "1"},
        "VPCZoneIdentifier": [world["subnet_a"]],
    }
    with made(replace(call, is_alive=lambda: False), GROUP, given) as physical:
        assert _instances(call, physical.physical_id) == []
