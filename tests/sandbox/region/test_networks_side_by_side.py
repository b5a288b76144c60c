# SPDX-License-Identifier: Apache-2.0
"""Production and nonproduction side by side in one region: the matrix of each, and nothing between them.

Machines of Debian's public image stand in for the fleets and the database; the balancers are the stacks' own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sandbox import names
from stacks import balancer, network, security
from stacks.document import _stacks
from stacks.inputs import NetworkInputs
from stacks.project import network_inputs
from stacks.reachability import INTERNET, OPERATORS, OTHER_NETWORK, Place, Wiring
from stacks.stack import NetworkStack, Stack, stack_name
from stacks.wiring import read
from tests.sandbox.bake.project import CHECKOUT
from tests.sandbox.environments.matrix import STRANGER, Spot, differences, host_addresses
from tests.sandbox.region.conftest import RealRegion, until

pytestmark = pytest.mark.sandbox

ACCOUNT = "123456789012"
NETWORKS = ("production", "nonproduction")
OPERATOR = "203.0.113.1"
DEBIAN = "136693071363"


def in_this_account(name: str) -> NetworkInputs:
    given = network_inputs(CHECKOUT, name)
    return NetworkInputs(name, given.network, given.region, ACCOUNT, given.environments)


def bring_up(region: RealRegion, stack: Stack) -> None:
    """Create a stack and wait until it is up."""
    cloudformation = region.client("cloudformation")
    cloudformation.create_stack(
        StackName=stack.name, TemplateBody=stack.body(), Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    seen = until(
        lambda: cloudformation.describe_stacks(StackName=stack.name)["Stacks"][0]["StackStatus"],
        lambda status: "IN_PROGRESS" not in status,
    )
    assert seen == "CREATE_COMPLETE", stack.name


def outputs(region: RealRegion, owner: str, kind: NetworkStack) -> dict[str, str]:
    [stack] = region.client("cloudformation").describe_stacks(StackName=stack_name(owner, kind))["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def stand_in(region: RealRegion, owner: str, place: Place) -> dict[str, Any]:
    """Launch a machine where a place is, in the groups of that place."""
    tier = f"{place.tier.capitalize()}Subnets"
    subnet = outputs(region, owner, NetworkStack.NETWORK)[tier].split(",")[-1]
    groups = outputs(region, owner, NetworkStack.SECURITY)
    ec2 = region.client("ec2")
    [launched] = ec2.run_instances(
        ImageId=ec2.describe_images(Owners=[DEBIAN])["Images"][0]["ImageId"],
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[
            {
                "DeviceIndex": 0,
                "SubnetId": subnet,
                "Groups": [groups[name] for name in place.groups],
                "AssociatePublicIpAddress": place.is_public,
            }
        ],
    )["Instances"]
    return dict(launched)


def spot(region: RealRegion, instance_id: str) -> Spot:
    ec2 = region.client("ec2")
    ec2.get_waiter("instance_running").wait(
        InstanceIds=[instance_id], WaiterConfig={"Delay": 1, "MaxAttempts": 90}
    )
    [seen] = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    return Spot(namespace(region, instance_id), seen["PrivateIpAddress"], seen.get("PublicIpAddress", ""))


def namespace(region: RealRegion, member_id: str) -> str:
    return names.of_checkout(region.state.path.parent).machine_namespace(member_id)


def balancer_spot(region: RealRegion, owner: str) -> Spot:
    name = outputs(region, owner, NetworkStack.BALANCER)["BalancerFullName"]
    filters = [{"Name": "description", "Values": [f"ELB {name}"]}]
    [node, *_] = region.client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    member = namespace(region, node["NetworkInterfaceId"])
    return Spot(member, node["PrivateIpAddress"], node["Association"]["PublicIp"])


@pytest.fixture(name="wirings", scope="module")
def fixture_wirings(region: RealRegion) -> dict[str, Wiring]:
    """Bring both networks up, and tell what their templates say."""
    wirings = {}
    for name in NETWORKS:
        inputs = in_this_account(name)
        for module in (network, security, balancer):
            bring_up(region, module.synthesise(inputs))
        stacks = _stacks(CHECKOUT, inputs)
        wirings[name] = read(stacks, operators=inputs.network.ssh_from)
    return wirings


@pytest.fixture(name="spots", scope="module")
def fixture_spots(region: RealRegion, wirings: dict[str, Wiring]) -> Iterator[dict[str, dict[str, Spot]]]:
    """Have a machine at every place of both networks; each knows one of the other's api machines."""
    launched = {
        (owner, place.name): stand_in(region, owner, place)["InstanceId"]
        for owner, wiring in wirings.items()
        for place in wiring.places
        if place.tier and place.name != "balancer"
    }
    spots: dict[str, dict[str, Spot]] = {
        owner: {"balancer": balancer_spot(region, owner)} for owner in NETWORKS
    }
    for (owner, name), instance_id in launched.items():
        spots[owner][name] = spot(region, instance_id)
    host = region.operator
    with ExitStack() as undo:
        undo.enter_context(host_addresses(STRANGER, OPERATOR))
        for owner, other in zip(NETWORKS, reversed(NETWORKS), strict=True):
            spots[owner] |= {
                OTHER_NETWORK: spots[other]["api"],
                INTERNET: Spot(None, host, host, source=STRANGER),
                OPERATORS: Spot(None, host, host, source=OPERATOR),
            }
        yield spots
    region.client("ec2").terminate_instances(InstanceIds=list(launched.values()))


@pytest.mark.parametrize("owner", NETWORKS)
def test_packets_go_where_the_matrix_says_and_nowhere_else(
    wirings: dict[str, Wiring], spots: dict[str, dict[str, Spot]], owner: str
) -> None:
    vpcs = [str(in_this_account(name).network.cidr) for name in NETWORKS]
    assert differences(wirings[owner], spots[owner], vpcs) == {}
