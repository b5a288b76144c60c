# SPDX-License-Identifier: Apache-2.0
"""The contract of the port Machines."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import pytest
from botocore.stub import ANY, Stubber

from orchestrator.aws.machines import AwsMachines
from orchestrator.errors import AwsError, NotFound
from orchestrator.ports import MachineRequest, Machines, Subnet, Tagged
from tests.contract.conftest import Aws
from tests.fakes import HOST_KEY, FakeClock, FakeMachines

RUN = "slipway:run"
UNKNOWN = "i-0123456789abcdef0"
ANY_RUN = dict.fromkeys(
    (
        "ImageId",
        "InstanceType",
        "MinCount",
        "MaxCount",
        "NetworkInterfaces",
        "MetadataOptions",
        "InstanceInitiatedShutdownBehavior",
        "TagSpecifications",
    ),
    ANY,
)


class World(Protocol):
    """An account with the network `sandbox`, an image, and machines that a test can see boot."""

    machines: Machines
    subnet: Subnet
    ami_id: str

    def make_volume(self, tags: dict[str, str]) -> str: ...


class FakeWorld:
    ami_id = "ami-0123456789abcdef0"

    def __init__(self, clock: FakeClock) -> None:
        self.machines = self._fake = FakeMachines(clock)
        self.subnet = self._fake.subnets["sandbox"]

    def make_volume(self, tags: dict[str, str]) -> str:
        volume_id = f"vol-{len(self._fake.volumes):017x}"
        self._fake.volumes[volume_id] = Tagged(volume_id, tags.get("Name", ""), tags)
        return volume_id


class MotoWorld:
    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        self.machines = AwsMachines(aws.session, clock)
        self.ec2 = aws.ec2
        vpc = self.ec2.create_vpc(CidrBlock="10.90.0.0/16")["Vpc"]["VpcId"]
        made = [self._subnet(vpc, zone, tier) for zone in "ba" for tier in ("data", "public")]
        self.subnet = Subnet(made[-1], vpc, "us-east-1a")
        self.ami_id = self.ec2.register_image(Name="one", RootDeviceName="/dev/xvda")["ImageId"]

    def _subnet(self, vpc: str, zone: str, tier: str) -> str:
        third = "ab".index(zone) * 2 + ("data", "public").index(tier)
        tags = [{"Key": "slipway:network", "Value": "sandbox"}, {"Key": "slipway:tier", "Value": tier}]
        answer = self.ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=f"10.90.{third}.0/24",
            AvailabilityZone=f"us-east-1{zone}",
            TagSpecifications=[{"ResourceType": "subnet", "Tags": tags}],
        )
        return str(answer["Subnet"]["SubnetId"])

    def make_volume(self, tags: dict[str, str]) -> str:
        specification = [
            {"ResourceType": "volume", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
        ]
        answer = self.ec2.create_volume(
            AvailabilityZone="us-east-1a", Size=1, TagSpecifications=specification
        )
        return str(answer["VolumeId"])


@pytest.fixture(params=["fake", "ec2"])
def world(request: pytest.FixtureRequest, clock: FakeClock) -> World:
    if request.param == "fake":
        return FakeWorld(clock)
    return MotoWorld(request.getfixturevalue("aws"), clock)


def group(world: World, name: str = "slipway-1") -> str:
    return world.machines.create_security_group(
        name, world.subnet.vpc_id, ssh_from="192.0.2.7/32", tags={RUN: "r1"}
    )


def request_for(world: World, group_id: str, **changes: Any) -> MachineRequest:
    plain = MachineRequest(
        ami_id=world.ami_id,
        instance_type="t3.small",
        subnet_id=world.subnet.subnet_id,
        security_group_id=group_id,
        key_name="",
        tags={RUN: "r1", "Name": "boot-test-api"},
    )
    return replace(plain, **changes)


class TestMachines:
    def test_a_machine_carries_its_tags_from_the_start(self, world: World) -> None:
        instance_id = world.machines.run(request_for(world, group(world)))
        machine = world.machines.describe(instance_id)
        assert machine.instance_id == instance_id
        assert machine.ami_id == world.ami_id
        assert machine.tags == {RUN: "r1", "Name": "boot-test-api"}
        assert machine.state in ("pending", "running")
        assert machine.private_address.startswith("10.90.")
        assert machine.public_address
        assert len(machine.volume_ids) == 1

    def test_launches_without_a_token_are_different_machines(self, world: World) -> None:
        request = request_for(world, group(world))
        assert world.machines.run(request) != world.machines.run(request)

    def test_an_unknown_machine_is_not_found(self, world: World) -> None:
        with pytest.raises(NotFound):
            world.machines.describe(UNKNOWN)
        with pytest.raises(NotFound):
            world.machines.console_output(UNKNOWN)

    def test_terminated_machines_are_not_listed(self, world: World, clock: FakeClock) -> None:
        group_id = group(world)
        gone, there = (world.machines.run(request_for(world, group_id)) for _ in range(2))
        world.machines.terminate([gone])
        clock.advance(60)
        assert [each.instance_id for each in world.machines.tagged(RUN)] == [there]
        assert world.machines.tagged("slipway:other") == ()

    def test_an_unknown_machine_does_not_keep_others_from_being_terminated(
        self, world: World, clock: FakeClock
    ) -> None:
        instance_id = world.machines.run(request_for(world, group(world)))
        world.machines.terminate([UNKNOWN, instance_id])
        clock.advance(60)
        assert world.machines.describe(instance_id).state == "terminated"

    def test_terminating_is_repeatable_and_of_nothing_is_nothing(self, world: World) -> None:
        instance_id = world.machines.run(request_for(world, group(world)))
        world.machines.terminate([instance_id])
        world.machines.terminate([instance_id])
        world.machines.terminate([UNKNOWN])
        world.machines.terminate([])

    def test_the_public_subnet_is_of_that_network_and_tier(self, world: World) -> None:
        assert world.machines.public_subnet("sandbox") == world.subnet
        with pytest.raises(NotFound):
            world.machines.public_subnet("production")

    def test_keys_are_found_by_tag_and_forgotten(self, world: World) -> None:
        world.machines.import_key("slipway-1", HOST_KEY, {RUN: "r1"})
        world.machines.import_key("slipway-2", HOST_KEY, {"other": "r1"})
        (found,) = world.machines.keys_tagged(RUN)
        assert (found.name, found.tags) == ("slipway-1", {RUN: "r1"})
        assert found.resource_id.startswith("key-")
        world.machines.delete_key("slipway-1")
        world.machines.delete_key("slipway-1")
        assert world.machines.keys_tagged(RUN) == ()

    def test_a_key_name_is_given_once(self, world: World) -> None:
        world.machines.import_key("slipway-1", HOST_KEY, {RUN: "r1"})
        with pytest.raises(AwsError) as caught:
            world.machines.import_key("slipway-1", HOST_KEY, {RUN: "r1"})
        assert caught.value.code == "InvalidKeyPair.Duplicate"

    def test_groups_are_found_by_tag_and_deleted(self, world: World) -> None:
        group_id = group(world)
        (found,) = world.machines.security_groups_tagged(RUN)
        assert (found.resource_id, found.name, found.tags) == (group_id, "slipway-1", {RUN: "r1"})
        world.machines.delete_security_group(group_id)
        world.machines.delete_security_group(group_id)
        assert world.machines.security_groups_tagged(RUN) == ()

    def test_a_group_name_is_given_once(self, world: World) -> None:
        group(world)
        with pytest.raises(AwsError) as caught:
            group(world)
        assert caught.value.code == "InvalidGroup.Duplicate"

    def test_volumes_are_found_by_tag_unless_a_machine_has_them(self, world: World) -> None:
        world.machines.run(request_for(world, group(world)))
        volume_id = world.make_volume({RUN: "r1", "Name": "left"})
        world.make_volume({"other": "r1"})
        assert world.machines.volumes_tagged(RUN) == (Tagged(volume_id, "left", {RUN: "r1", "Name": "left"}),)
        world.machines.delete_volume(volume_id)
        world.machines.delete_volume(volume_id)
        assert world.machines.volumes_tagged(RUN) == ()


class TestFake:
    """What EC2 does and moto does not; TestStubbedEc2 has the adapter's side of it."""

    @pytest.fixture
    def world(self, clock: FakeClock) -> FakeWorld:
        return FakeWorld(clock)

    def test_a_repeated_launch_with_the_same_token_is_the_same_machine(self, world: World) -> None:
        request = request_for(world, group(world), client_token="once")
        assert world.machines.run(request) == world.machines.run(request)
        assert len(world.machines.tagged(RUN)) == 1

    def test_a_launch_in_an_unknown_group_is_not_found(self, world: World) -> None:
        with pytest.raises(NotFound):
            world.machines.run(request_for(world, "sg-0123456789abcdef0"))

    def test_a_group_in_use_is_deleted_once_its_machine_is_gone(self, world: World, clock: FakeClock) -> None:
        group_id = group(world)
        instance_id = world.machines.run(request_for(world, group_id))
        clock.schedule(20, lambda: world.machines.terminate([instance_id]))
        world.machines.delete_security_group(group_id)
        assert world.machines.security_groups_tagged(RUN) == ()
        assert sum(clock.slept) >= 20

    def test_a_group_that_stays_in_use_is_an_error(self, world: World, clock: FakeClock) -> None:
        group_id = group(world)
        world.machines.run(request_for(world, group_id))
        with pytest.raises(AwsError) as caught:
            world.machines.delete_security_group(group_id)
        assert caught.value.code == "DependencyViolation"
        assert sum(clock.slept) >= 300


