# SPDX-License-Identifier: Apache-2.0
"""An image is a disk: by CreateImage, and by Debian's unmodified Packer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import RealRegion, until

pytestmark = pytest.mark.sandbox

TEMPLATE = """
variable "endpoint" {}
variable "source_ami" {}
variable "subnet" {}
variable "operator" {}
source "amazon-ebs" "image" {
  custom_endpoint_ec2                   = var.endpoint
  region                                = "us-east-1"
  skip_region_validation                = true
  source_ami                            = var.source_ami
  ami_name                              = "packed-1"
  ami_description                       = "made by packer"
  instance_type                         = "t3.small"
  subnet_id                             = var.subnet
  associate_public_ip_address           = true
  ssh_username                          = "admin"
  temporary_security_group_source_cidrs = ["${var.operator}/32"]
  aws_polling {
    delay_seconds = 1
    max_attempts  = 120
  }
  run_tags        = { Name = "packer" }
  run_volume_tags = { of = "volume" }
  tags            = { of = "image" }
  snapshot_tags   = { of = "snapshot" }
}
build {
  sources = ["source.amazon-ebs.image"]
  provisioner "shell" {
    inline = ["cloud-init status --wait || true", "echo packed | sudo tee /srv/packed"]
  }
}
"""


def image_of(region: RealRegion, ami_id: str) -> dict[str, object]:
    """Describe an image."""
    return dict(region.client("ec2").describe_images(ImageIds=[ami_id])["Images"][0])


def test_an_image_holds_the_disk_it_was_made_of(region: RealRegion) -> None:
    group_id = region.group("images", 22)
    builder = region.launch(SecurityGroupIds=[group_id])
    region.run(builder["PublicIpAddress"], "echo baked | sudo tee /srv/baked")
    ami_id = region.client("ec2").create_image(InstanceId=builder["InstanceId"], Name="baked-1")["ImageId"]
    until(lambda: image_of(region, ami_id), lambda image: image["State"] == "available")
    copy = region.launch(ImageId=ami_id, SecurityGroupIds=[group_id])
    assert region.run(copy["PublicIpAddress"], "cat /srv/baked; hostname").splitlines() == [
        "baked",
        copy["PrivateDnsName"].partition(".")[0],
    ]
    assert region.run(builder["PublicIpAddress"], "cat /srv/baked") == "baked\n"
    region.terminate(builder["InstanceId"], copy["InstanceId"])


@pytest.mark.skipif(shutil.which("packer") is None, reason="packer is not installed")
def test_packer_bakes_an_image(region: RealRegion, tmp_path: Path) -> None:
    (tmp_path / "image.pkr.hcl").write_text(TEMPLATE)
    variables = {
        "endpoint": region.endpoint,
        "source_ami": region.ami_id(),
        "subnet": region.subnet()["SubnetId"],
        "operator": region.operator,
    }
    arguments = [word for name, value in variables.items() for word in ("-var", f"{name}={value}")]
    environ = os.environ | {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "CHECKPOINT_DISABLE": "1"}
    done = subprocess.run(
        ["packer", "build", "-color=false", *arguments, "image.pkr.hcl"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    ec2 = region.client("ec2")
    image = ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": ["packed-1"]}])[
        "Images"
    ][0]
    assert (image["Description"], image["Tags"]) == ("made by packer", [{"Key": "of", "Value": "image"}])
    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    snapshot = ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]
    assert {"Key": "of", "Value": "snapshot"} in snapshot["Tags"]
    instance = region.launch(ImageId=image["ImageId"], SecurityGroupIds=[region.group("packed", 22)])
    assert region.run(instance["PublicIpAddress"], "cat /srv/packed") == "packed\n"
    region.terminate(instance["InstanceId"])
    leftovers = {
        "instances": [
            each["InstanceId"]
            for reservation in ec2.describe_instances(
                Filters=[
                    {"Name": "tag:Name", "Values": ["packer"]},
                    {"Name": "instance-state-name", "Values": ["running", "pending", "stopped"]},
                ]
            )["Reservations"]
            for each in reservation["Instances"]
        ],
        "groups": [
            group["GroupName"]
            for group in ec2.describe_security_groups()["SecurityGroups"]
            if group["GroupName"].startswith("packer_")
        ],
        "keys": [
            pair["KeyName"] for pair in ec2.describe_key_pairs()["KeyPairs"] if "packer" in pair["KeyName"]
        ],
        "volumes": [volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]],
    }
    assert json.dumps(leftovers) == json.dumps({"instances": [], "groups": [], "keys": [], "volumes": []})
