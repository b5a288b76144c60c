# SPDX-License-Identifier: Apache-2.0
"""CloudFormation's resources of Elastic Load Balancing and WAF."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from sandbox.cloudformation.handler import Call

from .round_trip import REMOVED, Trip, handler_calls, made, travel

World = Mapping[str, str]
ELB = "AWS::ElasticLoadBalancingV2"
TAGS = [{"Key": "Name", "Value": "one"}, {"Key": "Use", "Value": "front"}]
OTHER_TAGS = [{"Key": "Name", "Value": "two"}]
NOT_FOUND = {
    "Type": "fixed-response",
    "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "?"},
}
TO_TLS = {
    "Type": "redirect",
    "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"},
}
SEEN = {"CloudWatchMetricsEnabled": True, "MetricName": "web", "SampledRequestsEnabled": True}


def _host(name: str) -> dict[str, Any]:
    return {"Field": "host-header", "HostHeaderConfig": {"Values": [name]}}


def _rate(limit: int) -> dict[str, Any]:
    return {
        "Name": "rate",
        "Priority": 0,
        "Action": {"Block": {}},
        "Statement": {
            "RateBasedStatement": {"Limit": limit, "AggregateKeyType": "IP", "EvaluationWindowSec": 300}
        },
        "VisibilityConfig": SEEN,
    }


def _managed(name: str) -> dict[str, Any]:
    override = {"Name": "SizeRestrictions_BODY", "ActionToUse": {"Count": {}}}
    return {
        "Name": name,
        "Priority": 1,
        "OverrideAction": {"None": {}},
        "Statement": {
            "ManagedRuleGroupStatement": {
                "VendorName": "AWS",
                "Name": name,
                "RuleActionOverrides": [override],
            }
        },
        "VisibilityConfig": SEEN,
    }


@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    yield from handler_calls()


@pytest.fixture(name="world", scope="module")
def fixture_world(call: Call) -> Iterator[World]:
    """Return a balancer in a network, and what rules can name."""
    with ExitStack() as stack:

        def make(type_name: str, **properties: Any) -> str:
            return stack.enter_context(made(call, type_name, properties)).physical_id

        vpc = make("AWS::EC2::VPC", CidrBlock="10.60.0.0/16")
        gateway = make("AWS::EC2::InternetGateway")
        make("AWS::EC2::VPCGatewayAttachment", VpcId=vpc, InternetGatewayId=gateway)
        subnets = {
            f"subnet_{zone}": make(
                "AWS::EC2::Subnet",
                VpcId=vpc,
                CidrBlock=f"10.60.{number}.0/24",
                AvailabilityZone=f"us-east-1{zone}",
            )
            for number, zone in enumerate("abc")
        }
        groups = {
            name: make("AWS::EC2::SecurityGroup", GroupDescription=name, VpcId=vpc)
            for name in ("group", "other_group")
        }
        balancer = make(
            f"{ELB}::LoadBalancer",
            Subnets=[subnets["subnet_a"], subnets["subnet_b"]],
            SecurityGroups=[groups["group"]],
        )
        certificates = {
            name: make("AWS::CertificateManager::Certificate", DomainName=f"{name}.example.com")
            for name in ("certificate", "other-certificate")
        }
        targets = {
            name: make(f"{ELB}::TargetGroup", VpcId=vpc, Protocol="HTTP", Port=80)
            for name in ("targets", "other_targets")
        }
        listener = make(
            f"{ELB}::Listener",
            LoadBalancerArn=balancer,
            Port=8080,
            Protocol="HTTP",
            DefaultActions=[NOT_FOUND],
        )
        acl = make("AWS::WAFv2::WebACL", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=SEEN)
        logs = {}
        for name in ("aws-waf-logs-one", "aws-waf-logs-two"):
            made_name = make("AWS::Logs::LogGroup", LogGroupName=name)
            logs[name] = f"arn:aws:logs:us-east-1:123456789012:log-group:{made_name}"
        name, acl_id, _ = acl.split("|")
        yield {
            "vpc": vpc,
            "balancer": balancer,
            "listener": listener,
            "acl": f"arn:aws:wafv2:us-east-1:123456789012:regional/webacl/{name}/{acl_id}",
            **subnets,
            **groups,
            **certificates,
            **targets,
            **logs,
        }


TRIPS: dict[str, Callable[[World], Trip]] = {
    "load balancer": lambda world: Trip(
        f"{ELB}::LoadBalancer",
        {
            "Name": "front",
            "Type": "application",
            "Scheme": "internet-facing",
            "IpAddressType": "ipv4",
            "Subnets": [world["subnet_a"], world["subnet_b"]],
            "SecurityGroups": [world["group"]],
            "LoadBalancerAttributes": [
                {"Key": "idle_timeout.timeout_seconds", "Value": "120"},
                {"Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true"},
                {"Key": "deletion_protection.enabled", "Value": "false"},
            ],
            "Tags": TAGS,
        },
        changes=(
            {"Subnets": [world["subnet_b"], world["subnet_c"]]},
            {"SecurityGroups": [world["other_group"]]},
            {"LoadBalancerAttributes": [{"Key": "idle_timeout.timeout_seconds", "Value": "30"}]},
            {"Tags": OTHER_TAGS},
        ),
    ),
    "target group": lambda world: Trip(
        f"{ELB}::TargetGroup",
        {
            "Name": "api",
            "TargetType": "instance",
            "Protocol": "HTTP",
            "ProtocolVersion": "HTTP1",
            "Port": 80,
            "VpcId": world["vpc"],
            "HealthCheckEnabled": True,
            "HealthCheckProtocol": "HTTP",
            "HealthCheckPort": "traffic-port",
            "HealthCheckPath": "/health",
            "HealthCheckIntervalSeconds": 10,
            "HealthCheckTimeoutSeconds": 5,
            "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": 3,
            "Matcher": {"HttpCode": "200"},
            "TargetGroupAttributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "60"}],
            "Tags": TAGS,
        },
        changes=(
            {"HealthCheckPath": "/ready", "Matcher": {"HttpCode": "200-299"}},
            {"HealthCheckIntervalSeconds": 20, "HealthCheckTimeoutSeconds": 6},
            {"HealthyThresholdCount": 4, "UnhealthyThresholdCount": 5},
            {"TargetGroupAttributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "30"}]},
            {"Tags": OTHER_TAGS},
        ),
    ),
    "http listener": lambda world: Trip(
        f"{ELB}::Listener",
        {
            "LoadBalancerArn": world["balancer"],
            "Port": 80,
            "Protocol": "HTTP",
            "DefaultActions": [TO_TLS],
            "Tags": TAGS,
        },
        changes=({"DefaultActions": [NOT_FOUND]}, {"Port": 81}, {"Tags": OTHER_TAGS}),
    ),
    "https listener": lambda world: Trip(
        f"{ELB}::Listener",
        {
            "LoadBalancerArn": world["balancer"],
            "Port": 443,
            "Protocol": "HTTPS",
            "SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
            "Certificates": [{"CertificateArn": world["certificate"]}],
            "DefaultActions": [NOT_FOUND],
        },
        changes=(
            {"Certificates": [{"CertificateArn": world["other-certificate"]}]},
            {"SslPolicy": "ELBSecurityPolicy-TLS13-1-3-2021-06"},
            {"DefaultActions": [{"Type": "forward", "TargetGroupArn": world["targets"]}]},
        ),
    ),
    "listener rule": lambda world: Trip(
        f"{ELB}::ListenerRule",
        {
            "ListenerArn": world["listener"],
            "Priority": 10,
            "Conditions": [_host("dev.example.com")],
            "Actions": [{"Type": "forward", "TargetGroupArn": world["targets"]}],
            "Tags": TAGS,
        },
        changes=(
            {"Conditions": [_host("test.example.com")]},
            {"Actions": [{"Type": "forward", "TargetGroupArn": world["other_targets"]}]},
            {"Priority": 20},
            {"Tags": OTHER_TAGS},
        ),
    ),
    "web acl": lambda world: Trip(
        "AWS::WAFv2::WebACL",
        {
            "Name": "front",
            "Scope": "REGIONAL",
            "Description": "in front of the balancer",
            "DefaultAction": {"Allow": {}},
            "Rules": [_rate(2000), _managed("AWSManagedRulesCommonRuleSet")],
            "VisibilityConfig": SEEN,
            "Tags": TAGS,
        },
        changes=(
            {"Rules": [_rate(100)]},
            {"DefaultAction": {"Block": {}}, "Description": "shut"},
            {"VisibilityConfig": SEEN | {"SampledRequestsEnabled": False}},
            {"Rules": REMOVED, "Tags": OTHER_TAGS},
        ),
    ),
    "web acl association": lambda world: Trip(
        "AWS::WAFv2::WebACLAssociation",
        {"ResourceArn": world["balancer"], "WebACLArn": world["acl"]},
    ),
    "web acl logging": lambda world: Trip(
        "AWS::WAFv2::LoggingConfiguration",
        {
            "ResourceArn": world["acl"],
            "LogDestinationConfigs": [world["aws-waf-logs-one"]],
            "RedactedFields": [{"SingleHeader": {"Name": "authorization"}}],
        },
        changes=(
            {"LogDestinationConfigs": [world["aws-waf-logs-two"]]},
            {"RedactedFields": [{"SingleHeader": {"Name": "cookie"}}, {"QueryString": {}}]},
            {"RedactedFields": REMOVED},
        ),
    ),
}


@pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS.keys())
def test_every_property_comes_back(call: Call, world: World, trip: Callable[[World], Trip]) -> None:
    travel(call, trip(world))
