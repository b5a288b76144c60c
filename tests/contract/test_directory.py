# SPDX-License-Identifier: Apache-2.0
"""The contract of the port Directory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from orchestrator.aws.directory import AwsDirectory
from orchestrator.ports import Directory
from tests.contract.conftest import REGION, Aws
from tests.fakes.directory import FakeDirectory


class Cloud(ABC):
    """A directory, and what tests arrange behind it."""

    directory: Directory

    @abstractmethod
    def have(self, fleet: str, *, environment: str = "sandbox", zone: str = "us-east-1a") -> str:
        """Let a machine run, and return its id."""

    @abstractmethod
    def end(self, instance_id: str) -> None:
        """Let a machine run no more."""


class FakeCloud(Cloud):
    def __init__(self) -> None:
        self.directory = self.fake = FakeDirectory()
        self._count = 0

    def have(self, fleet: str, *, environment: str = "sandbox", zone: str = "us-east-1a") -> str:
        self._count += 1
        name = f"i-{self._count:017x}"
        self.fake.have(fleet, name, environment=environment, zone=zone)
        return name

    def end(self, instance_id: str) -> None:
        for name, machines in self.fake.machines.items():
            self.fake.machines[name] = [each for each in machines if each.instance_id != instance_id]


class AwsCloud(Cloud):
    def __init__(self, aws: Aws) -> None:
        self._ec2 = aws.ec2
        self.directory = AwsDirectory(aws.session)

    def have(self, fleet: str, *, environment: str = "sandbox", zone: str = "us-east-1a") -> str:
        tags = {"slipway:environment": environment, "slipway:fleet": fleet}
        answer = self._ec2.run_instances(
            ImageId="ami-12345678",
            MinCount=1,
            MaxCount=1,
            Placement={"AvailabilityZone": zone},
            TagSpecifications=[
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": key, "Value": value} for key, value in tags.items() if value],
                }
            ],
        )
        return str(answer["Instances"][0]["InstanceId"])

    def end(self, instance_id: str) -> None:
        self._ec2.terminate_instances(InstanceIds=[instance_id])


@pytest.fixture(params=["fake", "aws"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    return FakeCloud() if request.param == "fake" else AwsCloud(request.getfixturevalue("aws"))


class TestDirectory:
    def test_running_machines_of_an_environment_or_a_fleet_are_told_oldest_first(self, cloud: Cloud) -> None:
        ids = [cloud.have("api", zone=f"{REGION}{letter}") for letter in "ab"]
        worker, other = cloud.have("worker"), cloud.have("api", environment="dev")
        gone = cloud.have("api")
        cloud.end(gone)
        found = cloud.directory.running("sandbox")
        assert {each.instance_id: (each.fleet, each.zone) for each in found} == {
            ids[0]: ("api", "us-east-1a"),
            ids[1]: ("api", "us-east-1b"),
            worker: ("worker", "us-east-1a"),
        }
        assert list(found) == sorted(found, key=lambda each: (each.launched_at, each.instance_id))
        assert {each.instance_id for each in cloud.directory.running("sandbox", "api")} == set(ids)
        assert [each.instance_id for each in cloud.directory.running("dev", "api")] == [other]

    def test_machines_have_addresses_and_a_time(self, cloud: Cloud) -> None:
        cloud.have("bastion")
        [found] = cloud.directory.running("sandbox", "bastion")
        assert found.private_address
        assert found.public_address
        assert found.launched_at.tzinfo is not None

    def test_nothing_runs_where_nothing_is(self, cloud: Cloud) -> None:
        assert cloud.directory.running("sandbox") == ()
        assert cloud.directory.running("sandbox", "api") == ()


def test_machines_outside_of_fleets_have_no_doors(aws: Aws) -> None:
    cloud = AwsCloud(aws)
    cloud.have("")
    assert cloud.directory.running("sandbox") == ()


def test_all_pages_are_read(aws: Aws) -> None:
    filters = [
        {"Name": "tag:slipway:environment", "Values": ["sandbox"]},
        {"Name": "tag:slipway:fleet", "Values": ["api"]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    with Stubber(aws.ec2) as stubber:
        for number, asked in ((2, {}), (1, {"NextToken": "more"})):
            instance = {
                "InstanceId": f"i-{number}",
                "Placement": {"AvailabilityZone": "us-east-1a"},
                "LaunchTime": datetime(2026, 1, number, tzinfo=UTC),
            }
            answer: dict[str, Any] = {"Reservations": [{"Instances": [instance]}]}
            answer |= {} if asked else {"NextToken": "more"}
            stubber.add_response("describe_instances", answer, {"Filters": filters, **asked})
        found = AwsDirectory(aws.session).running("sandbox", "api")
        stubber.assert_no_pending_responses()
    assert [each.instance_id for each in found] == ["i-1", "i-2"]
