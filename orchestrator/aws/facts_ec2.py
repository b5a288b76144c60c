# SPDX-License-Identifier: Apache-2.0
"""What EC2 knows of what a launch depends on: images, types, subnets, security groups and key pairs.

Filters leave out what does not exist; the same ids as parameters would make AWS refuse the call for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from orchestrator.aws.session import AwsSession, translated
from orchestrator.aws.tags import as_mapping, filters
from orchestrator.domain.preflight.facts import ImageFact, InstanceTypeFact, SubnetFact

_PROTECTED = "enabled"


class AwsEc2Facts:
    """EC2 of one region."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    @property
    def _ec2(self) -> Any:
        return self._session.client("ec2")

    @translated
    def images(self, ami_ids: Sequence[str]) -> Mapping[str, ImageFact]:
        """Return AMIs by their ids, deprecated and disabled ones too."""
        found = self._ec2.describe_images(
            Filters=filters(image_id=list(ami_ids)), IncludeDeprecated=True, IncludeDisabled=True
        )
        return {raw["ImageId"]: _image(raw) for raw in found["Images"]}

    @translated
    def instance_type(self, name: str) -> InstanceTypeFact | None:
        """Return an instance type, None if the region has none of that name."""
        found = self._ec2.describe_instance_types(Filters=filters(instance_type=name))["InstanceTypes"]
        return _instance_type(found[0]) if found else None

    @translated
    def zones_offering(self, instance_type: str) -> frozenset[str]:
        """Return the zones in which a type can be launched."""
        found = self._ec2.describe_instance_type_offerings(
            LocationType="availability-zone", Filters=filters(instance_type=instance_type)
        )
        return frozenset(raw["Location"] for raw in found["InstanceTypeOfferings"])

    @translated
    def subnets(self, subnet_ids: Sequence[str]) -> Mapping[str, SubnetFact]:
        """Return subnets by their ids."""
        found = self._ec2.describe_subnets(Filters=filters(subnet_id=list(subnet_ids)))
        return {
            raw["SubnetId"]: SubnetFact(
                raw["SubnetId"], raw["AvailabilityZone"], raw["AvailableIpAddressCount"]
            )
            for raw in found["Subnets"]
        }

    @translated
    def security_groups(self, group_ids: Sequence[str]) -> frozenset[str]:
        """Return which of these security groups exist."""
        found = self._ec2.describe_security_groups(Filters=filters(group_id=list(group_ids)))
        return frozenset(raw["GroupId"] for raw in found["SecurityGroups"])

    @translated
    def has_key_pair(self, name: str) -> bool:
        """Tell whether there is a key pair of that name."""
        return bool(self._ec2.describe_key_pairs(Filters=filters(key_name=name))["KeyPairs"])


def _image(raw: Mapping[str, Any]) -> ImageFact:
    deprecated_at = raw.get("DeprecationTime")
    return ImageFact(
        ami_id=raw["ImageId"],
        name=raw.get("Name", ""),
        state=raw.get("State", ""),
        architecture=raw.get("Architecture", ""),
        owner_id=raw.get("OwnerId", ""),
        deprecated_at=datetime.fromisoformat(deprecated_at) if deprecated_at else None,
        is_protected=str(raw.get("DeregistrationProtection", "")).startswith(_PROTECTED),
        tags=as_mapping(raw.get("Tags")),
    )


def _instance_type(raw: Mapping[str, Any]) -> InstanceTypeFact:
    return InstanceTypeFact(
        name=raw["InstanceType"],
        architectures=tuple(raw["ProcessorInfo"]["SupportedArchitectures"]),
        vcpus=raw["VCpuInfo"]["DefaultVCpus"],
    )
