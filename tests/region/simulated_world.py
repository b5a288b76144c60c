# SPDX-License-Identifier: Apache-2.0
"""A simulated region as a client sees it: the AWS API, and the pages that move its time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from sandbox.simulated import SimulatedSubstrate
from sandbox.simulation import Simulation

from .conftest import LocalRegion, make_region


class Client:
    """Calls a region's pages; whatever they and the AWS API answer is kept, byte for byte."""

    def __init__(self, local: LocalRegion) -> None:
        self.local = local
        self.heard: list[object] = []

    def aws(self, service: str) -> Any:
        """Return the client of a service."""
        is_new = service not in self.local._clients
        client = self.local.client(service)
        if is_new:
            client.meta.events.register("before-parse.*.*", self._hear)
        return client

    def page(self, method: str, path: str, document: Any = None, *, body: bytes = b"") -> tuple[int, Any]:
        """Return the status and the document of a page."""
        connection = HTTPConnection(self.local.endpoint.removeprefix("http://"))
        try:
            sent = body if document is None else json.dumps(document).encode()
            connection.request(method, f"/_sandbox/{path}", body=sent)
            answer = connection.getresponse()
            text = answer.read()
            self.heard.append((path, answer.status, answer.getheaders(), text))
            return answer.status, json.loads(text)
        finally:
            connection.close()

    def advance(self, seconds: float) -> dict[str, Any]:
        """Let time pass."""
        status, answer = self.page("POST", "clock/advance", {"seconds": seconds})
        assert status == 200, answer
        return dict(answer)

    def fault(self, **fault: Any) -> int:
        """Ask for a fault and return its number."""
        status, answer = self.page("POST", "faults", fault)
        assert status == 200, answer
        return int(answer["id"])

    def group(self, size: int, **options: Any) -> str:
        """Make a group in three zones and return its name."""
        subnets = {
            each["AvailabilityZone"][-1]: each for each in self.aws("ec2").describe_subnets()["Subnets"]
        }
        data = {"ImageId": self.local.ami_id, "InstanceType": "t3.small"}
        self.aws("ec2").create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
        self.aws("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName="web",
            MinSize=0,
            MaxSize=2 * size,
            DesiredCapacity=size,
            LaunchTemplate={"LaunchTemplateName": "web"},
            VPCZoneIdentifier=",".join(subnets[zone]["SubnetId"] for zone in "abc"),
            **options,
        )
        return "web"

    def members(self) -> list[tuple[str, str, str]]:
        """Return zone, lifecycle state and health of the instances in groups, in order of zones."""
        found = self.aws("autoscaling").describe_auto_scaling_instances()["AutoScalingInstances"]
        return sorted(
            (each["AvailabilityZone"], each["LifecycleState"], each["HealthStatus"]) for each in found
        )

    def _hear(self, response_dict: Any, operation_model: Any, **_: Any) -> None:
        # A body that is a stream can be read once only.
        body = None if operation_model.has_streaming_output else response_dict["body"]
        headers = list(response_dict["headers"].items())
        self.heard.append((operation_model.name, response_dict["status_code"], headers, body))


def simulated(seed: int = 7, state_file: Path | None = None) -> Iterator[Client]:
    """Run a simulated region until the generator is closed."""
    substrate = SimulatedSubstrate(has_networks=False)
    for local in make_region(substrate, state_file, simulation=Simulation(seed)):
        yield Client(local)