class TestStubbedEc2:
    """Answers of EC2 that moto does not give."""

    @pytest.fixture
    def stubber(self, aws: Aws) -> Iterator[Stubber]:
        with Stubber(aws.ec2) as stubber:
            yield stubber
            stubber.assert_no_pending_responses()

    @pytest.fixture
    def machines(self, aws: Aws, clock: FakeClock) -> AwsMachines:
        return AwsMachines(aws.session, clock)

    def test_a_group_in_use_is_deleted_once_its_machine_is_gone(
        self, machines: AwsMachines, stubber: Stubber, clock: FakeClock
    ) -> None:
        for _ in range(3):
            stubber.add_client_error("delete_security_group", "DependencyViolation")
        stubber.add_response("delete_security_group", {}, {"GroupId": "sg-1"})
        machines.delete_security_group("sg-1")
        assert len(clock.slept) == 3

    def test_a_group_that_stays_in_use_is_an_error(
        self, machines: AwsMachines, stubber: Stubber, clock: FakeClock
    ) -> None:
        clock.schedule(1, lambda: clock.advance(300))
        for _ in range(3):
            stubber.add_client_error("delete_security_group", "DependencyViolation")
        with pytest.raises(AwsError) as caught:
            machines.delete_security_group("sg-1")
        assert caught.value.code == "DependencyViolation"

    def test_a_group_that_may_not_be_deleted_is_an_error_at_once(
        self, machines: AwsMachines, stubber: Stubber, clock: FakeClock
    ) -> None:
        stubber.add_client_error("delete_security_group", "UnauthorizedOperation")
        with pytest.raises(AwsError) as caught:
            machines.delete_security_group("sg-1")
        assert (caught.value.code, clock.slept) == ("UnauthorizedOperation", [])

    def test_the_token_goes_along_and_a_launch_waits_until_ec2_knows_its_machine(
        self, machines: AwsMachines, stubber: Stubber, clock: FakeClock
    ) -> None:
        request = MachineRequest("ami-1", "t3.small", "subnet-1", "sg-1", "", {}, client_token="once")
        known = {"InstanceId": "i-1", "State": {"Name": "pending"}}
        stubber.add_response("run_instances", {"Instances": [known]}, ANY_RUN | {"ClientToken": "once"})
        stubber.add_client_error("describe_instances", "InvalidInstanceID.NotFound")
        stubber.add_response("describe_instances", {"Reservations": [{"Instances": [known]}]})
        assert machines.run(request) == "i-1"
        assert len(clock.slept) == 1

    def test_a_launch_in_an_unknown_group_is_not_found(self, machines: AwsMachines, stubber: Stubber) -> None:
        stubber.add_client_error("run_instances", "InvalidGroup.NotFound")
        with pytest.raises(NotFound):
            machines.run(MachineRequest("ami-1", "t3.small", "subnet-1", "sg-1", "", {}))


