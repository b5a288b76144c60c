# SPDX-License-Identifier: Apache-2.0
"""Who may talk to whom in a network: every pair of places, over every port that anything listens on."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from ipaddress import ip_network

import pytest

from orchestrator.aws.tags import NETWORK_TAG, TIER_TAG
from orchestrator.config.network import Nat
from stacks import network, security
from stacks.network_acls import TIERS
from tests.unit.stacks.network_flows import CLIENT_PORTS, Place, passes, reaches, rules
from tests.unit.stacks.network_templates import (
    NETWORKS,
    changed,
    inputs,
    of_type,
    parsed,
    resources,
)

HTTP, HTTPS, SSH, MYSQL = 80, 443, 22, 3306
SOMEWHERE = Place("192.0.2.9")
# In production's zones a, b and c, so that every flow crosses subnets.
PLACES = {
    "internet": SOMEWHERE,
    "operator": Place("203.0.113.9"),
    "balancer": Place("10.10.0.10", "public", ("BalancerSecurityGroup",)),
    "bastion": Place("10.10.1.10", "public", ("BastionSecurityGroup",)),
    "api": Place("10.10.16.10", "application", ("ApiSecurityGroup", "DatabaseClientSecurityGroup")),
    "worker": Place("10.10.32.10", "application", ("WorkerSecurityGroup", "DatabaseClientSecurityGroup")),
    "endpoint": Place("10.10.48.10", "application", ("EndpointSecurityGroup",)),
    "database": Place("10.10.130.10", "data", ("DatabaseSecurityGroup",)),
}
OUTSIDE = {"internet", "operator"}
FLOWS = {
    SSH: {("operator", "bastion"), ("bastion", "api"), ("bastion", "worker")},
    HTTP: {
        *itertools.product(("internet", "operator", "bastion", "api", "worker"), ["balancer"]),
        *itertools.product(("bastion", "api", "worker"), OUTSIDE),
        ("balancer", "api"),
    },
    HTTPS: {
        *itertools.product(("internet", "operator", "bastion", "api", "worker"), ["balancer"]),
        *itertools.product(("bastion", "api", "worker"), (*OUTSIDE, "endpoint")),
    },
    MYSQL: {("api", "database"), ("worker", "database")},
    # Nothing listens here, so nothing gets through.
    8080: set(),
    5432: set(),
}


@pytest.mark.parametrize("port", FLOWS)
def test_exactly_these_connections_are_made(port: int) -> None:
    made = {
        (source, target)
        for source, target in itertools.permutations(PLACES, 2)
        if not {source, target} <= OUTSIDE and reaches("production", PLACES[source], PLACES[target], port)
    }
    assert made == FLOWS[port]


def test_a_machine_that_may_not_use_the_database_does_not_reach_it() -> None:
    without = replace(PLACES["api"], groups=("ApiSecurityGroup",))
    assert not reaches("production", without, PLACES["database"], MYSQL)


@pytest.mark.parametrize("port", [HTTP, HTTPS])
def test_nat_carries_what_machines_ask_of_the_internet_and_its_answers(port: int) -> None:
    machine, gateway = PLACES["api"], Place("10.10.0.20", "public")
    # Between machine and gateway the packets bear the address of the internet, not each other's.
    assert passes("production", machine, SOMEWHERE, (port,))
    assert passes("production", Place(machine.address), gateway, (port,))
    assert passes("production", gateway, SOMEWHERE, (port,))
    assert passes("production", SOMEWHERE, gateway, CLIENT_PORTS)
    assert passes("production", gateway, Place(machine.address), CLIENT_PORTS)
    assert passes("production", SOMEWHERE, machine, CLIENT_PORTS)


@pytest.mark.parametrize("name", NETWORKS)
def test_ssh_comes_from_the_allowed_addresses_to_public_fleets_and_from_those_to_the_others(
    name: str,
) -> None:
    bastions = {
        f"{name.capitalize()}SecurityGroup"
        for name, fleet in inputs(name).fleets().items()
        if fleet.is_public
    }
    allowed = {str(cidr) for cidr in inputs(name).network.ssh_from}
    with_ssh = [
        (group, rule)
        for group, rule in rules(name, "Ingress")
        if rule["IpProtocol"] == "-1" or rule["FromPort"] <= SSH <= rule["ToPort"]
    ]
    from_addresses = {(group, rule["CidrIp"]) for group, rule in with_ssh if "CidrIp" in rule}
    from_groups = {
        rule["SourceSecurityGroupId"]["Fn::GetAtt"][0] for _, rule in with_ssh if "CidrIp" not in rule
    }
    assert from_addresses == {(bastion, cidr) for bastion in bastions for cidr in allowed}
    assert from_groups == bastions
    assert "0.0.0.0/0" not in allowed


def test_without_allowed_addresses_nobody_comes_in_by_ssh() -> None:
    template = parsed(security.synthesise(changed("production", ssh_from=())))
    bastion = template["Resources"]["BastionSecurityGroup"]["Properties"]
    assert bastion["SecurityGroupIngress"] == []


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("direction", ["Ingress", "Egress"])
def test_every_rule_says_what_it_is_for(name: str, direction: str) -> None:
    assert [group for group, rule in rules(name, direction) if not rule.get("Description")] == []


@pytest.mark.parametrize("name", NETWORKS)
def test_every_group_limits_what_leaves(name: str) -> None:
    everything = [
        group
        for group, rule in rules(name, "Egress")
        if rule["IpProtocol"] == "-1" and rule["CidrIp"] != "127.0.0.1/32"
    ]
    assert everything == []
    groups = {
        title
        for kind in ("network", "security")
        for title in resources(name, kind, "AWS::EC2::SecurityGroup")
    }
    assert {group for group, _ in rules(name, "Egress")} == groups


@pytest.mark.parametrize("name", NETWORKS)
def test_what_the_internet_reaches_without_being_asked_is_the_balancer(name: str) -> None:
    open_groups = {
        (group, rule["FromPort"])
        for group, rule in rules(name, "Ingress")
        if rule.get("CidrIp") == "0.0.0.0/0"
    }
    assert open_groups == {("BalancerSecurityGroup", HTTP), ("BalancerSecurityGroup", HTTPS)}


@pytest.mark.parametrize("name", NETWORKS)
def test_data_subnets_have_no_way_to_the_internet(name: str) -> None:
    associations = resources(name, "network", "AWS::EC2::SubnetRouteTableAssociation").values()
    tables = {
        each["Properties"]["RouteTableId"]["Ref"]
        for each in associations
        if each["Properties"]["SubnetId"]["Ref"].startswith("Data")
    }
    assert tables == {"DataRouteTable"}
    routed = {
        route["Properties"]["RouteTableId"]["Ref"]
        for route in resources(name, "network", "AWS::EC2::Route").values()
    }
    assert not tables & routed
    acls = [
        entry["Properties"]
        for entry in resources(name, "network", "AWS::EC2::NetworkAclEntry").values()
        if entry["Properties"]["NetworkAclId"] == {"Ref": "DataAcl"}
    ]
    application = inputs(name).network.subnets.application
    for entry in acls:
        block = ip_network(entry["CidrBlock"])
        assert any(block.supernet_of(cidr) for cidr in application)
        assert block.subnet_of(ip_network(str(inputs(name).network.cidr)))


@pytest.mark.parametrize("name", NETWORKS)
def test_each_zone_has_one_subnet_of_each_tier_that_bakes_and_diagrams_find_by_tags(name: str) -> None:
    subnets = [each["Properties"] for each in resources(name, "network", "AWS::EC2::Subnet").values()]
    assert {each["MapPublicIpOnLaunch"] for each in subnets} == {False}
    found = set()
    for each in subnets:
        tags = {tag["Key"]: tag["Value"] for tag in each["Tags"]}
        assert tags[NETWORK_TAG] == name
        found.add((tags[TIER_TAG], each["AvailabilityZone"]["Fn::Sub"]))
    zones = [f"${{AWS::Region}}{zone}" for zone in inputs(name).network.zones]
    assert found == set(itertools.product(TIERS, zones))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_subnet_has_a_route_table_and_an_acl(name: str) -> None:
    subnets = set(resources(name, "network", "AWS::EC2::Subnet"))
    for type_name in ("SubnetRouteTableAssociation", "SubnetNetworkAclAssociation"):
        associations = resources(name, "network", f"AWS::EC2::{type_name}").values()
        assert sorted(each["Properties"]["SubnetId"]["Ref"] for each in associations) == sorted(subnets)


@pytest.mark.parametrize(
    ("nat", "gateways", "ways_out"),
    [("none", 0, {}), ("one", 1, {"": "A"}), ("per_zone", 4, {zone: zone for zone in "ABCD"})],
)
def test_nat_is_what_the_file_says(nat: str, gateways: int, ways_out: dict[str, str]) -> None:
    document = parsed(network.synthesise(changed("nonproduction", nat=Nat(nat))))
    assert len(of_type(document, "AWS::EC2::NatGateway")) == gateways
    assert len(of_type(document, "AWS::EC2::EIP")) == gateways
    routes = {
        each["Properties"]["RouteTableId"]["Ref"]: each["Properties"]["NatGatewayId"]["Ref"]
        for each in of_type(document, "AWS::EC2::Route").values()
        if "NatGatewayId" in each["Properties"]
    }
    expected = {f"ApplicationRouteTable{table}": f"NatGateway{zone}" for table, zone in ways_out.items()}
    assert routes == expected


def test_acl_rules_fit_aws_s_limit() -> None:
    """https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html: 20 for each direction."""
    for name in NETWORKS:
        counts = Counter(
            (entry["Properties"]["NetworkAclId"]["Ref"], entry["Properties"]["Egress"])
            for entry in resources(name, "network", "AWS::EC2::NetworkAclEntry").values()
        )
        assert 0 < max(counts.values()) <= 20
