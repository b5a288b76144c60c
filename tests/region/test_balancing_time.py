# SPDX-License-Identifier: Apache-2.0
"""What load balancers do as time passes, by a clock that the test moves; and that they outlive a region."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from sandbox.clock import RegionClock, VirtualClock
from sandbox.simulated import SimulatedSubstrate

from .conftest import LocalRegion, make_region

TARGET = {"Id": "172.31.0.77", "Port": 80}


def balanced(local: LocalRegion) -> tuple[str, str]:
    """Make a balancer before one address; return its ARN and the target group's."""
    ec2, elbv2 = local.client("ec2"), local.client("elbv2")
    found = ec2.describe_subnets()["Subnets"][:2]
    balancer = elbv2.create_load_balancer(Name="web", Subnets=[each["SubnetId"] for each in found])
    arn = balancer["LoadBalancers"][0]["LoadBalancerArn"]
    group = elbv2.create_target_group(
        Name="api", Protocol="HTTP", Port=80, VpcId=found[0]["VpcId"], TargetType="ip"
    )["TargetGroups"][0]["TargetGroupArn"]
    elbv2.create_listener(
        LoadBalancerArn=arn,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    elbv2.register_targets(TargetGroupArn=group, Targets=[TARGET])
    return arn, group


def states(local: LocalRegion, group: str) -> list[str]:
    """Return the states of the group's targets."""
    listed = local.client("elbv2").describe_target_health(TargetGroupArn=group)
    return [each["TargetHealth"]["State"] for each in listed["TargetHealthDescriptions"]]


def test_a_target_drains_for_its_time_and_each_minute_is_reported() -> None:
    clock = VirtualClock()
    for local in make_region(SimulatedSubstrate(), clock=clock):
        elbv2 = local.client("elbv2")
        arn, group = balanced(local)
        clock.advance(1)
        assert elbv2.describe_load_balancers()["LoadBalancers"][0]["State"]["Code"] == "active"
        assert states(local, group) == ["healthy"]
        clock.advance(60)
        assert metric(local, clock, arn=arn, group=group) == [1.0]
        delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "30"}]
        elbv2.modify_target_group_attributes(TargetGroupArn=group, Attributes=delay)
        elbv2.deregister_targets(TargetGroupArn=group, Targets=[TARGET])
        clock.advance(29)
        assert states(local, group) == ["draining"]
        clock.advance(1)
        assert states(local, group) == []


def metric(local: LocalRegion, clock: RegionClock, *, arn: str, group: str) -> list[float]:
    """Return what CloudWatch has of the healthy targets."""
    answer: dict[str, Any] = local.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/ApplicationELB",
        MetricName="HealthyHostCount",
        Dimensions=[
            {"Name": "TargetGroup", "Value": group.rpartition(":")[2]},
            {"Name": "LoadBalancer", "Value": arn.partition("loadbalancer/")[2]},
        ],
        StartTime=clock.now() - timedelta(minutes=5),
        EndTime=clock.now() + timedelta(minutes=1),
        Period=60,
        Statistics=["Average"],
    )
    return [each["Average"] for each in answer["Datapoints"]]


def test_a_balancer_outlives_the_region(tmp_path: Path) -> None:
    def interfaces(local: LocalRegion) -> set[str]:
        listed = local.client("ec2").describe_network_interfaces()["NetworkInterfaces"]
        return {each["NetworkInterfaceId"] for each in listed if each["RequesterManaged"]}

    for local in make_region(SimulatedSubstrate(), tmp_path / "state"):
        _, group = balanced(local)
        before = local.until(lambda region=local: interfaces(region), lambda found: len(found) == 2)
        name = local.client("elbv2").describe_load_balancers()["LoadBalancers"][0]["DNSName"]
    for local in make_region(SimulatedSubstrate(), tmp_path / "state"):
        local.until(lambda region=local: states(region, group), lambda seen: seen == ["healthy"])
        assert interfaces(local) == before
        assert len(local.region.names.get(name) or ()) == 2
