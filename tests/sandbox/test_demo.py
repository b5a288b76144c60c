# SPDX-License-Identifier: Apache-2.0
"""The demo in a checkout of its own, with the real classes, and what is promised of the images it bakes."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.sandbox import hardening
from tests.sandbox.bake.project import CHECKOUT, Project, ended, free_port

pytestmark = pytest.mark.sandbox

CLASSES = ("base", "bastion", "api", "worker")
LYNIS_INDEX = 80
SCANNED_PORTS = (*range(1, 1025), 2222, 3306, 5000, 5355, 8000, 8080, 8443, 9100)
SCAN_TIMEOUT_S = 2.0
DEMO_PATIENCE_S = 900.0


@dataclass
class Demo:
    """A checkout in which the demo ran."""

    project: Project
    output: str

    def ec2(self) -> Any:
        """Return a client of its region."""
        return boto3.client(
            "ec2",
            endpoint_url=f"http://127.0.0.1:{self.project.port}",
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def images(self) -> dict[str, dict[str, Any]]:
        """Return our images by class."""
        found = self.ec2().describe_images(Owners=["self"])["Images"]
        return {image["Name"].rpartition("-")[0]: image for image in found}

    def machine(self) -> dict[str, Any]:
        """Return the demo's one machine."""
        (reservation,) = self.ec2().describe_instances(
            Filters=[
                {"Name": "tag-key", "Values": ["slipway:demo"]},
                {"Name": "instance-state-name", "Values": ["running"]},
            ]
        )["Reservations"]
        (machine,) = reservation["Instances"]
        return dict(machine)


@pytest.fixture(scope="module")
def demo(able_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run the demo once."""
    project = Project.make(tmp_path_factory.mktemp("demo") / "checkout", port=free_port())
    for name in ("roles", "playbooks"):
        shutil.copytree(CHECKOUT / name, project.path / name, dirs_exist_ok=True)
    try:
        run = ended(project.start("demo"), DEMO_PATIENCE_S)
        assert run.status == 0, run
        yield Demo(project, run.stdout)
    finally:
        assert project.run("sandbox.reset").status == 0


def test_all_classes_are_published(demo: Demo) -> None:
    images = demo.images()
    assert sorted(images) == sorted(CLASSES)
    for image in images.values():
        tags = {tag["Key"]: tag["Value"] for tag in image["Tags"]}
        assert (image["State"], tags["slipway:state"]) == ("available", "published")


def test_classes_are_baked_on_the_hardened_base(demo: Demo) -> None:
    images = demo.images()
    parents = {
        name: next(tag["Value"] for tag in image["Tags"] if tag["Key"] == "slipway:parent")
        for name, image in images.items()
    }
    assert parents.pop("base").startswith("debian-12-amd64-")
    assert set(parents.values()) == {images["base"]["Name"]}


def test_the_machine_answers_on_health_and_nowhere_else(demo: Demo) -> None:
    address = demo.machine()["PublicIpAddress"]
    assert asyncio.run(open_ports(address)) == [80]
    answer = subprocess.run(
        ["curl", "-si", "--max-time", "5", f"http://{address}/health"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert answer.startswith("HTTP/1.1 200")
    assert re.search(rf"(?im)^x-slipway-image: {demo.images()['api']['Name']}\s*$", answer)
    assert address in demo.output


def test_a_second_demo_keeps_everything(demo: Demo) -> None:
    before = demo.machine()["InstanceId"], demo.images()
    again = demo.project.run("demo")
    assert (again.status, (demo.machine()["InstanceId"], demo.images())) == (0, before)


def test_nothing_temporary_is_left(demo: Demo) -> None:
    assert json.loads(demo.project.run("gc", "--dry-run", "--json").stdout) == {
        "folders": [],
        "images": [],
        "key pairs": [],
        "machines": [],
        "security groups": [],
        "snapshots": [],
        "volumes": [],
    }


@pytest.fixture(scope="module")
def base_machine(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseMachine]:
    """A machine of the published base image that its operator can log in to."""
    ec2 = demo.ec2()
    key = tmp_path_factory.mktemp("key") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    ec2.import_key_pair(KeyName="audit", PublicKeyMaterial=key.with_suffix(".pub").read_bytes())
    subnet = demo.machine()["SubnetId"]
    vpc = demo.machine()["VpcId"]
    group = ec2.create_security_group(GroupName="audit", Description="audit", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        ],
    )
    (instance,) = ec2.run_instances(
        ImageId=demo.images()["base"]["ImageId"],
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        KeyName="audit",
        SubnetId=subnet,
        SecurityGroupIds=[group],
    )["Instances"]
    ec2.get_waiter("instance_running").wait(
        InstanceIds=[instance["InstanceId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    described = ec2.describe_instances(InstanceIds=[instance["InstanceId"]])
    address = described["Reservations"][0]["Instances"][0]["PublicIpAddress"]
    yield BaseMachine(address, login(key, address))


@dataclass
class BaseMachine:
    """Where it is, and how to run a command on it as root."""

    address: str
    run: Callable[[str], str]


def test_base_passes_ssh_audits_policy(base_machine: BaseMachine) -> None:
    passes, told = hardening.ssh_audit(base_machine.address)
    assert passes, told


def test_base_has_lynis_index(base_machine: BaseMachine) -> None:
    report = hardening.lynis(base_machine.run)
    assert report.index >= LYNIS_INDEX, report


async def open_ports(address: str) -> list[int]:
    """Return the ports of the machine that accept a connection from this host."""

    async def is_open(port: int) -> bool:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), SCAN_TIMEOUT_S)
        except (OSError, TimeoutError):
            return False
        writer.close()
        await writer.wait_closed()
        return True

    answers = await asyncio.gather(*(is_open(port) for port in SCANNED_PORTS))
    return [port for port, answer in zip(SCANNED_PORTS, answers, strict=True) if answer]


def login(key: Path, address: str) -> Callable[[str], str]:
    """Return a way to run commands as root, once the machine lets us in."""
    ssh = ["ssh", "-i", str(key), "-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes"]
    ssh += ["-o", f"UserKnownHostsFile={key.parent}/known_hosts", "-o", "LogLevel=ERROR", f"admin@{address}"]

    def run(command: str) -> str:
        done = subprocess.run(
            [*ssh, "sudo", "-n", "sh", "-s"], input=command, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done)
        return done.stdout

    deadline = time.monotonic() + 60
    while subprocess.run([*ssh, "true"], capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline, "no login within a minute"
        time.sleep(0.5)
    return run
