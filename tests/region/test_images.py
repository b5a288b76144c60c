# SPDX-License-Identifier: Apache-2.0
"""Images stand for disks, from capture to removal."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.substrate import SubstrateError


def code_of(call: Any, **arguments: Any) -> str:
    """Return the error code that a call answers."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def image_of(local: Any, ami_id: str) -> dict[str, Any]:
    """Describe an image."""
    return dict(local.client("ec2").describe_images(ImageIds=[ami_id])["Images"][0])


def bake(local: Any, name: str = "base-1", **options: Any) -> dict[str, Any]:
    """Make an image of a new instance and wait for it."""
    instance_id = local.launch()
    ami_id = local.client("ec2").create_image(InstanceId=instance_id, Name=name, **options)["ImageId"]
    return dict(local.until(lambda: image_of(local, ami_id), lambda image: image["State"] == "available"))


def test_the_public_debian_image(local: Any) -> None:
    image = image_of(local, local.ami_id)
    assert image["OwnerId"] == "136693071363"
    assert image["Name"].startswith("debian-12-")
    assert image["Public"] is True
    assert (image["RootDeviceType"], image["RootDeviceName"]) == ("ebs", "/dev/xvda")
    assert image["VirtualizationType"] == "hvm"
    found = local.client("ec2").describe_images(
        Owners=["136693071363"],
        Filters=[
            {"Name": "name", "Values": ["debian-12-*"]},
            {"Name": "root-device-type", "Values": ["ebs"]},
            {"Name": "virtualization-type", "Values": ["hvm"]},
            {"Name": "architecture", "Values": [image["Architecture"]]},
        ],
    )
    assert [each["ImageId"] for each in found["Images"]] == [local.ami_id]


def test_an_image_captures_the_disk_and_launches(local: Any, substrate: Any) -> None:
    tags = [{"ResourceType": kind, "Tags": [{"Key": "of", "Value": kind}]} for kind in ("image", "snapshot")]
    image = bake(local, TagSpecifications=tags, Description="the base")
    assert image["ImageId"] in substrate.disks
    assert image["Tags"] == [{"Key": "of", "Value": "image"}]
    assert image["Description"] == "the base"
    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    snapshot = local.client("ec2").describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]
    assert (snapshot["State"], snapshot["Tags"]) == ("completed", [{"Key": "of", "Value": "snapshot"}])
    assert substrate.specs[local.launch(ImageId=image["ImageId"])].ami_id == image["ImageId"]


def test_a_capture_that_fails_shows_the_reason(local: Any, substrate: Any) -> None:
    instance_id = local.launch()
    substrate.capture = lambda *_: (_ for _ in ()).throw(SubstrateError("commit", "disk full"))
    ami_id = local.client("ec2").create_image(InstanceId=instance_id, Name="broken")["ImageId"]
    image = local.until(lambda: image_of(local, ami_id), lambda image: image["State"] != "pending")
    assert image["State"] == "failed"
    assert "disk full" in image["StateReason"]["Message"]
    arguments = {"ImageId": ami_id, "MinCount": 1, "MaxCount": 1}
    assert code_of(local.client("ec2").run_instances, **arguments) == "InvalidAMIID.Unavailable"


def test_a_running_instance_is_off_while_it_is_captured(local: Any, substrate: Any) -> None:
    powers = []
    capture = substrate.capture
    substrate.capture = lambda instance_id, ami_id: (
        powers.append(str(substrate.power[instance_id])),
        capture(instance_id, ami_id),
    )
    bake(local, "with-reboot")
    bake(local, "without-reboot", NoReboot=True)
    assert powers == ["powered-off", "running"]
    assert set(map(str, substrate.power.values())) == {"running"}


def test_names_are_unique_and_well_formed(local: Any) -> None:
    bake(local, "base-1")
    ec2 = local.client("ec2")
    instance_id = local.launch()
    assert code_of(ec2.create_image, InstanceId=instance_id, Name="base-1") == "InvalidAMIName.Duplicate"
    assert code_of(ec2.create_image, InstanceId=instance_id, Name="a:b") == "InvalidAMIName.Malformed"


def test_a_snapshot_outlives_its_image_and_keeps_the_disk(local: Any, substrate: Any) -> None:
    ec2 = local.client("ec2")
    image = bake(local)
    ami_id, snapshot_id = image["ImageId"], image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert code_of(ec2.delete_snapshot, SnapshotId=snapshot_id) == "InvalidSnapshot.InUse"
    ec2.deregister_image(ImageId=ami_id)
    assert ec2.describe_images(Owners=["self"])["Images"] == []
    mappings = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}]
    again = ec2.register_image(Name="again", RootDeviceName="/dev/xvda", BlockDeviceMappings=mappings)
    local.launch(ImageId=again["ImageId"])
    ec2.deregister_image(ImageId=again["ImageId"])
    ec2.delete_snapshot(SnapshotId=snapshot_id)
    assert substrate.disks == {local.ami_id}


def test_deregister_with_snapshots(local: Any, substrate: Any) -> None:
    image = bake(local)
    answer = local.client("ec2").deregister_image(ImageId=image["ImageId"], DeleteAssociatedSnapshots=True)
    assert len(answer["DeleteSnapshotResults"]) == 1
    assert substrate.disks == {local.ami_id}


def test_a_copy_is_independent(local: Any, substrate: Any) -> None:
    ec2 = local.client("ec2")
    image = bake(local)
    ec2.create_tags(Resources=[image["ImageId"]], Tags=[{"Key": "k", "Value": "v"}])
    copy = ec2.copy_image(
        SourceImageId=image["ImageId"], SourceRegion="us-east-1", Name="copy", CopyImageTags=True
    )["ImageId"]
    ec2.deregister_image(ImageId=image["ImageId"], DeleteAssociatedSnapshots=True)
    seen = image_of(local, copy)
    assert (seen["State"], seen["Tags"]) == ("available", [{"Key": "k", "Value": "v"}])
    local.launch(ImageId=copy)
    assert substrate.disks == {local.ami_id, copy}


def test_protection_deprecation_and_description(local: Any) -> None:
    ec2 = local.client("ec2")
    ami_id = bake(local)["ImageId"]
    ec2.modify_image_attribute(ImageId=ami_id, Description={"Value": "new words"})
    ec2.enable_image_deprecation(ImageId=ami_id, DeprecateAt="2030-01-01T00:00:31Z")
    ec2.enable_image_deregistration_protection(ImageId=ami_id)
    seen = image_of(local, ami_id)
    assert seen["Description"] == "new words"
    assert seen["DeprecationTime"] == "2030-01-01T00:01:00.000Z"
    assert code_of(ec2.deregister_image, ImageId=ami_id) == "OperationNotPermitted"
    ec2.disable_image_deregistration_protection(ImageId=ami_id)
    ec2.deregister_image(ImageId=ami_id)


def test_the_public_image_is_not_ours_to_remove(local: Any) -> None:
    assert code_of(local.client("ec2").deregister_image, ImageId=local.ami_id) == "AuthFailure"
