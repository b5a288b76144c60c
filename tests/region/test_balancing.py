# SPDX-License-Identifier: Apache-2.0
"""Load balancers by the API: what is asked for is there when it is read back, or it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.simulated import SimulatedSubstrate

from .conftest import LocalRegion, make_region


@dataclass
class World:
    """A region with a VPC of two zones, a balancer and a target group."""

    local: LocalRegion
    subnets: list[str]
    vpc_id: str
    group_id: str
    balancer: dict[str, Any]
    target_group: str

    @property
    def elbv2(self) -> Any:
        """The client."""
        return self.local.client("elbv2")

    @property
    def arn(self) -> str:
        """The balancer's ARN."""
        return str(self.balancer["LoadBalancerArn"])

    def attributes(self) -> dict[str, str]:
        """The balancer's attributes."""
        answer = self.elbv2.describe_load_balancer_attributes(LoadBalancerArn=self.arn)
        return {each["Key"]: each["Value"] for each in answer["Attributes"]}

    def health(self, target_group: str) -> list[tuple[Any, ...]]:
        """What DescribeTargetHealth says: id, port, state, reason."""
        answer = self.elbv2.describe_target_health(TargetGroupArn=target_group)
        return [
            (
                each["Target"]["Id"],
                each["Target"]["Port"],
                each["TargetHealth"]["State"],
                each["TargetHealth"].get("Reason"),
            )
            for each in answer["TargetHealthDescriptions"]
        ]

    def interfaces(self) -> list[dict[str, Any]]:
        """The balancer's network interfaces."""
        answer = self.local.client("ec2").describe_network_interfaces()["NetworkInterfaces"]
        return [each for each in answer if each["Description"].startswith("ELB ")]


@pytest.fixture(name="world", scope="module")
def fixture_world() -> Iterator[World]:
    """Return the world; tests leave it as they found it."""
    for local in make_region(SimulatedSubstrate()):
        ec2, elbv2 = local.client("ec2"), local.client("elbv2")
        vpc_id = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc_id, CidrBlock=f"10.1.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")[
                "Subnet"
            ]["SubnetId"]
            for n, zone in enumerate("abc")
        ]
        group_id = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc_id)["GroupId"]
        balancer = elbv2.create_load_balancer(
            Name="web", Subnets=subnets[:2], SecurityGroups=[group_id], Tags=[{"Key": "who", "Value": "me"}]
        )["LoadBalancers"][0]
        target_group = elbv2.create_target_group(
            Name="api", Protocol="HTTP", Port=8080, VpcId=vpc_id, HealthCheckPath="/health"
        )["TargetGroups"][0]["TargetGroupArn"]
        yield World(local, subnets, vpc_id, group_id, balancer, target_group)


def forward(world: World) -> list[dict[str, str]]:
    """Return an action that forwards to the world's target group."""
    return [{"Type": "forward", "TargetGroupArn": world.target_group}]


@pytest.fixture(name="listener")
def fixture_listener(world: World) -> Iterator[str]:
    """Return a listener on port 80."""
    made = world.elbv2.create_listener(
        LoadBalancerArn=world.arn, Protocol="HTTP", Port=80, DefaultActions=forward(world)
    )
    arn = made["Listeners"][0]["ListenerArn"]
    yield arn
    world.elbv2.delete_listener(ListenerArn=arn)


@pytest.fixture(name="used")
def fixture_used(world: World) -> Iterator[str]:
    """Return a target group of the test's own, to which a listener forwards."""
    made = world.elbv2.create_target_group(Name="used", Protocol="HTTP", Port=8080, VpcId=world.vpc_id)
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    actions = [{"Type": "forward", "TargetGroupArn": arn}]
    listener = world.elbv2.create_listener(
        LoadBalancerArn=world.arn, Protocol="HTTP", Port=9000, DefaultActions=actions
    )["Listeners"][0]["ListenerArn"]
    yield arn
    world.elbv2.delete_listener(ListenerArn=listener)
    world.elbv2.delete_target_group(TargetGroupArn=arn)


