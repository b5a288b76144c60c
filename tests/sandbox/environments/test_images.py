# SPDX-License-Identifier: Apache-2.0
"""What is promised of the real classes' images, which the demo bakes."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sandbox import hardening
from tests.sandbox.environments.demo import Demo

pytestmark = pytest.mark.sandbox

CLASSES = ("base", "bastion", "api", "worker")
LYNIS_INDEX = 80


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
    ec2 = demo.client("ec2")
    key = tmp_path_factory.mktemp("key") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    ec2.import_key_pair(KeyName="audit", PublicKeyMaterial=key.with_suffix(".pub").read_bytes())
    [bastion] = demo.machines("sandbox", "bastion")
    subnet, vpc = bastion["SubnetId"], bastion["VpcId"]
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
        NetworkInterfaces=[
            {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group], "AssociatePublicIpAddress": True}
        ],
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
