# SPDX-License-Identifier: Apache-2.0
"""A region in this process, on a simulated substrate, spoken to by boto3 over real HTTP."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.core.base_backend import BackendDict
from moto.ec2.models import ec2_backends

from sandbox.api.server import ApiServer
from sandbox.clock import RegionClock
from sandbox.pages import Pages
from sandbox.region import Region, RegionOptions
from sandbox.simulated import SimulatedSubstrate
from sandbox.simulation import Simulation

REGION = "us-east-1"
PATIENCE_S = 5.0
# Reading the models of a service takes longer than most tests.
SESSION = boto3.session.Session(region_name=REGION)


@dataclass
class LocalRegion:
    """A region and the ways to reach it."""

    region: Region
    substrate: SimulatedSubstrate
    endpoint: str

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def client(self, service: str, **options: Any) -> Any:
        """Return a boto3 client of this region."""
        if not options and service in self._clients:
            return self._clients[service]
        credentials = {"aws_access_key_id": "anything", "aws_secret_access_key": "goes"} | options
        config = Config(retries={"total_max_attempts": 1})
        client = SESSION.client(service, endpoint_url=self.endpoint, config=config, **credentials)
        if not options:
            self._clients[service] = client
        return client

    def fetch(self, method: str, path: str, **options: Any) -> bytes:
        """Return the body of a plain HTTP answer."""
        connection = HTTPConnection(self.endpoint.removeprefix("http://"))
        try:
            connection.request(method, path, **options)
            return connection.getresponse().read()
        finally:
            connection.close()

    @property
    def ami_id(self) -> str:
        """The public Debian image."""
        images = self.client("ec2").describe_images(Owners=["136693071363"])["Images"]
        return str(images[0]["ImageId"])

    def launch(self, **options: Any) -> str:
        """Launch one instance and wait until it runs."""
        options = {"ImageId": self.ami_id, "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.small"} | options
        instance_id = str(self.client("ec2").run_instances(**options)["Instances"][0]["InstanceId"])
        self.await_state(instance_id, "running")
        return instance_id

    def instance(self, instance_id: str) -> dict[str, Any]:
        """Describe an instance."""
        answer = self.client("ec2").describe_instances(InstanceIds=[instance_id])
        return dict(answer["Reservations"][0]["Instances"][0])

    def await_state(self, instance_id: str, state: str) -> dict[str, Any]:
        """Wait for a state."""
        return self.until(
            lambda: self.instance(instance_id), lambda seen: bool(seen["State"]["Name"] == state)
        )

    def until(self, fetch: Callable[[], Any], done: Callable[[Any], bool]) -> Any:
        """Fetch until done, for a few seconds at most."""
        end = time.monotonic() + PATIENCE_S
        while not done(seen := fetch()):
            assert time.monotonic() < end, f"still {seen}"
            time.sleep(0.01)
        return seen


def forget_everything() -> None:
    """Empty moto. Its own reset would first make EC2 anew, with a thousand images."""
    every: Any = BackendDict
    for services in every._instances:
        if services.service_name != "ec2":
            for account in services.values():
                account.reset()
    # Some services make EC2's state when they are reset.
    for services in every._instances:
        services.clear()
    every._instances.clear()
    # When a mock of moto's ends, EC2's state may be made again, and not be among those any more.
    ec2_backends.clear()


def make_region(
    substrate: SimulatedSubstrate,
    state_file: Path | None = None,
    clock: RegionClock | None = None,
    simulation: Simulation | None = None,
) -> Iterator[LocalRegion]:
    """Run a region until the generator is closed."""
    forget_everything()
    pages = Pages(mode="simulated", region_name=REGION, operator_address="127.0.0.1")
    listener = socket.create_server(("127.0.0.1", 0))
    endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
    options = RegionOptions(
        REGION, "simulated", "198.18.0.0/15", endpoint, state_file, clock=clock, simulation=simulation
    )
    region = Region(options, substrate, pages)
    region.start()
    region.install_public_image()
    pages.describe(region)
    server = ApiServer(region.gateway)
    server.serve(listener)
    try:
        yield LocalRegion(region, substrate, endpoint)
    finally:
        server.close()
        try:
            region.close()
        finally:
            forget_everything()


@pytest.fixture(name="substrate")
def fixture_substrate() -> SimulatedSubstrate:
    """Return what carries the region's machines."""
    return SimulatedSubstrate()


@pytest.fixture(name="local")
def fixture_local(substrate: SimulatedSubstrate) -> Iterator[LocalRegion]:
    """Return a fresh region."""
    yield from make_region(substrate)
