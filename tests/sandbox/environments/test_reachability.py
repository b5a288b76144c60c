# SPDX-License-Identifier: Apache-2.0
"""The reachability matrix of docs/architecture.md, cell by cell, with packets.

Every place answers at every port, so what is not answered did not get there.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stacks import document
from stacks.reachability import INTERNET, OPERATORS, OTHER_NETWORK, Wiring, matrix
from tests.sandbox.environments.demo import Demo
from tests.sandbox.packets import at, listening

pytestmark = pytest.mark.sandbox

# Nobody's rule names it; the host is the internet, and takes this address as well.
STRANGER = "203.0.113.77"
TRIES_AT_ONCE = 24
PATIENCE_S, TLS = 1.0, 443
VPCS = ("10.90.0.0/16", "10.99.0.0/16")


@dataclass(frozen=True)
class Spot:
    """Where connections of a place begin, and the addresses that others try."""

    namespace: str | None
    address: str
    public_address: str = ""
    source: str = ""


@contextmanager
def stranger() -> Iterator[str]:
    """Give this host an address that no rule names."""
    address = ["ip", "address", "add", f"{STRANGER}/32", "dev", "lo"]
    subprocess.run(address, check=True)
    try:
        yield STRANGER
    finally:
        subprocess.run(["ip", "address", "del", f"{STRANGER}/32", "dev", "lo"], check=True)


@contextmanager
def nobody_else(*ranges: str) -> Iterator[None]:
    """See to it that this host's own network, which is the internet here, has nobody at private addresses."""
    for each in ranges:
        subprocess.run(["ip", "route", "add", "blackhole", each], check=True)
    try:
        yield
    finally:
        for each in ranges:
            subprocess.run(["ip", "route", "del", "blackhole", each], check=True)


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
    with standing_in(demo, "sandbox") as database, other_network(demo) as other, stranger() as address:
        operator = operator_address(demo)
        spots |= {
            "balancer": balancer_spot(demo),
            "database": machine_spot(demo, database),
            OTHER_NETWORK: machine_spot(demo, other),
            INTERNET: Spot(None, operator, operator, source=address),
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


@contextmanager
def listeners(spots: dict[str, Spot], ports: tuple[int, ...]) -> Iterator[None]:
    """Echo at every place and port that nobody else listens at, so that whatever gets there is answered."""
    with ExitStack() as open_listeners:
        for spot in {(spot.namespace, spot.address): spot for spot in spots.values()}.values():
            for port in ports:
                # Where a port is taken (sshd, nginx, HAProxy), its owner answers.
                with suppress(OSError):
                    open_listeners.enter_context(listening(spot.namespace, port, spot.address))
        yield


def is_answered(source: Spot, target: Spot, port: int) -> bool:
    """Whether a connection is opened and answered."""
    # From outside a place is known by its public address, if it has one.
    address = (target.public_address or target.address) if source.source else target.address

    def ask() -> bool:
        with socket.socket() as asking:
            asking.settimeout(PATIENCE_S)
            if source.source:
                asking.bind((source.source, 0))
            asking.connect((address, port))
            asking.sendall(HELLO if port == TLS else b"GET / HTTP/1.0\r\n\r\n")
            return bool(asking.recv(1))

    try:
        return at(source.namespace, ask)
    except OSError:
        return False


def hello() -> bytes:
    """Return how a TLS client begins."""
    sent = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(
            ssl.MemoryBIO(), sent, server_hostname="example.com"
        ).do_handshake()
    return sent.read()


HELLO = hello()


def test_packets_go_where_the_matrix_says_and_nowhere_else(wiring: Wiring, spots: dict[str, Spot]) -> None:
    assert set(spots) == {place.name for place in wiring.places}
    cells = matrix(wiring)
    tries = [(source, target, port) for source, target in cells for port in wiring.ports if source != target]

    def attempt(each: tuple[str, str, int]) -> bool:
        source, target, port = each
        return is_answered(spots[source], spots[target], port)

    with (
        nobody_else(*VPCS),
        listeners(spots, wiring.ports),
        ThreadPoolExecutor(TRIES_AT_ONCE) as side_by_side,
    ):
        answered = dict(zip(tries, side_by_side.map(attempt, tries), strict=True))
    wrong = {
        each: "open" if is_open else "closed"
        for each, is_open in answered.items()
        if is_open is not (each[2] in cells[each[0], each[1]])
    }
    assert wrong == {}


def test_the_matrix_of_the_documents_is_the_one_that_is_tried(wiring: Wiring) -> None:
    """Networks differ in addresses only, so what holds in one holds in the others."""
    project = Path(document.__file__).parents[1]
    for name in ("nonproduction", "production"):
        inputs = document.network_inputs(project, name)
        other = document._wiring(inputs, document._stacks(project, inputs))
        assert matrix(other) == matrix(wiring)
