# SPDX-License-Identifier: Apache-2.0
"""Describe an instance to the metadata service, from moto's state."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from sandbox.autoscaling.target_state import target_state
from sandbox.imds import Credentials, Role, Subject, Tree

SessionDocument = Callable[[str, Role], str]


def assume(account_id: str, region: str) -> Callable[[str, str, timedelta], Credentials]:
    """Return how to get credentials of a role: real sessions of the region's own STS."""

    backends: Any = sts_backends

    def assume_role(role_arn: str, session: str, lasting: timedelta) -> Credentials:
        session_role = backends[account_id]["aws"].assume_role(
            region_name=region,
            role_session_name=session,
            role_arn=role_arn,
            policy=None,
            duration=int(lasting.total_seconds()),
            external_id=None,
        )
        return Credentials(
            session_role.access_key_id,
            session_role.secret_access_key,
            session_role.session_token,
            session_role.expiration.replace(tzinfo=UTC),
        )

    return assume_role


def describe(instance: Any, session_document: SessionDocument) -> Subject:
    """Return what the metadata service says of `instance`."""
    options = instance.metadata_options
    user_data = instance.user_data
    return Subject(
        instance_id=instance.id,
        is_enabled=options.http_endpoint != "disabled",
        needs_token=options.http_tokens == "required",
        hop_limit=options.http_put_response_hop_limit,
        tree=_tree(instance, session_document),
        user_data=base64.b64decode(str(user_data)) if user_data else None,
        identity=_identity(instance),
    )


def role_of(instance: Any) -> Role | None:
    """Return the role of the instance's profile, if it has one."""
    association = instance.ec2_backend.iam_instance_profile_associations.get(instance.id)
    if association is None:
        return None
    iam = iam_backends[instance.owner_id]["aws"]
    # Profiles and their roles can change while an instance runs: read the present state.
    profile = next(
        (each for each in iam.get_instance_profiles() if each.arn == association.iam_instance_profile.arn),
        None,
    )
    if profile is None or not profile.roles:
        return None
    role = profile.roles[0]
    return Role(role.name, role.arn, profile.arn, profile.id)


def _tree(instance: Any, session_document: SessionDocument) -> Tree:
    tree: dict[str, Any] = {
        "ami-id": instance.image_id,
        "ami-launch-index": str(instance.ami_launch_index),
        "ami-manifest-path": "(unknown)",
        "block-device-mapping": {"ami": instance.root_device_name, "root": instance.root_device_name},
        "events": {"maintenance": {"history": "[]", "scheduled": "[]"}},
        "hostname": instance.private_dns_name,
        "instance-action": "none",
        "instance-id": instance.id,
        "instance-life-cycle": "on-demand",
        "instance-type": instance.instance_type,
        "local-hostname": instance.private_dns_name,
        "local-ipv4": instance.private_ip_address,
        "mac": instance.nics[0].mac_address,
        "network": {"interfaces": {"macs": {instance.nics[0].mac_address: _interface(instance)}}},
        "placement": _placement(instance),
        "profile": "default-hvm",
        "reservation-id": _reservation_id(instance),
        "security-groups": "\n".join(group.name for group in instance.nics[0].group_set),
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    if instance.public_ip_address:
        tree["public-ipv4"] = instance.public_ip_address
        tree["public-hostname"] = instance.public_dns_name
    if key := getattr(instance, "authorized_key", None):
        tree["public-keys"] = {"0": {"openssh-key": key.strip() + "\n", "_name": instance.key_name}}
    if instance.metadata_options.instance_metadata_tags == "enabled":
        tree["tags"] = {"instance": {tag["key"]: tag["value"] for tag in instance.get_tags()}}
    if target := target_state(instance.owner_id, instance.region_name, instance.id):
        tree["autoscaling"] = {"target-lifecycle-state": target}
    if role := role_of(instance):
        tree["iam"] = _iam(instance.id, role, session_document)
    return tree


def _interface(instance: Any) -> dict[str, Any]:
    nic = instance.nics[0]
    vpc = instance.ec2_backend.get_vpc(nic.subnet.vpc_id)
    interface: dict[str, Any] = {
        "device-number": "0",
        "interface-id": nic.id,
        "local-hostname": instance.private_dns_name,
        "local-ipv4s": nic.private_ip_address,
        "mac": nic.mac_address,
        "owner-id": instance.owner_id,
        "security-group-ids": "\n".join(group.id for group in nic.group_set),
        "security-groups": "\n".join(group.name for group in nic.group_set),
        "subnet-id": nic.subnet.id,
        "subnet-ipv4-cidr-block": nic.subnet.cidr_block,
        "vpc-id": vpc.id,
        "vpc-ipv4-cidr-block": vpc.cidr_block,
        "vpc-ipv4-cidr-blocks": "\n".join(
            each["cidr_block"] for each in vpc.get_cidr_block_association_set()
        ),
    }
    if nic.public_ip:
        interface["public-ipv4s"] = nic.public_ip
        interface["public-hostname"] = instance.public_dns_name
        interface["ipv4-associations"] = {nic.public_ip: nic.private_ip_address}
    return interface


def _placement(instance: Any) -> dict[str, str]:
    subnet = instance.nics[0].subnet
    return {
        "availability-zone": subnet.availability_zone,
        "availability-zone-id": subnet.availability_zone_id,
        "region": instance.region_name,
    }


def _reservation_id(instance: Any) -> str:
    for reservation in instance.ec2_backend.reservations.values():
        if instance in reservation.instances:
            found: str = reservation.id
            return found
    return ""


def _iam(instance_id: str, role: Role, session_document: SessionDocument) -> dict[str, Any]:
    info = {
        "Code": "Success",
        "LastUpdated": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "InstanceProfileArn": role.profile_arn,
        "InstanceProfileId": role.profile_id,
    }
    return {
        "info": json.dumps(info, indent=2),
        "security-credentials": {role.name: lambda: session_document(instance_id, role)},
    }


def _identity(instance: Any) -> dict[str, Any]:
    return {
        "accountId": instance.owner_id,
        "architecture": instance.architecture,
        "availabilityZone": instance.nics[0].subnet.availability_zone,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "pendingTime": f"{instance.launch_time:%Y-%m-%dT%H:%M:%SZ}",
        "privateIp": instance.private_ip_address,
        "region": instance.region_name,
        "version": "2017-09-30",
    }
