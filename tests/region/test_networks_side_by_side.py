# SPDX-License-Identifier: Apache-2.0
"""Production and nonproduction come up in one region, and share nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.simulated import SimulatedSubstrate
from stacks.architecture import environment_stacks, network_stacks
from stacks.inputs import EnvironmentInputs, NetworkInputs
from stacks.project import environment_inputs, network_inputs
from stacks.stack import Stack
from tests.region.conftest import LocalRegion, make_region
from tests.region.test_architecture_in_region import CODE, PROJECT, UP, bring_up, status

ACCOUNT = "123456789012"
NETWORKS = {"production": ("production",), "nonproduction": ("dev", "qa")}


def in_this_account(name: str) -> NetworkInputs:
    """Return a network as if it were in the region's one account, which has one auditor."""
    given = network_inputs(PROJECT, name)
    environments = {
        each: environment.model_copy(update={"account_id": ACCOUNT, "bake": unencrypted(environment)})
        for each, environment in given.environments.items()
    }
    network = given.network.model_copy(update={"audit": name == "production"})
    return NetworkInputs(name, network, given.region, ACCOUNT, environments)


def unencrypted(environment: Any) -> Any:
    return environment.bake.model_copy(update={"encrypted_root": False})


def stacks_of(name: str) -> list[Stack]:
    network = in_this_account(name)
    stacks = [*network_stacks(network)]
    for each in NETWORKS[name]:
        given = environment_inputs(PROJECT, each, {"image_variants": CODE})
        environment = network.environments[each]
        inputs = EnvironmentInputs(environment, network, given.function_keys, given.user_data)
        stacks += environment_stacks(inputs)
    return stacks


@pytest.fixture(name="filled", scope="module")
def fixture_filled() -> Iterator[LocalRegion]:
    regions = make_region(SimulatedSubstrate())
    local = next(regions)
    for name in NETWORKS:
        for stack in stacks_of(name):
            bring_up(local, stack)
    yield local
    next(regions, None)


def test_both_are_up(filled: LocalRegion) -> None:
    names = [stack.name for name in NETWORKS for stack in stacks_of(name)]
    assert {status(filled, name) for name in names} == {UP}


def test_they_share_no_address_no_route_and_no_group(filled: LocalRegion) -> None:
    ec2 = filled.client("ec2")
    vpcs = {
        tag["Value"]: vpc
        for vpc in ec2.describe_vpcs()["Vpcs"]
        for tag in vpc.get("Tags", ())
        if tag["Key"] == "slipway:network"
    }
    assert set(vpcs) == set(NETWORKS)
    assert len({vpc["CidrBlock"] for vpc in vpcs.values()}) == len(vpcs)
    for name, vpc in vpcs.items():
        others = {other["CidrBlock"] for key, other in vpcs.items() if key != name}
        inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
        tables = ec2.describe_route_tables(Filters=inside)["RouteTables"]
        routes = [route for table in tables for route in table["Routes"]]
        assert not others & {route.get("DestinationCidrBlock") for route in routes}
        groups = ec2.describe_security_groups(Filters=inside)["SecurityGroups"]
        own = {group["GroupId"] for group in groups}
        named = {
            pair["GroupId"]
            for group in groups
            for rule in (*group["IpPermissions"], *group["IpPermissionsEgress"])
            for pair in rule["UserIdGroupPairs"]
        }
        assert named <= own


def test_environments_of_a_network_share_its_balancer_but_not_their_targets(filled: LocalRegion) -> None:
    elbv2 = filled.client("elbv2")
    assert len(elbv2.describe_load_balancers()["LoadBalancers"]) == len(NETWORKS)
    arns = [group["TargetGroupArn"] for group in elbv2.describe_target_groups()["TargetGroups"]]
    health = [elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"] for arn in arns]
    machines = [{each["Target"]["Id"] for each in targets} for targets in health]
    assert sum(map(len, machines)) == len(set().union(*machines)) > 0