def refusal(call: Any, **arguments: Any) -> str:
    """Return the code of the error that a call ends with."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


def test_a_balancer_is_active_once_its_nodes_are_there(world: World) -> None:
    def describe() -> dict[str, Any]:
        return dict(world.elbv2.describe_load_balancers(Names=["web"])["LoadBalancers"][0])

    assert world.balancer["State"] == {"Code": "provisioning"}
    seen = world.local.until(describe, lambda balancer: balancer["State"]["Code"] == "active")
    assert {name: seen[name] for name in ("Scheme", "Type", "VpcId", "SecurityGroups")} == {
        "Scheme": "internet-facing",
        "Type": "application",
        "VpcId": world.vpc_id,
        "SecurityGroups": [world.group_id],
    }
    assert seen["DNSName"].startswith("web-")
    assert world.elbv2.describe_tags(ResourceArns=[world.arn])["TagDescriptions"][0]["Tags"] == [
        {"Key": "who", "Value": "me"}
    ]


def test_a_balancer_holds_an_interface_in_each_subnet(world: World) -> None:
    seen = world.local.until(world.interfaces, lambda found: len(found) == 2)
    full_name = world.arn.partition("loadbalancer/")[2]
    assert {each["SubnetId"] for each in seen} == set(world.subnets[:2])
    for interface in seen:
        assert interface["Description"] == f"ELB {full_name}"
        assert interface["RequesterManaged"] is True
        assert interface["RequesterId"] == "amazon-elb"
        assert [group["GroupId"] for group in interface["Groups"]] == [world.group_id]
    public = {each["Association"]["PublicIp"] for each in seen}
    assert set(world.local.region.names.get(world.balancer["DNSName"]) or ()) == public
    delete = world.local.client("ec2").delete_security_group
    assert refusal(delete, GroupId=world.group_id) == "DependencyViolation"


def test_nodes_are_members_of_the_network(world: World) -> None:
    world.local.until(world.interfaces, lambda found: len(found) == 2)
    nodes = {each["NetworkInterfaceId"]: each["PrivateIpAddress"] for each in world.interfaces()}
    substrate = world.local.substrate
    attached = world.local.until(
        lambda: {m.instance_id: m.private_address for vpc in substrate.networks for m in vpc.machines},
        lambda found: set(nodes) <= set(found),
    )
    assert {node_id: attached[node_id] for node_id in nodes} == nodes


def test_attributes_are_kept(world: World) -> None:
    assert world.attributes()["idle_timeout.timeout_seconds"] == "60"
    changed = [{"Key": "idle_timeout.timeout_seconds", "Value": "90"}]
    world.elbv2.modify_load_balancer_attributes(LoadBalancerArn=world.arn, Attributes=changed)
    assert world.attributes()["idle_timeout.timeout_seconds"] == "90"
    desync = [{"Key": "routing.http.desync_mitigation_mode", "Value": "monitor"}]
    modify = world.elbv2.modify_load_balancer_attributes
    assert refusal(modify, LoadBalancerArn=world.arn, Attributes=desync) == "UnsupportedOperation"


def test_a_protected_balancer_stays(world: World) -> None:
    def protect(value: str) -> None:
        given = [{"Key": "deletion_protection.enabled", "Value": value}]
        world.elbv2.modify_load_balancer_attributes(LoadBalancerArn=world.arn, Attributes=given)

    protect("true")
    assert refusal(world.elbv2.delete_load_balancer, LoadBalancerArn=world.arn) == "OperationNotPermitted"
    protect("false")


def test_a_deleted_balancer_gives_back_its_interfaces_and_name(world: World) -> None:
    made = world.elbv2.create_load_balancer(Name="gone", Subnets=world.subnets[1:], Scheme="internal")
    balancer = made["LoadBalancers"][0]
    assert balancer["DNSName"].startswith("internal-gone-")
    world.local.until(world.interfaces, lambda found: len(found) == 4)
    names = world.local.region.names
    private = [each for each in world.interfaces() if "app/gone/" in each["Description"]]
    assert set(names.get(balancer["DNSName"]) or ()) == {each["PrivateIpAddress"] for each in private}
    assert all("Association" not in each for each in private)
    world.elbv2.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
    world.local.until(world.interfaces, lambda found: len(found) == 2)
    world.local.until(lambda: names.get(balancer["DNSName"]), lambda found: found is None)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"Name": "web"}, "DuplicateLoadBalancerName"),
        ({"Name": "-x"}, "ValidationError"),
        ({"Type": "network"}, "UnsupportedOperation"),
        ({"Subnets": ["subnet-none"]}, "SubnetNotFound"),
        ({"IpAddressType": "dualstack"}, "UnsupportedOperation"),
        ({"SecurityGroups": ["sg-none"]}, "InvalidSecurityGroup"),
    ],
)
def test_what_is_no_balancer_is_refused(world: World, given: dict[str, Any], code: str) -> None:
    create = world.elbv2.create_load_balancer
    assert refusal(create, **({"Name": "new", "Subnets": world.subnets} | given)) == code


def test_one_zone_is_too_few(world: World) -> None:
    create = world.elbv2.create_load_balancer
    assert refusal(create, Name="new", Subnets=world.subnets[:1]) == "ValidationError"


def test_a_listener_reads_back_as_it_was_made(world: World, listener: str) -> None:
    listed = world.elbv2.describe_listeners(LoadBalancerArn=world.arn)["Listeners"]
    assert [(each["ListenerArn"], each["Protocol"], each["Port"]) for each in listed] == [
        (listener, "HTTP", 80)
    ]
    assert "SslPolicy" not in listed[0]
    assert listed[0]["DefaultActions"][0]["TargetGroupArn"] == world.target_group
    described = world.elbv2.describe_target_groups(LoadBalancerArn=world.arn)["TargetGroups"]
    assert [each["LoadBalancerArns"] for each in described] == [[world.arn]]
    create = world.elbv2.create_listener
    taken = {"LoadBalancerArn": world.arn, "Protocol": "HTTP", "Port": 80}
    assert refusal(create, **taken, DefaultActions=forward(world)) == "DuplicateListener"
    assert refusal(world.elbv2.delete_target_group, TargetGroupArn=world.target_group) == "ResourceInUse"


def test_a_listener_changes(world: World, listener: str) -> None:
    fixed = [
        {
            "Type": "fixed-response",
            "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "no"},
        }
    ]
    world.elbv2.modify_listener(ListenerArn=listener, Port=8080, DefaultActions=fixed)
    seen = world.elbv2.describe_listeners(ListenerArns=[listener])["Listeners"][0]
    assert (seen["Port"], seen["DefaultActions"][0]["FixedResponseConfig"]) == (
        8080,
        fixed[0]["FixedResponseConfig"],
    )
    groups = world.elbv2.describe_target_groups(TargetGroupArns=[world.target_group])["TargetGroups"]
    assert groups[0].get("LoadBalancerArns", []) == []


def test_rules_keep_their_order_and_change_places(world: World, listener: str) -> None:
    def rule(priority: int, path: str) -> str:
        made = world.elbv2.create_rule(
            ListenerArn=listener,
            Priority=priority,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": [path]}}],
            Actions=forward(world),
        )
        return str(made["Rules"][0]["RuleArn"])

    def order() -> list[tuple[str, str]]:
        rules = world.elbv2.describe_rules(ListenerArn=listener)["Rules"]
        return [(each["RuleArn"], each["Priority"]) for each in rules[:-1]]

    late, early = rule(20, "/b"), rule(3, "/a")
    assert order() == [(early, "3"), (late, "20")]
    places = [{"RuleArn": late, "Priority": 3}, {"RuleArn": early, "Priority": 20}]
    world.elbv2.set_rule_priorities(RulePriorities=places)
    assert order() == [(late, "3"), (early, "20")]
    condition = {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.example.com"]}}
    world.elbv2.modify_rule(RuleArn=late, Conditions=[condition])
    seen = world.elbv2.describe_rules(RuleArns=[late])["Rules"][0]["Conditions"][0]
    assert seen["HostHeaderConfig"] == condition["HostHeaderConfig"]
    world.elbv2.delete_rule(RuleArn=early)
    assert order() == [(late, "3")]
    assert refusal(world.elbv2.delete_rule, RuleArn=early) == "RuleNotFound"


def test_actions_that_do_not_exist_here_are_refused(world: World, listener: str) -> None:
    oidc = [{"Type": "authenticate-oidc", "Order": 1}, {"Type": "forward", "Order": 2}]
    modify = world.elbv2.modify_listener
    assert refusal(modify, ListenerArn=listener, DefaultActions=oidc) == "UnsupportedOperation"


def test_a_target_group_belongs_to_one_balancer(world: World, listener: str) -> None:
    del listener
    made = world.elbv2.create_load_balancer(Name="second", Subnets=world.subnets[:2])["LoadBalancers"][0]
    arn = made["LoadBalancerArn"]
    create = world.elbv2.create_listener
    wanted = {"LoadBalancerArn": arn, "Protocol": "HTTP", "Port": 80, "DefaultActions": forward(world)}
    assert refusal(create, **wanted) == "TargetGroupAssociationLimit"
    world.elbv2.delete_load_balancer(LoadBalancerArn=arn)
    world.local.until(world.interfaces, lambda found: len(found) == 2)


def test_a_target_group_reads_back_as_it_was_changed(world: World) -> None:
    made = world.elbv2.create_target_group(
        Name="other",
        Protocol="HTTP",
        Port=80,
        VpcId=world.vpc_id,
        Tags=[{"Key": "a", "Value": "b"}],
        HealthCheckIntervalSeconds=10,
        HealthCheckTimeoutSeconds=4,
        HealthyThresholdCount=3,
        UnhealthyThresholdCount=4,
        Matcher={"HttpCode": "200-299"},
    )["TargetGroups"][0]
    arn = made["TargetGroupArn"]
    world.elbv2.modify_target_group(
        TargetGroupArn=arn, HealthCheckPath="/ready", HealthyThresholdCount=2, Matcher={"HttpCode": "204"}
    )
    seen = world.elbv2.describe_target_groups(Names=["other"])["TargetGroups"][0]
    names = (
        "Port", "HealthCheckPath", "HealthCheckIntervalSeconds", "HealthCheckTimeoutSeconds",
        "HealthyThresholdCount", "UnhealthyThresholdCount", "Matcher", "HealthCheckPort",
        "HealthCheckEnabled", "TargetType", "ProtocolVersion",
    )  # fmt: skip
    assert [seen[name] for name in names] == [
        80, "/ready", 10, 4, 2, 4, {"HttpCode": "204"}, "traffic-port", True, "instance", "HTTP1",
    ]  # fmt: skip
    delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "3600"}]
    answer = world.elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=delay)["Attributes"]
    after = world.elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    assert sorted(map(str, answer)) == sorted(map(str, after))
    assert delay[0] in after
    assert world.elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"] == [
        {"Key": "a", "Value": "b"}
    ]
    world.elbv2.delete_target_group(TargetGroupArn=arn)
    assert refusal(world.elbv2.describe_target_groups, Names=["other"]) == "TargetGroupNotFound"


def test_a_target_is_healthy_when_its_instance_answers(world: World, used: str) -> None:
    instance_id = world.local.launch(SubnetId=world.subnets[0])
    target = {"Id": instance_id}
    world.local.substrate.frozen.add(instance_id)
    world.elbv2.register_targets(TargetGroupArn=used, Targets=[target])
    assert [each[:2] for each in world.health(used)] == [(instance_id, 8080)]
    seen = world.local.until(
        lambda: world.health(used), lambda found: found[0][3] == "Elb.InitialHealthChecking"
    )
    assert seen == [(instance_id, 8080, "initial", "Elb.InitialHealthChecking")]
    world.local.substrate.frozen.discard(instance_id)
    world.local.until(
        lambda: world.health(used), lambda found: found == [(instance_id, 8080, "healthy", None)]
    )
    world.local.substrate.frozen.add(instance_id)
    world.local.until(
        lambda: world.health(used),
        lambda found: found == [(instance_id, 8080, "unhealthy", "Target.Timeout")],
    )
    world.local.client("ec2").stop_instances(InstanceIds=[instance_id])
    world.local.until(
        lambda: world.health(used),
        lambda found: found == [(instance_id, 8080, "unused", "Target.InvalidState")],
    )
    world.elbv2.deregister_targets(TargetGroupArn=used, Targets=[target])
    assert world.health(used) == [(instance_id, 8080, "draining", "Target.DeregistrationInProgress")]
    delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "0"}]
    world.elbv2.modify_target_group_attributes(TargetGroupArn=used, Attributes=delay)
    # The time to drain was fixed when it began.
    assert world.health(used) == [(instance_id, 8080, "draining", "Target.DeregistrationInProgress")]


def test_targets_differ_by_port(world: World) -> None:
    instance_id = world.local.launch(SubnetId=world.subnets[1])
    made = world.elbv2.create_target_group(Name="ports", Protocol="HTTP", Port=80, VpcId=world.vpc_id)
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    targets = [{"Id": instance_id, "Port": 81}, {"Id": instance_id, "Port": 82}]
    world.elbv2.register_targets(TargetGroupArn=arn, Targets=targets)
    world.elbv2.deregister_targets(TargetGroupArn=arn, Targets=targets[:1])
    seen = world.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    assert [(each["Target"], each["TargetHealth"]["Reason"]) for each in seen] == [
        ({"Id": instance_id, "Port": 82}, "Target.NotInUse")
    ]
    world.elbv2.delete_target_group(TargetGroupArn=arn)


def test_who_is_no_target_is_refused(world: World) -> None:
    register = world.elbv2.register_targets
    nobody = [{"Id": "i-0123456789abcdef0"}]
    assert refusal(register, TargetGroupArn=world.target_group, Targets=nobody) == "InvalidTarget"
    stranger = world.local.launch()
    elsewhere = [{"Id": stranger}]
    assert refusal(register, TargetGroupArn=world.target_group, Targets=elsewhere) == "InvalidTarget"


def test_a_terminated_instance_drains(world: World, used: str) -> None:
    instance_id = world.local.launch(SubnetId=world.subnets[0])
    delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "300"}]
    world.elbv2.modify_target_group_attributes(TargetGroupArn=used, Attributes=delay)
    world.elbv2.register_targets(TargetGroupArn=used, Targets=[{"Id": instance_id}])
    world.local.client("ec2").terminate_instances(InstanceIds=[instance_id])
    wanted = (instance_id, 8080, "draining", "Target.DeregistrationInProgress")
    world.local.until(lambda: world.health(used), lambda found: wanted in found)
