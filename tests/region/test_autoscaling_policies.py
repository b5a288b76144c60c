# SPDX-License-Identifier: Apache-2.0
"""Scaling policies follow metrics, and schedules the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
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
    # Minutes begin where alarms' periods do.
    shared.pass_time(60 - shared.clock.now().timestamp() % 60)
    yield shared
    shared.clear()


OF_GROUP = [{"Name": "AutoScalingGroupName", "Value": GROUP}]


def measure(
    world: World, value: float, minutes: int, *, name: str = "CPUUtilization", namespace: str = "AWS/EC2"
) -> None:
    """Let minutes pass in each of which a metric has a value."""
    for _ in range(minutes):
        world.pass_time(30)
        world.local.client("cloudwatch").put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": OF_GROUP,
                    "Value": value,
                    "Timestamp": world.clock.now(),
                }
            ],
        )
        world.pass_time(30)


def put_policy(world: World, **options: Any) -> dict[str, Any]:
    """Put a policy on the group, and let its alarms be made."""
    answer = world.groups.put_scaling_policy(AutoScalingGroupName=GROUP, PolicyName="follow", **options)
    world.pass_time()
    return dict(answer)


def track(world: World, target: float = 50, **options: Any) -> dict[str, Any]:
    """Let the group track its CPU."""
    predefined = {"PredefinedMetricType": "ASGAverageCPUUtilization"}
    configuration = {"PredefinedMetricSpecification": predefined, "TargetValue": target} | options
    return put_policy(
        world,
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration=configuration,
        EstimatedInstanceWarmup=120,
    )


def alarms(world: World) -> list[dict[str, Any]]:
    """Return all alarms by name."""
    found = world.local.client("cloudwatch").describe_alarms()["MetricAlarms"]
    return sorted(found, key=lambda each: each["AlarmName"])


def test_target_tracking_makes_its_alarms(world: World) -> None:
    world.make(2)
    answer = track(world)
    high, low = alarms(world)
    assert [each["AlarmName"] for each in answer["Alarms"]] == [high["AlarmName"], low["AlarmName"]]
    assert [each["AlarmARN"] for each in answer["Alarms"]] == [high["AlarmArn"], low["AlarmArn"]]
    assert high["AlarmName"].startswith(f"TargetTracking-{GROUP}-AlarmHigh-")
    assert low["AlarmName"].startswith(f"TargetTracking-{GROUP}-AlarmLow-")
    shown = ("ComparisonOperator", "Threshold", "EvaluationPeriods", "Period", "StateValue", "AlarmActions")
    arn = [answer["PolicyARN"]]
    assert [[each[name] for name in shown] for each in (high, low)] == [
        ["GreaterThanThreshold", 50.0, 3, 60, "INSUFFICIENT_DATA", arn],
        ["LessThanThreshold", 45.0, 15, 60, "INSUFFICIENT_DATA", arn],
    ]
    (policy,) = world.groups.describe_policies(AutoScalingGroupName=GROUP)["ScalingPolicies"]
    assert policy["PolicyARN"] == arn[0]
    assert policy["TargetTrackingConfiguration"]["TargetValue"] == 50
    world.groups.delete_policy(AutoScalingGroupName=GROUP, PolicyName="follow")
    world.pass_time()
    assert alarms(world) == []


def test_a_group_grows_after_three_minutes_over_its_target_and_says_why(world: World) -> None:
    world.make(2)
    name = track(world)["Alarms"][0]["AlarmName"]
    measure(world, 80, 2)
    assert len(world.instances()) == 2
    measure(world, 80, 1)
    assert len(world.instances()) == 4
    assert world.activities()[0]["Cause"].startswith(
        f"{world.at} a monitor alarm {name} in state ALARM triggered policy follow changing the desired "
        "capacity from 2 to 4."
    )
    assert alarms(world)[0]["StateReason"] == (
        "Threshold Crossed: 3 datapoints [80.0, 80.0, 80.0] were greater than the threshold (50.0)."
    )


def test_a_group_shrinks_after_a_quarter_of_an_hour_below_its_target(world: World) -> None:
    world.make(4)
    track(world)
    measure(world, 20, 14)
    assert len(world.instances()) == 4
    measure(world, 20, 1)
    assert len(world.instances()) == 2


def test_a_group_does_not_shrink_when_its_policy_forbids_it(world: World) -> None:
    world.make(4)
    assert len(track(world, DisableScaleIn=True)["Alarms"]) == 1
    measure(world, 20, 16)
    assert len(world.instances()) == 4


def test_alarms_are_not_followed_while_that_is_suspended(world: World) -> None:
    world.make(2)
    track(world)
    world.groups.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["AlarmNotification"])
    measure(world, 80, 4)
    assert len(world.instances()) == 2


def test_metric_math_divides_work_by_machines(world: World) -> None:
    world.make(2)
    world.groups.enable_metrics_collection(AutoScalingGroupName=GROUP, Granularity="1Minute")

    def operand(name: str, namespace: str, metric: str, stat: str) -> dict[str, Any]:
        described = {"Namespace": namespace, "MetricName": metric, "Dimensions": OF_GROUP}
        return {"Id": name, "MetricStat": {"Metric": described, "Stat": stat}, "ReturnData": False}

    put_policy(
        world,
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "TargetValue": 10,
            "CustomizedMetricSpecification": {
                "Metrics": [
                    operand("jobs", "Queue", "Waiting", "Sum"),
                    operand("machines", "AWS/AutoScaling", "GroupInServiceInstances", "Average"),
                    {
                        "Id": "depth",
                        "Expression": "IF(machines > 0, jobs / machines, jobs)",
                        "ReturnData": True,
                    },
                ]
            },
        },
    )
    # The group's own metric begins with the next full minute.
    measure(world, 60, 5, name="Waiting", namespace="Queue")
    assert len(world.instances()) == 6


def test_requests_are_counted_at_the_target_group(world: World) -> None:
    world.make(1)
    predefined = {
        "PredefinedMetricType": "ALBRequestCountPerTarget",
        "ResourceLabel": "app/web/0123456789abcdef/targetgroup/api/fedcba9876543210",
    }
    put_policy(
        world,
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={"PredefinedMetricSpecification": predefined, "TargetValue": 100},
    )
    high = alarms(world)[0]
    assert (high["Namespace"], high["MetricName"], high["Statistic"]) == (
        "AWS/ApplicationELB",
        "RequestCountPerTarget",
        "Sum",
    )
    assert high["Dimensions"] == [
        {"Name": "LoadBalancer", "Value": "app/web/0123456789abcdef"},
        {"Name": "TargetGroup", "Value": "targetgroup/api/fedcba9876543210"},
    ]


def test_a_step_policy_is_followed_by_an_alarm_of_the_user(world: World) -> None:
    world.make(2)
    steps = [
        {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 20.0, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 20.0, "ScalingAdjustment": 3},
    ]
    arn = put_policy(
        world, PolicyType="StepScaling", AdjustmentType="ChangeInCapacity", StepAdjustments=steps
    )["PolicyARN"]
    world.local.client("cloudwatch").put_metric_alarm(
        AlarmName="busy",
        Namespace="AWS/EC2",
        MetricName="CPUUtilization",
        Dimensions=OF_GROUP,
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=60,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[arn],
    )
    measure(world, 70, 2)
    assert len(world.instances()) == 3
    measure(world, 85, 1)
    assert len(world.instances()) == 5
    world.local.client("cloudwatch").delete_alarms(AlarmNames=["busy"])


def test_a_simple_policy_keeps_its_cooldown(world: World) -> None:
    world.make(1)
    arn = put_policy(world, AdjustmentType="ChangeInCapacity", ScalingAdjustment=1, Cooldown=60)["PolicyARN"]
    execute = world.groups.execute_policy
    with pytest.raises(ClientError) as caught:
        execute(PolicyName=arn, HonorCooldown=True)
    assert caught.value.response["Error"]["Code"] == "ScalingActivityInProgress"
    world.pass_time(60)
    execute(PolicyName=arn, HonorCooldown=True)
    world.pass_time()
    assert len(world.instances()) == 2


def test_a_groups_metrics_are_published_each_minute(world: World) -> None:
    world.make(2)
    world.groups.enable_metrics_collection(
        AutoScalingGroupName=GROUP, Granularity="1Minute", Metrics=["GroupInServiceInstances"]
    )
    (enabled,) = world.group()["EnabledMetrics"]
    assert enabled == {"Metric": "GroupInServiceInstances", "Granularity": "1Minute"}
    began = world.clock.now()
    world.pass_time(120)
    found = world.local.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/AutoScaling",
        MetricName="GroupInServiceInstances",
        Dimensions=OF_GROUP,
        StartTime=began,
        EndTime=world.clock.now() + timedelta(seconds=60),
        Period=60,
        Statistics=["Average"],
    )["Datapoints"]
    assert [each["Average"] for each in found] == [2.0, 2.0]


def test_a_schedule_changes_the_group_when_its_time_comes(world: World) -> None:
    world.make(1)
    at = world.clock.now() + timedelta(minutes=5)
    world.groups.put_scheduled_update_group_action(
        AutoScalingGroupName=GROUP, ScheduledActionName="morning", StartTime=at, MinSize=2, DesiredCapacity=3
    )
    (shown,) = world.groups.describe_scheduled_actions(AutoScalingGroupName=GROUP)[
        "ScheduledUpdateGroupActions"
    ]
    assert (shown["ScheduledActionName"], shown["StartTime"]) == ("morning", at)
    world.pass_time(299)
    assert len(world.instances()) == 1
    world.pass_time(1)
    assert len(world.instances()) == 3
    assert world.activities()[0]["Cause"].startswith(
        f"{world.at} a scheduled action update of AutoScalingGroup constraints to min: 2, max: 10, desired: "
        "3 changing the desired capacity from 1 to 3."
    )
    answer = world.groups.describe_scheduled_actions(AutoScalingGroupName=GROUP)
    assert answer["ScheduledUpdateGroupActions"] == []


@pytest.mark.parametrize(
    "options",
    [
        {"PolicyType": "TargetTrackingScaling"},
        {"PolicyType": "StepScaling", "AdjustmentType": "ChangeInCapacity"},
        {"AdjustmentType": "ChangeInCapacity"},
        {"AdjustmentType": "Sideways", "ScalingAdjustment": 1},
    ],
)
def test_a_policy_that_says_too_little_is_refused(world: World, options: dict[str, Any]) -> None:
    world.make(0)
    with pytest.raises(ClientError) as caught:
        put_policy(world, **options)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
