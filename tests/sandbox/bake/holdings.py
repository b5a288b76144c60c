# SPDX-License-Identifier: Apache-2.0
"""Everything a region holds that a bake could leave behind, in a form that can be compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import boto3

BUCKET = "slipway-sandbox-config"


@dataclass
class Account:
    """A region as its operator sees it."""

    port: int
    session: Any = field(default_factory=lambda: boto3.session.Session("a", "b", region_name="us-east-1"))

    def client(self, service: str) -> Any:
        """Return a boto3 client."""
        return self.session.client(service, endpoint_url=f"http://127.0.0.1:{self.port}")

    def holdings(self) -> dict[str, dict[str, Any]]:
        """Return all that exists, by kind and id; of locks nothing, as they expire by themselves."""
        ec2 = self.client("ec2")
        return {
            "machines": {each["InstanceId"]: _tags(each) for each in self.machines()},
            "groups": {
                each["GroupId"]: each["GroupName"]
                for each in ec2.describe_security_groups()["SecurityGroups"]
            },
            "keys": {each["KeyPairId"]: each["KeyName"] for each in ec2.describe_key_pairs()["KeyPairs"]},
            "volumes": {each["VolumeId"]: each["State"] for each in ec2.describe_volumes()["Volumes"]},
            "images": {
                each["ImageId"]: (each["Name"], _tags(each))
                for each in ec2.describe_images(Owners=["self"])["Images"]
            },
            "snapshots": {
                each["SnapshotId"]: _tags(each)
                for each in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
            },
            "objects": {key: "" for key in self.keys("") if not key.startswith("locks/")},
        }

    def machines(self) -> list[dict[str, Any]]:
        """Return the instances that exist."""
        found = self.client("ec2").describe_instances()["Reservations"]
        each_of = (each for reservation in found for each in reservation["Instances"])
        return [each for each in each_of if each["State"]["Name"] not in ("terminated", "shutting-down")]

    def image(self, ami_id: str) -> dict[str, Any]:
        """Describe an image."""
        return dict(self.client("ec2").describe_images(ImageIds=[ami_id])["Images"][0])

    def tags_of_snapshots(self, ami_id: str) -> list[dict[str, str]]:
        """Return the tags of an image's snapshots."""
        snapshot_ids = [
            each["Ebs"]["SnapshotId"] for each in self.image(ami_id)["BlockDeviceMappings"] if "Ebs" in each
        ]
        found = self.client("ec2").describe_snapshots(SnapshotIds=snapshot_ids)["Snapshots"]
        return [_tags(each) for each in found]

    def tags_of_image(self, ami_id: str) -> dict[str, str]:
        """Return the tags of an image."""
        return _tags(self.image(ami_id))

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of the config bucket."""
        found = self.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", [])]

    def body(self, key: str) -> bytes:
        """Return an object of the config bucket."""
        return bytes(self.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read())


def _tags(resource: dict[str, Any]) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in resource.get("Tags", [])}


def difference(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what is there besides (`+ kind`), no longer (`- kind`) and otherwise (`~ kind`)."""
    found: dict[str, Any] = {}
    for kind, old in before.items():
        new = after[kind]
        found[f"+ {kind}"] = {each: new[each] for each in new.keys() - old.keys()}
        found[f"- {kind}"] = {each: old[each] for each in old.keys() - new.keys()}
        found[f"~ {kind}"] = {each: new[each] for each in new.keys() & old.keys() if new[each] != old[each]}
    return {what: resources for what, resources in found.items() if resources}
