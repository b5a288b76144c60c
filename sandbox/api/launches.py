# SPDX-License-Identifier: Apache-2.0
"""What RunInstances is asked for: checked, and completed to what AWS would have launched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Reservation
from moto.ec2.utils import convert_tag_spec
from moto.iam.models import iam_backends

from sandbox.api import addresses
from sandbox.api.errors import AwsError, unsupported

# What moto's response class puts in place of an absent client token.
_NO_TOKEN = "ABCDE"  # noqa: S105
# What of a launch template is followed.
_IN_TEMPLATE = frozenset(
    {
        "BlockDeviceMappings",
        "DisableApiStop",
        "DisableApiTermination",
        "EbsOptimized",
        "IamInstanceProfile",
        "ImageId",
        "InstanceInitiatedShutdownBehavior",
        "InstanceType",
        "KeyName",
        "MetadataOptions",
        "Monitoring",
        "NetworkInterfaces",
        "SecurityGroupIds",
        "SecurityGroups",
        "TagSpecifications",
        "UserData",
    }
)
_RESOLVE_SSM = "resolve:ssm:"


@dataclass(frozen=True, slots=True)
class Launch:
    """A launch that may go ahead: moto's arguments, and what moto does not do with them."""

    image: Any
    options: dict[str, Any]
    profile: dict[str, str]
    leaves_first_profile: bool
    template: dict[str, Any]


def launched_before(backend: Any, client_token: str | None) -> Reservation | None:
    """Return the reservation that was made with the same client token."""
    if client_token in (None, "", _NO_TOKEN):
        return None
    reservations: list[Reservation] = list(backend.reservations.values())
    for reservation in reversed(reservations):
        # All instances of a launch have its token.
        if any(instance.client_token == client_token for instance in reservation.instances[:1]):
            return reservation
    return None


def prepare(backend: EC2Backend, image_id: str | None, options: dict[str, Any]) -> Launch:
    """Check everything a launch names and fill in what AWS would choose."""
    template = _template_data(backend, options)
    options = options | _from_template(template, options)
    image = usable_image(backend, _resolve_image_id(backend, image_id or template.get("ImageId")))
    _refuse_extra_interfaces(options.get("nics") or [])
    _check_key_pair(backend, options.get("key_name") or template.get("KeyName"))
    for group_id in _named_groups(options):
        existing_group(backend, group_id)
    requested = options.get("block_device_mappings") or template.get("BlockDeviceMappings") or []
    profile = template.get("IamInstanceProfile") or {}
    asked = options.get("iam_instance_profile_name") or options.get("iam_instance_profile_arn")
    options = options | {"block_device_mappings": [root_volume(image, requested)]}
    if not options.get("subnet_id") and not any(nic.get("SubnetId") for nic in options.get("nics") or []):
        options["subnet_id"] = _default_subnet(backend, options.get("placement"))
    if not options.get("metadata_options") and template.get("MetadataOptions"):
        options["metadata_options"] = template["MetadataOptions"]
    if asked:
        profile = {
            "Name": options.get("iam_instance_profile_name"),
            "Arn": options["iam_instance_profile_arn"],
        }
    return Launch(image, options, profile, leaves_first_profile=bool(asked), template=template)


def place(backend: Any, launch: Launch) -> tuple[str, str]:
    """Return the zone and the instance type of a launch."""
    options = launch.options
    interfaces = [nic["SubnetId"] for nic in options.get("nics") or [] if nic.get("SubnetId")]
    subnet = backend.get_subnet(options.get("subnet_id") or interfaces[0])
    instance_type = options.get("instance_type")
    if options.get("is_instance_type_default", True):
        instance_type = _template_data(backend, options).get("InstanceType") or instance_type
    return str(subnet.availability_zone), str(instance_type)


def check_room(backend: Any, launch: Launch, count: int) -> None:
    """Refuse a launch that its subnet has too few addresses for, before anything is launched."""
    interfaces = [nic["SubnetId"] for nic in launch.options.get("nics") or [] if nic.get("SubnetId")]
    subnet = backend.get_subnet(launch.options.get("subnet_id") or interfaces[0])
    if addresses.free_addresses(subnet) < count:
        raise addresses.no_address(subnet)


def complete(backend: Any, instance: Any, *, launch: Launch, reservation_id: str) -> None:
    """Give the instance what moto forgets: its groups, and interfaces that go when it goes."""
    nic = instance.nics[0]
    instance.security_groups = list(nic._group_set)
    asked = (launch.options.get("nics") or [{}])[0]
    nic.delete_on_termination = asked.get("DeleteOnTermination", True)
    instance.root_device_name = launch.image.root_device_name
    instance.disable_api_termination = bool(launch.template.get("DisableApiTermination"))
    # Addresses come back with their interface, and may be another's when moto's instance is dropped.
    instance._private_ips = set()
    instance.reservation_id = reservation_id
    nic.add_tags(launch.options["tags"].get("network-interface", {}))
    if key_pair := backend.key_pairs.get(instance.key_name):
        # The machine keeps its key when the key pair is deleted, as Packer does with its temporary one.
        instance.authorized_key = key_pair.public_key


def associate_profiles(backend: Any, reservation: Any, launch: Launch) -> None:
    """Associate the instance profile; moto does it for the first instance, and only if the call names it."""
    if not any(launch.profile.values()):
        return
    first = 1 if launch.leaves_first_profile else 0
    for instance in reservation.instances[first:]:
        backend.associate_iam_instance_profile(
            instance_id=instance.id,
            iam_instance_profile_name=launch.profile.get("Name"),
            iam_instance_profile_arn=launch.profile.get("Arn"),
        )


