# SPDX-License-Identifier: Apache-2.0
"""The fleets of an environment: groups, hooks, scaling, launch templates."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.config.fleets import Fleet
from stacks import fleets
from stacks.inputs import EnvironmentInputs
from tests.unit.stacks.environment_templates import inputs, properties, resolved, resources, stack


def with_fleet(**changes: Any) -> EnvironmentInputs:
    """Return dev with one fleet, `web`, that is like this."""
    document = {"class": "api", "instance_type": "t3.small", "min_size": 1, "max_size": 2, **changes}
    given = inputs("dev")
    return replace(
        given, environment=given.environment.model_copy(update={"fleets": {"web": Fleet(**document)}})
    )


def made(given: EnvironmentInputs, title: str) -> dict[str, Any]:
    """Return the properties of a resource of a fleets stack."""
    template = json.loads(fleets.synthesise(given).body())
    found: dict[str, Any] = template["Resources"][title]["Properties"]
    return found


def test_a_group_is_as_its_fleet_says() -> None:
    group = properties("dev", "fleets", "ApiGroup")
    tags = {"Name": "dev-api", "slipway:environment": "dev", "slipway:fleet": "api"}
    assert resolved({key: value for key, value in group.items() if key != "VPCZoneIdentifier"}) == {
        "AutoScalingGroupName": "slipway-dev-api",
        "MinSize": "1",
        "MaxSize": "4",
        "LaunchTemplate": {
            "LaunchTemplateId": "<ApiTemplate>",
            "Version": "<ApiTemplate.LatestVersionNumber>",
        },
        "HealthCheckType": "ELB",
        "HealthCheckGracePeriod": 120,
        "TargetGroupARNs": ["<slipway-nonproduction-balancer.DevTargetGroupArn>"],
        "LifecycleHookSpecificationList": [
            {
                "LifecycleHookName": "launch",
                "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
                "HeartbeatTimeout": 600,
                "DefaultResult": "ABANDON",
            },
            {
                "LifecycleHookName": "terminate",
                "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
                "HeartbeatTimeout": 120,
                "DefaultResult": "CONTINUE",
            },
        ],
        "MetricsCollection": [{"Granularity": "1Minute"}],
        "TerminationPolicies": ["OldestLaunchTemplate", "OldestInstance"],
        "Tags": [{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in tags.items()],
    }


@pytest.mark.parametrize(
    ("fleet", "tier"), [("Api", "Application"), ("Worker", "Application"), ("Bastion", "Public")]
)
def test_a_group_is_in_all_subnets_of_its_tier(fleet: str, tier: str) -> None:
    separator, joined = properties("dev", "fleets", f"{fleet}Group")["VPCZoneIdentifier"]["Fn::Split"]
    assert (separator, resolved(joined)) == (",", f"<slipway-nonproduction-network.{tier}Subnets>")


def test_a_machine_behind_no_balancer_is_judged_by_ec2() -> None:
    group = properties("dev", "fleets", "WorkerGroup")
    assert group["HealthCheckType"] == "EC2"
    assert "TargetGroupARNs" not in group


@pytest.mark.parametrize(("drain_s", "timeout_s"), [(0, 60), (3600, 3660)])
def test_a_hook_leaves_time_beyond_draining(drain_s: int, timeout_s: int) -> None:
    _, terminate = made(with_fleet(drain_s=drain_s), "WebGroup")["LifecycleHookSpecificationList"]
    assert terminate["HeartbeatTimeout"] == timeout_s


def test_the_ami_is_read_where_rollouts_write_it() -> None:
    data = properties("dev", "fleets", "ApiTemplate")["LaunchTemplateData"]
    assert data["ImageId"] == "{{resolve:ssm:/slipway/dev/api/ami}}"


@pytest.mark.parametrize(
    ("fleet", "groups"),
    [
        ("Api", ["ApiSecurityGroup", "DatabaseClientSecurityGroup"]),
        ("Worker", ["WorkerSecurityGroup", "DatabaseClientSecurityGroup"]),
        ("Bastion", ["BastionSecurityGroup"]),
    ],
)
def test_a_machine_has_the_security_groups_of_its_fleet(fleet: str, groups: list[str]) -> None:
    (interface,) = properties("dev", "fleets", f"{fleet}Template")["LaunchTemplateData"]["NetworkInterfaces"]
    assert resolved(interface["Groups"]) == [f"<slipway-nonproduction-security.{group}>" for group in groups]


def test_everything_of_a_machine_is_tagged() -> None:
    template = properties("dev", "fleets", "WorkerTemplate")
    tags = [
        {"Key": "Name", "Value": "dev-worker"},
        {"Key": "slipway:environment", "Value": "dev"},
        {"Key": "slipway:fleet", "Value": "worker"},
    ]
    kinds = ("instance", "volume", "network-interface")
    assert template["LaunchTemplateData"]["TagSpecifications"] == [
        {"ResourceType": kind, "Tags": tags} for kind in kinds
    ]
    assert template["TagSpecifications"] == [{"ResourceType": "launch-template", "Tags": tags}]


def test_user_data_is_given_as_it_is() -> None:
    given = replace(with_fleet(), user_data={"web": "#cloud-config\n# {{resolve}} ${x} ü\n"})
    data = made(given, "WebTemplate")["LaunchTemplateData"]["UserData"]
    assert data == {"Fn::Base64": "#cloud-config\n# {{resolve}} ${x} ü\n"}
    assert base64.b64encode(data["Fn::Base64"].encode())
    assert "UserData" not in made(with_fleet(), "WebTemplate")["LaunchTemplateData"]


def test_a_fleet_is_scaled_by_cpu() -> None:
    assert resolved(properties("dev", "fleets", "ApiScaling")) == {
        "AutoScalingGroupName": "<ApiGroup>",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingConfiguration": {
            "TargetValue": 50.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
        },
    }


def test_a_fleet_is_scaled_by_requests() -> None:
    given = with_fleet(balanced=True, scaling={"metric": "requests", "target": 600.0})
    balancer = "slipway-nonproduction-balancer"
    assert resolved(made(given, "WebScaling"))["TargetTrackingConfiguration"] == {
        "TargetValue": 600.0,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "ALBRequestCountPerTarget",
            "ResourceLabel": f"<{balancer}.BalancerFullName>/<{balancer}.DevTargetGroupFullName>",
        },
    }


def test_a_fleet_is_scaled_by_waiting_jobs() -> None:
    metrics = resolved(properties("dev", "fleets", "WorkerScaling"))["TargetTrackingConfiguration"][
        "CustomizedMetricSpecification"
    ]["Metrics"]
    assert metrics == [
        {
            "Id": "jobs",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SQS",
                    "MetricName": "ApproximateNumberOfMessagesVisible",
                    "Dimensions": [{"Name": "QueueName", "Value": "<slipway-dev-queues.JobsQueueName>"}],
                },
                "Stat": "Sum",
            },
            "ReturnData": False,
        },
        {
            "Id": "machines",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/AutoScaling",
                    "MetricName": "GroupInServiceInstances",
                    "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "slipway-dev-worker"}],
                },
                "Stat": "Average",
            },
            "ReturnData": False,
        },
        {
            "Id": "depth",
            "Label": "Waiting jobs per machine",
            "Expression": "jobs / machines",
            "ReturnData": True,
        },
    ]


def test_an_empty_fleet_is_filled_when_jobs_come() -> None:
    given = with_fleet(queue=True, min_size=0, scaling={"metric": "queue_depth", "target": 20.0})
    *_, depth = made(given, "WebScaling")["TargetTrackingConfiguration"]["CustomizedMetricSpecification"][
        "Metrics"
    ]
    assert depth["Expression"] == "IF(machines > 0, jobs / machines, jobs)"


def test_a_fleet_that_is_not_scaled_has_no_policy() -> None:
    assert "BastionScaling" not in json.loads(stack("dev", "fleets").body())["Resources"]


def test_a_network_without_a_database_is_not_asked_for_one() -> None:
    given = with_fleet(database=True)
    network = given.network.network.model_copy(update={"database": None})
    without = replace(given, network=replace(given.network, network=network))
    body = fleets.synthesise(without).body()
    assert "atabase" not in body
    assert "rds-db" not in body
    assert "slipway-nonproduction-database" not in fleets.synthesise(without).depends_on


def test_machines_are_told_where_their_database_is() -> None:
    found = {
        title: resolved(each["Properties"])
        for title, each in resources("dev", "fleets", "AWS::SSM::Parameter").items()
    }
    # The bastion has no database.
    assert sorted(found) == ["ApiDatabase", "WorkerDatabase"]
    value = json.loads(found["ApiDatabase"].pop("Value"))
    assert value == {
        "reader": "<slipway-nonproduction-database.ReaderEndpoint>",
        "writer": "<slipway-nonproduction-database.ClusterEndpoint>",
        "port": 3306,
        "name": "levels",
        "user": "dev_api",
    }
    assert found["ApiDatabase"] == {
        "Name": "/slipway/dev/api/database",
        "Type": "String",
        "Description": "dev: where the database is for api",
    }


def test_fleets_of_one_class_are_told_once_where_the_database_is() -> None:
    fleet = {"class": "api", "instance_type": "t3.small", "min_size": 1, "max_size": 1, "database": True}
    given = inputs("dev")
    several = {"one": Fleet(**fleet), "two": Fleet(**fleet)}
    given = replace(given, environment=given.environment.model_copy(update={"fleets": several}))
    found = json.loads(fleets.synthesise(given).body())["Resources"]
    names = [each["Properties"]["Name"] for each in found.values() if each["Type"] == "AWS::SSM::Parameter"]
    assert names == ["/slipway/dev/api/database"]
