# SPDX-License-Identifier: Apache-2.0
"""Make moto's images stand for disks: captured, copied, registered from a snapshot, and removed.

A disk is held under the id of the image it was captured for. It is dropped when neither that image nor its
snapshot is left, so a snapshot can be registered as a new image after its own image is gone, as on AWS.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.utils import random_ami_id

from sandbox.api.errors import AwsError, unsupported
from sandbox.api.ledger import Ledger, State
from sandbox.api.patches import Patches
from sandbox.substrate import Substrate, SubstrateError

log = logging.getLogger(__name__)

ROOT_DEVICE = "/dev/xvda"
VOLUME_GIB = 8
_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
_EXTRA_FILTERS = {
    "root-device-type": "root_device_type",
    "root-device-name": "root_device_name",
    "image-type": "image_type",
    "description": "description",
    "hypervisor": "hypervisor",
    "boot-mode": "boot_mode",
}


class Captures(Protocol):
    """What saves disks in the background."""

    def capture(
        self, instance_id: str, ami_id: str, *, power_off: bool, done: Callable[[SubstrateError | None], None]
    ) -> None:
        """Save the machine's disk as an image, soon."""


class ImageHooks:
    """The replacements for moto's image operations."""

    def __init__(
        self, ledger: Ledger, *, substrate: Substrate, captures: Captures, changed: Callable[[], None]
    ) -> None:
        self._ledger = ledger
        self._substrate = substrate
        self._captures = captures
        self._changed = changed

    def install(self, patches: Patches) -> None:
        """Put the replacements in place."""
        patches.replace(Ami, "__init__", _on_ebs(Ami.__init__))
        patches.replace(Ami, "block_device_mappings", property(block_device_mappings))
        patches.replace(Ami, "get_filter_value", _with_filters(Ami.get_filter_value))
        patches.replace(Snapshot, "progress", property(_progress))
        patches.replace(AmisResponse, "create_image", self._create())
        patches.replace(AmisResponse, "register_image", self._register())
        patches.replace(AmisResponse, "copy_image", self._copy())
        patches.replace(AmisResponse, "deregister_image", self._deregister())
        patches.replace(AmisResponse, "modify_image_attribute", _modify(AmisResponse.modify_image_attribute))
        for name, response in _ATTRIBUTE_OPERATIONS.items():
            patches.replace(AmisResponse, name, response)
        patches.replace(EC2Backend, "delete_snapshot", self._delete_snapshot(EC2Backend.delete_snapshot))

    def _create(self) -> Callable[[Any], ActionResult]:
        def create_image(response: Any) -> ActionResult:
            """Begin to capture the instance's disk; the image is `pending` until that is done."""
            backend = response.ec2_backend
            instance = backend.get_instance(response._get_param("InstanceId"))
            if instance.state not in (State.RUNNING, State.STOPPED):
                raise AwsError("IncorrectState", f"The instance '{instance.id}' is {instance.state}.")
            _refuse_other_volumes(response._get_param("BlockDeviceMappings", []), "CreateImage")
            image = _new_image(response, instance=instance, origin=f"CreateImage({instance.id})")
            power_off = not response._get_param("NoReboot", False)
            self._captures.capture(
                instance.id, image.id, power_off=power_off, done=lambda error: self._settle(image, error)
            )
            return ActionResult({"ImageId": image.id})

        return create_image

    def _register(self) -> Callable[[Any], ActionResult]:
        def register_image(response: Any) -> ActionResult:
            """Make an image of a snapshot that the region holds the disk of."""
            mappings = response._get_param("BlockDeviceMappings", [])
            root = [each for each in mappings if (each.get("Ebs") or {}).get("SnapshotId")]
            if len(root) != 1 or len(mappings) != 1:
                raise unsupported("ec2.RegisterImage without exactly one snapshot")
            snapshot = response.ec2_backend.get_snapshot(root[0]["Ebs"]["SnapshotId"])
            if snapshot.disk not in self._substrate.images():
                raise unsupported(f"ec2.RegisterImage of {snapshot.id}, which holds no system disk,")
            image = _new_image(response, snapshot=snapshot, origin=f"RegisterImage({snapshot.id})")
            self._copy_disk(snapshot.disk, image)
            return ActionResult({"ImageId": image.id})

        return register_image

    def _copy(self) -> Callable[[Any], ActionResult]:
        def copy_image(response: Any) -> ActionResult:
            """Copy an image within the region, the only region there is."""
            backend = response.ec2_backend
            if response._get_param("SourceRegion") not in (None, backend.region_name):
                raise unsupported("ec2.CopyImage from another region")
            source = backend.describe_images(ami_ids=[response._get_param("SourceImageId")])[0]
            image = _new_image(response, source=source, origin=f"CopyImage({source.id})")
            if response._get_param("CopyImageTags", False):
                image.add_tags({tag["key"]: tag["value"] for tag in source.get_tags()})
            self._copy_disk(source.id, image)
            return ActionResult({"ImageId": image.id})

        return copy_image

    def _deregister(self) -> Callable[[Any], ActionResult]:
        def deregister_image(response: Any) -> ActionResult:
            """Deregister, unless protected; with its snapshots if asked."""
            response.error_on_dryrun()
            backend = response.ec2_backend
            image = backend.describe_images(ami_ids=[response._get_param("ImageId")])
            if not image:
                raise AwsError("InvalidAMIID.Unavailable", "The image is deregistered already")
            if getattr(image[0], "deregistration_protection", "disabled") != "disabled":
                raise AwsError("OperationNotPermitted", f"{image[0].id} is protected from deregistration.")
            if image[0].owner_id != backend.account_id:
                raise AwsError("AuthFailure", f"Not authorized for image:{image[0].id}")
            backend.deregister_image(image[0].id)
            deleted = []
            if response._get_param("DeleteAssociatedSnapshots", False):
                backend.delete_snapshot(image[0].ebs_snapshot.id)
                deleted.append({"SnapshotId": image[0].ebs_snapshot.id, "ReturnCode": "success"})
            self._drop_unused_disk(backend, image[0].id)
            return ActionResult({"Return": True, "DeleteSnapshotResults": deleted})

        return deregister_image

    def _delete_snapshot(self, original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
        def delete_snapshot(backend: Any, snapshot_id: str) -> Any:
            """Delete a snapshot that no image uses, and the disk if nothing else holds it."""
            for image in backend.amis.values():
                if image.ebs_snapshot.id == snapshot_id:
                    raise AwsError(
                        "InvalidSnapshot.InUse",
                        f"The snapshot {snapshot_id} is currently in use by {image.id}",
                    )
            snapshot = original(backend, snapshot_id)
            self._drop_unused_disk(backend, snapshot.disk)
            return snapshot

        return delete_snapshot

    def _drop_unused_disk(self, backend: Any, disk: str | None) -> None:
        held = {snapshot.disk for snapshot in backend.snapshots.values()} | set(backend.amis)
        if disk and disk not in held:
            try:
                self._substrate.remove_image(disk)
            except SubstrateError as error:
                log.error("the disk of %s stays: %s", disk, error)

    def _copy_disk(self, source: str, image: Ami) -> None:
        try:
            self._substrate.copy_image(source, image.id)
        except SubstrateError as error:
            self._settle(image, error)
        else:
            self._settle(image, None)

    def _settle(self, image: Ami, error: SubstrateError | None) -> None:
        with self._ledger.lock:
            image.state = "failed" if error else "available"
            image.ebs_snapshot.status = "error" if error else "completed"
            if error:
                reason = {"Code": "Server.InternalError", "Message": str(error)}
                setattr(image, "state_reason", reason)  # noqa: B010 - moto has no such attribute
        self._changed()


def block_device_mappings(image: Any) -> list[dict[str, Any]]:
    """Return the one device every image of the region has."""
    snapshot = image.ebs_snapshot
    ebs = {
        "SnapshotId": snapshot.id,
        "VolumeSize": snapshot.volume.size,
        "DeleteOnTermination": True,
        "VolumeType": "gp3",
        "Encrypted": snapshot.encrypted,
    }
    return [{"DeviceName": image.root_device_name, "Ebs": ebs}]


def _on_ebs(original: Callable[..., None]) -> Callable[..., None]:
    def __init__(image: Ami, backend: Any, ami_id: str, **options: Any) -> None:  # noqa: N807
        """Make images with the root device that Debian's have, on EBS; moto would say `standard`."""
        options.setdefault("root_device_type", "ebs")
        options.setdefault("root_device_name", ROOT_DEVICE)
        options.setdefault("virtualization_type", "hvm")
        options.setdefault("hypervisor", "xen")
        options.setdefault("architecture", "x86_64")
        options.setdefault("region_name", f"{backend.region_name}a")
        original(image, backend, ami_id, **options)
        image.ebs_snapshot.volume.size = VOLUME_GIB
        image.ebs_snapshot.disk = ami_id

    return __init__


def _new_image(
    response: Any,
    *,
    origin: str,
    instance: Any = None,
    source: Any = None,
    snapshot: Any = None,
) -> Ami:
    backend = response.ec2_backend
    name = response._get_param("Name") or (source.name if source else None)
    _check_name(backend, name)
    tags = _tags_by_type(response._get_param("TagSpecifications", []))
    response.error_on_dryrun()
    ami_id = random_ami_id()
    image = Ami(
        backend,
        ami_id,
        instance=instance,
        source_ami=source,
        name=name,
        description=response._get_param("Description", ""),
        snapshot_description=f"Created by {origin} for {ami_id}",
        state="pending",
        image_location=f"{backend.account_id}/{name}",
    )
    image.ebs_snapshot.status = "pending"
    if snapshot is not None:
        _use_snapshot(backend, image, snapshot)
    image.add_tags(tags.get("image", {}))
    image.ebs_snapshot.add_tags(tags.get("snapshot", {}))
    backend.amis[ami_id] = image
    return image


def _use_snapshot(backend: Any, image: Ami, snapshot: Snapshot) -> None:
    """Let a registered image share the snapshot it is made of, in place of the one moto makes for it."""
    del backend.snapshots[image.ebs_snapshot.id]
    image.ebs_snapshot = snapshot


def _check_name(backend: Any, name: str | None) -> None:
    if not name or not _NAME.fullmatch(name):
        raise AwsError(
            "InvalidAMIName.Malformed",
            "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, and "
            "()[] ./-'@_",
        )
    for image in backend.amis.values():
        if image.name == name and image.owner_id == backend.account_id:
            raise AwsError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image.id}")


