# SPDX-License-Identifier: Apache-2.0
"""The instances of one launch: the first is made by moto, and the others say of themselves what it would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.api import siblings

from .simulated_world import Client, simulated

# What no two instances have in common: ids, addresses, and the place in the launch.
_OWN = re.compile(r"\b((i|eni|eni-attach|vol)-[0-9a-f]{17}|ip-[0-9-]+|10\.0\.0\.\d+|(..:){5}..)(?=\b|$)")
COUNT = 30
TEMPLATE = {
    "InstanceType": "t3.small",
    "KeyName": "k",
    "MetadataOptions": {"HttpTokens": "required"},
    "Monitoring": {"Enabled": True},
    "UserData": "IyE=",
    "TagSpecifications": [
        {"ResourceType": kind, "Tags": [{"Key": "of", "Value": kind}]}
        for kind in ("instance", "volume", "network-interface")
    ],
}


@pytest.fixture(name="client")
def fixture_client() -> Iterator[Client]:
    yield from simulated()


@pytest.fixture(name="subnet")
def fixture_subnet(client: Client) -> str:
    ec2 = client.aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.create_key_pair(KeyName="k", KeyType="ed25519")
    data = TEMPLATE | {"ImageId": client.local.ami_id}
    ec2.create_launch_template(LaunchTemplateName="t", LaunchTemplateData=data)
    return str(ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/26")["Subnet"]["SubnetId"])


def _launch(client: Client, subnet: str, count: int, **options: Any) -> list[str]:
    answer = client.aws("ec2").run_instances(
        LaunchTemplate={"LaunchTemplateName": "t"},
        SubnetId=subnet,
        MinCount=count,
        MaxCount=count,
        **options,
    )
    return [each["InstanceId"] for each in answer["Instances"]]


def _told(client: Client, instance_ids: list[str]) -> list[Any]:
    """Return everything that is said of instances, their interfaces and their volumes."""
    ec2 = client.aws("ec2")
    chosen = [{"Name": "attachment.instance-id", "Values": instance_ids}]
    pages = ec2.describe_instances(InstanceIds=instance_ids)["Reservations"]
    instances = [each for page in pages for each in page["Instances"]]
    nics = ec2.describe_network_interfaces(Filters=chosen)["NetworkInterfaces"]
    volumes = ec2.describe_volumes(Filters=chosen)["Volumes"]
    told: list[Any] = [[] for _ in instance_ids]
    for each in instances:
        told[instance_ids.index(each["InstanceId"])].append(each | {"AmiLaunchIndex": 0, "ClientToken": ""})
    for each in (*nics, *volumes):
        attachment = each.get("Attachment") or each["Attachments"][0]
        told[instance_ids.index(attachment["InstanceId"])].append(each)
    return told


def test_siblings_say_what_moto_would_have_made_them_say(
    client: Client, subnet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alike = _launch(client, subnet, 3)
    monkeypatch.setattr(siblings, "are_alike", lambda options: False)
    by_moto = _launch(client, subnet, 3)
    client.advance(60)
    wanted, found = ([_OWN.sub("-", repr(each)) for each in _told(client, made)] for made in (by_moto, alike))
    assert all(len(each) > 1000 for each in wanted)
    assert found == wanted


def test_nothing_that_is_one_instances_own_is_given_twice(client: Client, subnet: str) -> None:
    made = _launch(client, subnet, COUNT)
    own = [match for each in _told(client, made) for match in set(_OWN.findall(repr(each)))]
    for kind in ("i-", "eni-", "eni-attach-", "vol-", "10.0.0."):
        found = [each[0] for each in own if re.fullmatch(re.escape(kind) + r"[0-9a-f]+", each[0])]
        assert len(found) == len(set(found)) == COUNT
    indexes = client.aws("ec2").describe_instances(InstanceIds=made)["Reservations"][0]["Instances"]
    assert sorted(each["AmiLaunchIndex"] for each in indexes) == list(range(COUNT))


def test_one_sibling_changes_and_ends_without_the_others(client: Client, subnet: str) -> None:
    ec2 = client.aws("ec2")
    first, second, third = _launch(client, subnet, 3)
    client.advance(60)
    before = _told(client, [third])
    ec2.create_tags(Resources=[second], Tags=[{"Key": "of", "Value": "one"}])
    ec2.modify_instance_metadata_options(InstanceId=second, HttpTokens="optional")
    ec2.terminate_instances(InstanceIds=[first])
    client.advance(60)
    assert _told(client, [third]) == before
    assert len(ec2.describe_volumes()["Volumes"]) == len(
        ec2.describe_network_interfaces()["NetworkInterfaces"]
    )
    tags = ec2.describe_instances(InstanceIds=[second])["Reservations"][0]["Instances"][0]["Tags"]
    assert {"Key": "of", "Value": "one"} in tags


def test_a_launch_that_its_subnet_has_no_room_for_launches_nothing(client: Client, subnet: str) -> None:
    with pytest.raises(ClientError, match="InsufficientFreeAddressesInSubnet"):
        _launch(client, subnet, 60)
    assert client.aws("ec2").describe_instances()["Reservations"] == []
    made = _launch(client, subnet, 59)
    client.aws("ec2").terminate_instances(InstanceIds=made)
    client.advance(60)
    assert len(_launch(client, subnet, 59)) == 59


def test_what_was_forgotten_leaves_its_address_to_who_has_it_now(client: Client, subnet: str) -> None:
    client.aws("ec2").terminate_instances(InstanceIds=_launch(client, subnet, 59))
    client.advance(60)
    _launch(client, subnet, 59)
    client.advance(2 * 3600)
    addresses = [
        each["PrivateIpAddress"]
        for each in client.aws("ec2").describe_network_interfaces()["NetworkInterfaces"]
    ]
    assert len(addresses) == 59
    with pytest.raises(ClientError, match="InsufficientFreeAddressesInSubnet"):
        _launch(client, subnet, 1)
    assert len(set(addresses)) == 59