def check_profile(account_id: str, named: dict[str, str]) -> None:
    """Refuse an instance profile that does not exist, with EC2's error in place of IAM's."""
    if not any(named.values()):
        return
    profiles = iam_backends[account_id]["aws"].get_instance_profiles()
    if not any(named.get("Name") == each.name or named.get("Arn") == each.arn for each in profiles):
        parameter = "name" if "Name" in named else "arn"
        value = named.get("Name") or named.get("Arn")
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({value}) for parameter iamInstanceProfile.{parameter} is invalid. "
            f"Invalid IAM Instance Profile {parameter}",
        )


def usable_image(backend: Any, image_id: str | None) -> Any:
    """Return the image if it can be launched."""
    if not image_id:
        raise AwsError("MissingParameter", "The request must contain the parameter ImageId")
    image = backend.amis.get(image_id)
    if image is None:
        raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    if image.state != "available":
        raise AwsError("InvalidAMIID.Unavailable", f"The image ID '{image_id}' is not available")
    return image


def existing_group(backend: Any, group_id: str) -> Any:
    """Return the security group, which moto would invent if it did not exist."""
    group = backend.get_security_group_from_id(group_id)
    if group is None:
        raise AwsError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
    return group


def root_volume(image: Any, requested: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the root device's mapping: the image's, with what the caller changes of it."""
    mapping: dict[str, Any] = image.block_device_mappings[0]
    ebs = dict(mapping["Ebs"])
    for each in requested:
        if each.get("DeviceName") not in (image.root_device_name, None):
            raise unsupported(f"ec2.RunInstances with the block device {each.get('DeviceName')}")
        ebs.update({key: value for key, value in (each.get("Ebs") or {}).items() if value is not None})
    if str(ebs.get("DeleteOnTermination", True)).lower() == "false":
        raise unsupported("ec2.RunInstances with a root volume that outlives its instance")
    smallest = image.ebs_snapshot.volume.size
    if int(ebs["VolumeSize"]) < smallest:
        raise AwsError(
            "InvalidBlockDeviceMapping",
            f"Volume of size {ebs['VolumeSize']}GB is smaller than snapshot "
            f"'{image.ebs_snapshot.id}', expect size>= {smallest}GB",
        )
    return {"DeviceName": image.root_device_name, "Ebs": ebs | {"DeleteOnTermination": True}}


def _template_data(backend: Any, options: dict[str, Any]) -> dict[str, Any]:
    reference = options.get("launch_template")
    if not reference:
        return {}
    data: dict[str, Any] = backend._get_template_from_args(reference).data
    return data


def _from_template(template: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return what the template says and moto does not read there; what the call says goes before it."""
    if unknown := sorted(name for name, value in template.items() if value and name not in _IN_TEMPLATE):
        raise unsupported(f"ec2.RunInstances from a launch template with {', '.join(unknown)}")
    behaviour, stop = "instance_initiated_shutdown_behavior", "disable_api_stop"
    is_monitored = bool(template.get("Monitoring", {}).get("Enabled"))
    tags = {kind: dict(each) for kind, each in (options.get("tags") or {}).items()}
    for kind, given in convert_tag_spec(template.get("TagSpecifications", [])).items():
        if kind != "instance":
            tags[kind] = given | tags.get(kind, {})
    return {
        behaviour: options.get(behaviour) or template.get("InstanceInitiatedShutdownBehavior"),
        stop: options.get(stop) or bool(template.get("DisableApiStop")),
        "ebs_optimized": options.get("ebs_optimized") or bool(template.get("EbsOptimized")),
        "monitoring_state": "enabled" if is_monitored else options.get("monitoring_state", "disabled"),
        "nics": options.get("nics") or template.get("NetworkInterfaces", []),
        "tags": tags,
    }


def _resolve_image_id(backend: Any, image_id: str | None) -> str | None:
    """Follow `resolve:ssm:/path[:version]`, which a launch template may hold in place of an image id."""
    if not image_id or not image_id.startswith(_RESOLVE_SSM):
        return image_id
    from moto.ssm.models import ssm_backends  # noqa: PLC0415 - only launches through a parameter need it

    name = image_id.removeprefix(_RESOLVE_SSM)
    parameter = ssm_backends[backend.account_id][backend.region_name].get_parameter(name)
    if parameter is None:
        raise AwsError("InvalidParameterValue", f"The parameter {name} does not exist")
    value: str = parameter.value
    return value


def _check_key_pair(backend: Any, name: str | None) -> None:
    if name and name not in backend.key_pairs:
        raise AwsError("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")


def _named_groups(options: dict[str, Any]) -> list[str]:
    groups = [group for group in options.get("security_group_ids") or [] if isinstance(group, str)]
    for nic in options.get("nics") or []:
        groups += nic.get("Groups") or []
    return groups


def _refuse_extra_interfaces(nics: list[dict[str, Any]]) -> None:
    if len(nics) > 1:
        raise unsupported("ec2.RunInstances with more than one network interface")
    if nics and nics[0].get("NetworkInterfaceId"):
        raise unsupported("ec2.RunInstances with an existing network interface")


def _default_subnet(backend: Any, zone: str | None) -> str:
    subnets = backend.get_default_subnets()
    if not subnets:
        raise AwsError("VPCIdNotSpecified", "No default VPC for this user")
    subnet = subnets.get(zone) if zone else subnets[min(subnets)]
    if subnet is None:
        raise AwsError("InvalidInput", f"No default subnet for availability zone: '{zone}'.")
    subnet_id: str = subnet.id
    return subnet_id
