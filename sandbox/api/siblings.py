# SPDX-License-Identifier: Apache-2.0
"""Make the instances of one launch: moto makes the first, and the others are made alike.

RunInstances gives all its instances the same image, type, network and tags. moto works each of them out anew,
and looks through everything there is for each: thousands would take minutes.
"""

from __future__ import annotations

from typing import Any

from moto.ec2 import utils
from moto.ec2.models.block_device import BlockDeviceMapping
from moto.ec2.models.elastic_block_store import Volume, VolumeAttachment
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance, InstanceState
from moto.moto_api._internal import mock_random

from sandbox.api import lookups
from sandbox.api.patches import Patches


class Untracked(list[Any]):
    """moto keeps every object of a class here, for its own pages, and so keeps the terminated for ever."""

    def append(self, _: Any) -> None:
        """Keep nothing."""


def install(patches: Patches) -> None:
    """Draw ids at once instead of by the digit, and let go of what is gone."""
    patches.replace(utils, "random_resource_id", _resource_id)
    for kind in (Instance, NetworkInterface, Volume, VolumeAttachment):
        patches.replace(kind, "instances_tracked", Untracked())


def are_alike(options: dict[str, Any]) -> bool:
    """Whether a launch asks for nothing that only one instance can have."""
    nics = options.get("nics") or [{}]
    own = ("PrivateIpAddress", "PrivateIpAddresses", "Ipv6Addresses", "Ipv6AddressCount")
    return not (
        options.get("private_ip")
        or options.get("ipv6_address_count")
        or len(nics) > 1
        or any(nics[0].get(name) for name in own)
    )


def multiply(backend: Any, reservation: Any, count: int) -> None:
    """Bring a reservation of one complete instance to `count`; there are addresses enough for all."""
    first = reservation.instances[0]
    made = [_sibling(backend, first, index) for index in range(1, count)]
    reservation.instances += made
    lookups.remember(backend, made)


def give_back(instance: Any) -> None:
    """Let the interfaces and volumes of an instance go with it, and its profile; moto looks through all."""
    backend = instance.ec2_backend
    for nic in instance.nics.values():
        nic.stop()
        if nic.delete_on_termination:
            nic.delete()
            backend.tags.pop(nic.id, None)
    for block in instance.block_device_mapping.values():
        volume = backend.volumes[block.volume_id]
        volume.attachment.status = "detached"
        volume.attachment = None
        if block.delete_on_termination:
            del backend.volumes[volume.id]
            backend.tags.pop(volume.id, None)
    instance.block_device_mapping.clear()
    if backend.iam_instance_profile_associations.pop(instance.id, None) is not None:
        instance.iam_instance_profile = None


def _resource_id(size: int = 8) -> str:
    return f"{mock_random.getrandbits(4 * size):0{size}x}"


def _new_id(kind: str) -> str:
    return f"{utils.EC2_RESOURCE_TO_PREFIX[kind]}-{mock_random.getrandbits(68):017x}"


def _sibling(backend: Any, first: Any, index: int) -> Any:
    instance = _copy(first)
    instance.id = _new_id("instance")
    instance.ami_launch_index = index
    instance._state = InstanceState()
    instance.security_groups = list(first.security_groups)
    instance.product_codes = list(first.product_codes)
    instance.metadata_options = _copy(first.metadata_options)
    instance.nics = {device: _interface(backend, nic, instance) for device, nic in first.nics.items()}
    instance.block_device_mapping = BlockDeviceMapping(
        {device: _device(backend, block, instance) for device, block in first.block_device_mapping.items()}
    )
    _copy_tags(backend, first.id, instance.id)
    return instance


def _interface(backend: Any, first: Any, instance: Any) -> Any:
    nic: Any = _copy(first)
    nic.id = _new_id("network-interface")
    nic.attachment_id = _new_id("network-interface-attachment")
    nic.instance = instance
    nic.mac_address = utils.random_mac_address()
    nic._group_set = list(first._group_set)
    nic.ipv6_addresses = []
    address = nic.subnet.get_available_subnet_ip(instance)
    nic.private_ip_address = address
    described = {"Primary": True, "PrivateIpAddress": address}
    if hasattr(first, "private_dns_name"):
        nic.private_dns_name = described["PrivateDnsName"] = utils.generate_dns_from_ip(address)
    nic.private_ip_addresses = [described]
    nic.public_ip = None
    nic.start()
    backend.enis[nic.id] = nic
    _copy_tags(backend, first.id, nic.id)
    return nic


def _device(backend: Any, first: Any, instance: Any) -> Any:
    like = backend.volumes[first.volume_id]
    volume: Any = _copy(like)
    volume.id = _new_id("volume")
    volume.modifications = []
    volume.attachment = _copy(like.attachment)
    volume.attachment.volume, volume.attachment.instance = volume, instance
    backend.volumes[volume.id] = volume
    _copy_tags(backend, like.id, volume.id)
    block = _copy(first)
    block.volume_id = volume.id
    return block


def _copy(original: Any) -> Any:
    copied: Any = object.__new__(type(original))
    copied.__dict__.update(original.__dict__)
    return copied


def _copy_tags(backend: Any, from_id: str, to_id: str) -> None:
    if tags := backend.tags.get(from_id):
        backend.tags[to_id] = dict(tags)