def _tags_by_type(specifications: Iterable[dict[str, Any]]) -> dict[str, dict[str, str]]:
    tags: dict[str, dict[str, str]] = {}
    for specification in specifications:
        kind = specification.get("ResourceType", "")
        if kind not in ("image", "snapshot"):
            raise AwsError("InvalidParameterValue", f"'{kind}' is not a valid taggable resource type")
        tags.setdefault(kind, {}).update({tag["Key"]: tag["Value"] for tag in specification.get("Tags", [])})
    return tags


def _refuse_other_volumes(mappings: list[dict[str, Any]], operation: str) -> None:
    for mapping in mappings:
        if mapping.get("DeviceName") != ROOT_DEVICE:
            raise unsupported(f"ec2.{operation} with the block device {mapping.get('DeviceName')}")


def _with_filters(original: Callable[..., Any]) -> Callable[..., Any]:
    def get_filter_value(image: Any, filter_name: str, method_name: str | None = None) -> Any:
        """Answer the filters that moto does not know."""
        if filter_name in _EXTRA_FILTERS:
            return getattr(image, _EXTRA_FILTERS[filter_name])
        if filter_name == "creation-date":
            return f"{image.creation_date:%Y-%m-%dT%H:%M:%S.000Z}"
        if filter_name == "block-device-mapping.snapshot-id":
            return image.ebs_snapshot.id
        return original(image, filter_name, method_name)

    return get_filter_value


