# SPDX-License-Identifier: Apache-2.0
"""A region with real machines, one for all tests here, spoken to only as a user would: boto3, ssh, packer."""

from __future__ import annotations

import shlex
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox import control
from sandbox.state_dir import StateDir
from tests.sandbox.plain_network import make_plain_network

PATIENCE_S = 60.0


@dataclass
class RealRegion:
    """A running region and the ways to reach it."""

    state: StateDir
    endpoint: str
    key: Path
    session: Any = field(default_factory=lambda: boto3.session.Session("a", "b", region_name="us-east-1"))

    def client(self, service: str) -> Any:
        """Return a boto3 client."""
        return self.session.client(service, endpoint_url=self.endpoint)

    @property
    def operator(self) -> str:
        """This host, as machines see it."""
        with urllib.request.urlopen(f"{self.endpoint}/_slipway/operator-address") as answer:  # noqa: S310
            return str(answer.read().decode())

    def ami_id(self) -> str:
        """The public Debian image."""
        return str(self.client("ec2").describe_images(Owners=["136693071363"])["Images"][0]["ImageId"])

    def subnet(self, tier: str = "public") -> dict[str, Any]:
        """Return the first zone's subnet of a tier."""
        filters = [
            {"Name": "tag:slipway:tier", "Values": [tier]},
            {"Name": "availability-zone", "Values": ["us-east-1a"]},
        ]
        return dict(self.client("ec2").describe_subnets(Filters=filters)["Subnets"][0])

    def group(self, name: str, *ports: int) -> str:
        """Make a security group that admits this host to TCP ports."""
        ec2 = self.client("ec2")
        vpc_id = self.subnet()["VpcId"]
        group_id = str(ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc_id)["GroupId"])
        if ports:
            ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=self.admission(*ports))
        return group_id

    def admission(self, *ports: int) -> list[dict[str, Any]]:
        """Return permissions that admit this host to TCP ports."""
        return [
            {
                "IpProtocol": "tcp",
                "FromPort": port,
                "ToPort": port,
                "IpRanges": [{"CidrIp": f"{self.operator}/32"}],
            }
            for port in ports
        ]

    def launch(self, **options: Any) -> dict[str, Any]:
        """Launch an instance and wait until it runs."""
        options = {
            "ImageId": options.pop("ImageId", None) or self.ami_id(),
            "MinCount": 1,
            "MaxCount": 1,
            "InstanceType": "t3.small",
            "KeyName": "operator",
            "SubnetId": options.pop("SubnetId", None) or self.subnet()["SubnetId"],
        } | options
        answer = self.client("ec2").run_instances(**options)
        return self.await_state(answer["Instances"][0]["InstanceId"], "running")

    def instance(self, instance_id: str) -> dict[str, Any]:
        """Describe an instance."""
        answer = self.client("ec2").describe_instances(InstanceIds=[instance_id])
        return dict(answer["Reservations"][0]["Instances"][0])

    def await_state(self, instance_id: str, state: str) -> dict[str, Any]:
        """Wait for a state."""
        return dict(until(lambda: self.instance(instance_id), lambda seen: seen["State"]["Name"] == state))

    def terminate(self, *instance_ids: str) -> None:
        """Terminate instances and wait for their end."""
        self.client("ec2").terminate_instances(InstanceIds=list(instance_ids))
        for instance_id in instance_ids:
            self.await_state(instance_id, "terminated")

    def ssh(self, address: str, command: str, *, key: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command on a machine as admin, once."""
        options = "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        options += " -o LogLevel=ERROR -o ConnectTimeout=3"
        words = ["ssh", "-i", str(key or self.key), *shlex.split(options), f"admin@{address}", command]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)

    def run(self, address: str, command: str) -> str:
        """Run a command on a machine, waiting until it can be reached; return what it says."""
        done = until(lambda: self.ssh(address, command), lambda result: result.returncode != 255)
        assert done.returncode == 0, done
        return str(done.stdout)


def until(fetch: Callable[[], Any], done: Callable[[Any], bool], patience_s: float = PATIENCE_S) -> Any:
    """Fetch until done."""
    end = time.monotonic() + patience_s
    while not done(seen := fetch()):
        assert time.monotonic() < end, f"still {seen}"
        time.sleep(0.2)
    return seen


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(name="region", scope="session")
def fixture_region(able_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegion]:
    """Return a region that is removed without a trace afterwards."""
    directory = tmp_path_factory.mktemp("region")
    key = directory / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    state = StateDir(directory / ".sandbox")
    try:
        info = control.up(port=free_port(), mode="real", state_dir=state)
        make_plain_network(info.endpoint)
        region = RealRegion(state, info.endpoint, key)
        public = key.with_suffix(".pub").read_bytes()
        region.client("ec2").import_key_pair(KeyName="operator", PublicKeyMaterial=public)
        yield region
    finally:
        control.reset(state_dir=state)
