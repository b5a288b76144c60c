# SPDX-License-Identifier: Apache-2.0
"""The api fleet of the demo, rolled by whole command lines while its page is asked for all the time."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.variant import make_variant
from orchestrator.ports import LoadReport, LoadRequest, RunningLoad
from orchestrator.tools.load import TlsLoad
from orchestrator.tools.process import Processes
from tests.sandbox.bake.project import CHECKOUT, Ended, ended
from tests.sandbox.environments.demo import Demo

HOST = "api.sandbox.example.com"
GROUP = "slipway-sandbox-api"
PER_SECOND, LEAST_REQUESTS, LIMIT_S = 60.0, 2000, 900.0
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Fleet:
    """The fleet, the command that rolls it, and the load on its page."""

    demo: Demo

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a rollout as an operator does."""
        return self.demo.project.start("rollout", "--environment", "sandbox", "--fleet", "api", *words)

    def roll(self, *words: str) -> Ended:
        """Roll the fleet to the end."""
        return ended(self.start(*words), PATIENCE_S)

    def history(self) -> list[dict[str, Any]]:
        """Return the records of all rollouts, newest first."""
        bucket, prefix = "slipway-sandbox-config", "records/rollout/api/"
        s3 = self.demo.client("s3")
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
        return [
            json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            for key in sorted(keys, reverse=True)
        ]

    def refreshes(self) -> list[dict[str, Any]]:
        """Return the group's refreshes, newest first."""
        answer = self.demo.client("autoscaling").describe_instance_refreshes(AutoScalingGroupName=GROUP)
        return list(answer["InstanceRefreshes"])

    def other_image(self) -> str:
        """Return a published image of the class that the fleet does not run."""
        images = self.demo.client("ec2").describe_images(
            Owners=["self"], Filters=[{"Name": "name", "Values": ["api-*"]}]
        )["Images"]
        return next(str(each["ImageId"]) for each in images if each["ImageId"] != self.demo.pointer("api"))

    def machines(self) -> dict[str, set[str]]:
        """Return in which zones machines of each image are in service."""
        [group] = self.demo.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])[
            "AutoScalingGroups"
        ]
        serving = [each["InstanceId"] for each in group["Instances"] if each["LifecycleState"] == "InService"]
        found: dict[str, set[str]] = {}
        for machine in self.demo.machines("sandbox", "api"):
            if machine["InstanceId"] in serving:
                found.setdefault(machine["ImageId"], set()).add(machine["Placement"]["AvailabilityZone"])
        return found

    def leftovers(self) -> dict[str, Any]:
        """Return what no rollout may leave behind."""
        [group] = self.demo.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])[
            "AutoScalingGroups"
        ]
        locks = self.demo.client("s3").list_objects_v2(Bucket="slipway-sandbox-config", Prefix="locks/fleet/")
        return {
            "locks": [each["Key"] for each in locks.get("Contents", [])],
            "suspended": group["SuspendedProcesses"],
        }

    @contextmanager
    def loaded(self) -> Iterator[RunningLoad]:
        """Ask for the page for the block, and until there were enough requests."""
        request = LoadRequest(self._addresses(), HOST, "/health", PER_SECOND, LIMIT_S)
        with self._load().on(request) as load:
            yield load
            while load.report().requests < LEAST_REQUESTS:
                time.sleep(0.5)

    def _load(self) -> TlsLoad:
        def authority() -> str:
            url = f"http://127.0.0.1:{self.demo.project.port}/_slipway/ca.pem"
            with urllib.request.urlopen(url) as answer:
                return str(answer.read().decode())

        return TlsLoad(lambda: Processes("load"), python=Path(sys.executable), authority=authority)

    def _addresses(self) -> tuple[str, ...]:
        filters = [{"Name": "description", "Values": ["ELB app/*"]}]
        interfaces = self.demo.client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
        return tuple(sorted(each["Association"]["PublicIp"] for each in interfaces))


def nothing_failed(report: LoadReport) -> None:
    """Assert that every one of enough requests was answered, over all that happened."""
    assert (report.failed, report.examples) == (0, ())
    assert report.requests >= LEAST_REQUESTS


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a command so that it can't clean up."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.fixture
def fleet(demo: Demo) -> Fleet:
    """The demo's api fleet."""
    return Fleet(demo)


@pytest.fixture
def broken_image(demo: Demo, tmp_path: Path) -> Iterator[str]:
    """An image that passes its boot test, and that the balancer never finds healthy; gone afterwards."""
    project, variant = demo.project.path, tmp_path / "variant"
    make_variant(project, variant, server_class="api", role=project / "examples/demo_images/broken")
    shutil.copytree(variant / "roles/variant_broken", project / "roles/variant_broken")
    shutil.copy(variant / "playbooks/images/api.yml", project / "playbooks/images/api.yml")
    try:
        baked = demo.project.bake("api").done()
    finally:
        shutil.copy(CHECKOUT / "playbooks/images/api.yml", project / "playbooks/images/api.yml")
        shutil.rmtree(project / "roles/variant_broken")
    ami_id = next(str(each["ami_id"]) for each in baked["classes"] if each["class"] == "api")
    yield ami_id
    ec2 = demo.client("ec2")
    [image] = ec2.describe_images(ImageIds=[ami_id])["Images"]
    ec2.deregister_image(ImageId=ami_id)
    for device in image["BlockDeviceMappings"]:
        ec2.delete_snapshot(SnapshotId=device["Ebs"]["SnapshotId"])