def _progress(snapshot: Any) -> str:
    return "100%" if snapshot.status == "completed" else "0%"


def _modify(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def modify_image_attribute(response: Any) -> ActionResult:
        """Change launch permissions, as moto does, and the description, which moto drops."""
        description = response._get_param("Description")
        if isinstance(description, dict):
            description = description.get("Value")
        if response._get_param("Attribute") == "description":
            description = response._get_param("Value")
        if description is not None:
            response.error_on_dryrun()
            image = response.ec2_backend.describe_images(ami_ids=[response._get_param("ImageId")])[0]
            image.description = description
        return original(response)

    return modify_image_attribute


def _set(name: str, value: Callable[[Any], Any], answer: dict[str, Any]) -> Callable[[Any], ActionResult]:
    def change_image(response: Any) -> ActionResult:
        """Set one attribute of an image."""
        image = response.ec2_backend.describe_images(ami_ids=[response._get_param("ImageId")])[0]
        response.error_on_dryrun()
        setattr(image, name, value(response))
        return ActionResult(answer)

    return change_image


def _to_the_minute(given: datetime | str) -> str:
    """Return a time as DescribeImages shows it, rounded to minutes.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html
    """
    time = datetime.fromisoformat(given) if isinstance(given, str) else given
    rounded = (time + timedelta(seconds=30)).replace(second=0, microsecond=0)
    return f"{rounded:%Y-%m-%dT%H:%M:%S}.000Z"


_ATTRIBUTE_OPERATIONS = {
    "enable_image_deprecation": _set(
        "deprecation_time",
        lambda response: _to_the_minute(response._get_param("DeprecateAt")),
        {"Return": True},
    ),
    "disable_image_deprecation": _set("deprecation_time", lambda _: None, {"Return": True}),
    "enable_image_deregistration_protection": _set(
        "deregistration_protection",
        lambda response: (
            "enabled-with-cooldown"
            if response._get_param("WithCooldown", False)
            else "enabled-without-cooldown"
        ),
        {"Return": "true"},
    ),
    "disable_image_deregistration_protection": _set(
        "deregistration_protection", lambda _: "disabled", {"Return": "true"}
    ),
}
