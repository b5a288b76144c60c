# SPDX-License-Identifier: Apache-2.0
"""A checkout in which the demo ran, and the ways to look at its region."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3

from sandbox import names
from tests.sandbox.bake.project import Project


@dataclass(frozen=True)
class Demo:
    """A checkout in which the demo ran."""

    project: Project
    document: dict[str, Any]

    def client(self, service: str) -> Any:
        """Return a client of its region."""
        return _client(service, self.project.port)

    def images(self) -> dict[str, dict[str, Any]]:
        """Return the newest of our images by class."""
        found = self.client("ec2").describe_images(Owners=["self"])["Images"]
        return {
            image["Name"].rpartition("-")[0]: image
            for image in sorted(found, key=lambda image: image["CreationDate"])
        }

    def image_of(self, fleet: str) -> dict[str, Any]:
        """Return the image that a fleet runs, by its parameter."""
        [found] = self.client("ec2").describe_images(ImageIds=[self.pointer(fleet)])["Images"]
        return dict(found)

    def pointer(self, fleet: str) -> str:
        """Return what the parameter says that a fleet runs."""
        answer = self.client("ssm").get_parameter(Name=f"/slipway/sandbox/{fleet}/ami")
        return str(answer["Parameter"]["Value"])

    def machines(self, environment: str, fleet: str) -> list[dict[str, Any]]:
        """Return the running machines of a fleet, oldest first."""
        filters = [
            {"Name": "tag:slipway:environment", "Values": [environment]},
            {"Name": "tag:slipway:fleet", "Values": [fleet]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
        pages = self.client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
        found = [machine for page in pages for each in page["Reservations"] for machine in each["Instances"]]
        return sorted(found, key=lambda machine: machine["LaunchTime"])

    def output_of(self, stack: str, name: str) -> str:
        """Return an output of a stack."""
        [found] = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return next(str(each["OutputValue"]) for each in found["Outputs"] if each["OutputKey"] == name)

    def stacks(self) -> dict[str, str]:
        """Return the status of every stack by name."""
        pages = self.client("cloudformation").get_paginator("describe_stacks").paginate()
        return {each["StackName"]: each["StackStatus"] for page in pages for each in page["Stacks"]}

    def namespace(self, member_id: str) -> str:
        """Return the network namespace of a machine, or of a balancer's node by its interface."""
        return names.of_checkout(self.project.path).machine_namespace(member_id)

    def run(self, instance_id: str, command: str) -> subprocess.CompletedProcess[str]:
        """Run a shell command as root in a machine."""
        container = names.of_checkout(self.project.path).container(instance_id)
        # As a service: what machines know of their region is in the environment of services and logins.
        service = ["systemd-run", "--quiet", "--pipe", "--wait", "bash", "-c", command]
        argv = ["podman", "exec", "--interactive", container, *service]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)

    def json(self, *command: str) -> Any:
        """Return what a command prints for programs; it has to end well."""
        return self.project.run(*command, "--json").done()

    def records(self) -> Iterator[dict[str, Any]]:
        """Give the records of what was provisioned."""
        s3, bucket = self.client("s3"), "slipway-sandbox-config"
        for each in s3.list_objects_v2(Bucket=bucket, Prefix="records/provision/").get("Contents", []):
            yield json.loads(s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read())


@cache
def _client(service: str, port: int) -> Any:
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