class TestWhatEc2IsAskedFor:
    """What the fake has no notion of."""

    @pytest.fixture
    def world(self, aws: Aws, clock: FakeClock) -> MotoWorld:
        return MotoWorld(aws, clock)

    def test_a_group_admits_ssh_from_one_address_and_nothing_else(self, world: MotoWorld) -> None:
        found = world.ec2.describe_security_groups(GroupIds=[group(world)])["SecurityGroups"][0]
        (rule,) = found["IpPermissions"]
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 22, 22)
        assert [each["CidrIp"] for each in rule["IpRanges"]] == ["192.0.2.7/32"]
        assert (rule["Ipv6Ranges"], rule["UserIdGroupPairs"]) == ([], [])

    def test_a_group_that_can_not_be_opened_is_taken_back(self, world: MotoWorld) -> None:
        with pytest.raises(AwsError):
            world.machines.create_security_group(
                "slipway-1", world.subnet.vpc_id, ssh_from="nonsense", tags={RUN: "r1"}
            )
        assert world.machines.security_groups_tagged(RUN) == ()

    def test_a_machine_has_imdsv2_one_hop_away_its_key_and_user_data_and_tags_its_volume(
        self, world: MotoWorld
    ) -> None:
        world.machines.import_key("slipway-1", HOST_KEY, {})
        params: list[dict[str, Any]] = []
        event = "provide-client-params.ec2.RunInstances"
        world.ec2.meta.events.register(event, lambda params, seen=params, **_: seen.append(params), "seen")
        try:
            instance_id = world.machines.run(
                request_for(world, group(world), key_name="slipway-1", user_data="#cloud-config\n")
            )
        finally:
            world.ec2.meta.events.unregister(event, unique_id="seen")
        (asked,) = params
        assert asked["MetadataOptions"]["HttpTokens"] == "required"
        assert asked["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        assert asked["InstanceInitiatedShutdownBehavior"] == "terminate"
        volume_id = world.machines.describe(instance_id).volume_ids[0]
        tags = world.ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["Tags"]
        assert {"Key": RUN, "Value": "r1"} in tags
        data = world.ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
        assert base64.b64decode(data["UserData"]["Value"]) == b"#cloud-config\n"
