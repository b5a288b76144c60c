# SPDX-License-Identifier: Apache-2.0
"""The reachability matrix of docs/architecture.md, on what the demo brought up."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from stacks import document
from stacks.reachability import INTERNET, OPERATORS, OTHER_NETWORK, Wiring
from tests.sandbox.doors.db_tunnels import tunnel
from tests.sandbox.environments.demo import Demo
from tests.sandbox.environments.matrix import STRANGER, Spot, differences, host_addresses

pytestmark = pytest.mark.sandbox

GREETING_S = 30.0
VPCS = ("10.90.0.0/16", "10.99.0.0/16")


@pytest.fixture(name="wiring", scope="module")
def fixture_wiring(demo: Demo) -> Wiring:
    inputs = document.network_inputs(demo.project.path, "sandbox")
    return document._wiring(inputs, document._stacks(demo.project.path, inputs))


@pytest.fixture(name="spots", scope="module")
def fixture_spots(demo: Demo) -> Iterator[dict[str, Spot]]:
    """Find every place of the matrix, and stand a machine in for the database and for another network."""
    spots = {
        name: machine_spot(demo, demo.machines("sandbox", name)[0]) for name in ("api", "bastion", "worker")
    }
    with standing_in(demo, "sandbox") as database, other_network(demo) as other, host_addresses(STRANGER):
        operator = operator_address(demo)
        spots |= {
            "balancer": balancer_spot(demo),
            "database": machine_spot(demo, database),
            OTHER_NETWORK: machine_spot(demo, other),
            INTERNET: Spot(None, operator, operator, source=STRANGER),
            OPERATORS: Spot(None, operator, operator, source=operator),
        }
        yield spots


def machine_spot(demo: Demo, machine: dict[str, Any]) -> Spot:
    return Spot(
        demo.namespace(machine["InstanceId"]), machine["PrivateIpAddress"], machine.get("PublicIpAddress", "")
    )


def balancer_spot(demo: Demo) -> Spot:
    name = demo.output_of("slipway-sandbox-balancer", "BalancerFullName")
    filters = [{"Name": "description", "Values": [f"ELB {name}"]}]
    [node, *_] = demo.client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    return Spot(
        demo.namespace(node["NetworkInterfaceId"]), node["PrivateIpAddress"], node["Association"]["PublicIp"]
    )


def operator_address(demo: Demo) -> str:
    url = f"http://127.0.0.1:{demo.project.port}/_slipway/operator-address"
    return subprocess.run(["curl", "-sf", url], capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def standing_in(demo: Demo, network: str) -> Iterator[dict[str, Any]]:
    """Run a machine where the database is."""
    group = demo.output_of(f"slipway-{network}-security", "DatabaseSecurityGroup")
    subnet = demo.output_of(f"slipway-{network}-network", "DataSubnets").split(",")[0]
    with running(demo, subnet, group) as machine:
        yield machine


@contextmanager
def other_network(demo: Demo) -> Iterator[dict[str, Any]]:
    """Run a machine that may do everything in a VPC beside the network's."""
    ec2 = demo.client("ec2")
    vpc = ec2.create_vpc(CidrBlock=VPCS[1])["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.99.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="open", Description="open", VpcId=vpc)["GroupId"]
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=everything)
    with running(demo, subnet, group) as machine:
        yield machine
    ec2.delete_security_group(GroupId=group)
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)


@contextmanager
def running(demo: Demo, subnet: str, group: str) -> Iterator[dict[str, Any]]:
    """Run a machine of the base image."""
    ec2 = demo.client("ec2")
    [launched] = ec2.run_instances(
        ImageId=demo.images()["base"]["ImageId"], InstanceType="t3.small", MinCount=1, MaxCount=1,
        SubnetId=subnet, SecurityGroupIds=[group],
    )["Instances"]  # fmt: skip
    ids, patience = [launched["InstanceId"]], {"Delay": 1, "MaxAttempts": 90}
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig=patience)
    try:
        yield ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"][0]
    finally:
        ec2.terminate_instances(InstanceIds=ids)
        ec2.get_waiter("instance_terminated").wait(InstanceIds=ids, WaiterConfig=patience)


def test_packets_go_where_the_matrix_says_and_nowhere_else(wiring: Wiring, spots: dict[str, Spot]) -> None:
    assert differences(wiring, spots, VPCS) == {}


def test_nothing_more_is_open_while_a_tunnel_is(demo: Demo, wiring: Wiring, spots: dict[str, Spot]) -> None:
    with tunnel(demo) as opened:
        assert differences(wiring, spots, VPCS) == {}
        # It was open all the time: the database greets whoever comes through it.
        with socket.create_connection(("127.0.0.1", opened.port), timeout=GREETING_S) as through:
            through.settimeout(GREETING_S)
            assert b"MariaDB" in through.recv(1024)
