# SPDX-License-Identifier: Apache-2.0
"""What is durable outlives the region; machines do not."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.simulated import SimulatedSubstrate
from sandbox.substrate import PowerState

from .conftest import LocalRegion, make_region


@contextmanager
def running(substrate: SimulatedSubstrate, state_file: Path) -> Any:
    """Run a region that saves itself."""
    regions = make_region(substrate, state_file)
    yield next(regions)
    next(regions, None)


def fill(local: LocalRegion) -> dict[str, str]:
    """Make one of everything that should last."""
    ec2, s3, ssm = (local.client(name) for name in ("ec2", "s3", "ssm"))
    instance_id = local.launch()
    ami_id = ec2.create_image(InstanceId=instance_id, Name="base-1")["ImageId"]
    local.until(
        lambda: ec2.describe_images(ImageIds=[ami_id])["Images"][0]["State"],
        lambda state: bool(state == "available"),
    )
    ec2.create_tags(Resources=[ami_id], Tags=[{"Key": "slipway:state", "Value": "published"}])
    vpc_id = ec2.create_vpc(CidrBlock="10.90.0.0/16")["Vpc"]["VpcId"]
    ec2.create_key_pair(KeyName="me", KeyType="ed25519")
    s3.create_bucket(Bucket="config")
    s3.put_object(Bucket="config", Key="manifest", Body=b"contents")
    ssm.put_parameter(Name="/slipway/sandbox/web/ami", Value=ami_id, Type="String")
    ssm.put_parameter(Name="/slipway/sandbox/secret", Value="hidden", Type="SecureString")
    local.client("sqs").create_queue(QueueName="jobs")
    local.client("iam").create_role(RoleName="web", AssumeRolePolicyDocument="{}")
    key_id = local.client("kms").create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"][
        "KeyId"
    ]
    return {
        "ami": ami_id,
        "vpc": vpc_id,
        "instance": instance_id,
        "key": key_id,
        "signed": _sign(local, key_id),
    }


def _sign(local: LocalRegion, key_id: str) -> str:
    algorithm = "RSASSA_PKCS1_V1_5_SHA_512"  # the same message has the same signature
    signed = local.client("kms").sign(KeyId=key_id, Message=b"me", SigningAlgorithm=algorithm)
    return str(signed["Signature"].hex())


def test_down_and_up_keeps_what_is_durable(substrate: SimulatedSubstrate, tmp_path: Path) -> None:
    with running(substrate, tmp_path / "region.state") as local:
        made = fill(local)
    substrate.destroy_all()
    with running(substrate, tmp_path / "region.state") as local:
        ec2, s3, ssm = (local.client(name) for name in ("ec2", "s3", "ssm"))
        image = ec2.describe_images(ImageIds=[made["ami"]])["Images"][0]
        assert (image["State"], image["Tags"][0]["Value"]) == ("available", "published")
        assert made["vpc"] in {vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]}
        assert ec2.describe_key_pairs()["KeyPairs"][0]["KeyName"] == "me"
        assert s3.get_object(Bucket="config", Key="manifest")["Body"].read() == b"contents"
        values = ssm.get_parameters_by_path(Path="/slipway", Recursive=True, WithDecryption=True)[
            "Parameters"
        ]
        assert {each["Value"] for each in values} == {made["ami"], "hidden"}
        assert local.client("iam").get_role(RoleName="web")["Role"]["RoleName"] == "web"
        assert len(local.client("kms").list_keys()["Keys"]) == 1
        assert _sign(local, made["key"]) == made["signed"]
        sqs = local.client("sqs")
        queue = sqs.get_queue_url(QueueName="jobs")["QueueUrl"]
        sqs.send_message(QueueUrl=queue, MessageBody="more")
        assert [each["Body"] for each in sqs.receive_message(QueueUrl=queue)["Messages"]] == ["more"]
        seen = local.instance(made["instance"])
        assert (seen["State"]["Name"], seen["StateReason"]["Code"]) == ("terminated", "Server.InternalError")
        local.launch(ImageId=made["ami"])
        assert len(ec2.describe_images(Owners=["136693071363"])["Images"]) == 1


def test_machines_that_survived_the_daemon_are_taken_over(
    substrate: SimulatedSubstrate, tmp_path: Path
) -> None:
    with running(substrate, tmp_path / "region.state") as local:
        instance_id, stopped_id = local.launch(), local.launch()
        local.client("ec2").stop_instances(InstanceIds=[stopped_id])
        local.await_state(stopped_id, "stopped")
    substrate.power["i-stray"] = PowerState.RUNNING
    with running(substrate, tmp_path / "region.state") as local:
        assert local.instance(instance_id)["State"]["Name"] == "running"
        assert "i-stray" not in substrate.power
        assert [vpc.machines[0].instance_id for vpc in substrate.networks]
        local.client("ec2").start_instances(InstanceIds=[stopped_id])
        local.await_state(stopped_id, "running")


def test_an_image_that_lost_its_disk_is_deregistered(substrate: SimulatedSubstrate, tmp_path: Path) -> None:
    with running(substrate, tmp_path / "region.state") as local:
        fill(local)
    substrate.disks.clear()
    with running(substrate, tmp_path / "region.state") as local:
        assert local.client("ec2").describe_images(Owners=["self"])["Images"] == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: b"",
        lambda whole: whole.replace(b'"format": 1', b'"format": 0'),
        lambda whole: whole.partition(b"\n")[0] + b"\nnonsense",
    ],
    ids=["truncated", "empty", "other-format", "nonsense"],
)
def test_a_file_that_cannot_be_read_is_set_aside(
    substrate: SimulatedSubstrate, tmp_path: Path, spoil: Any, caplog: Any
) -> None:
    state_file = tmp_path / "region.state"
    with running(substrate, state_file) as local:
        local.client("s3").create_bucket(Bucket="config")
    state_file.write_bytes(spoil(state_file.read_bytes()))
    with running(substrate, state_file) as local:
        assert local.client("s3").list_buckets()["Buckets"] == []
    assert "set aside" in caplog.text
    assert len(list(tmp_path.glob("region.unreadable-*"))) == 1
