# SPDX-License-Identifier: Apache-2.0
"""What lets an operator into a machine on EC2: key pairs and security groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from orchestrator.aws.session import AwsSession, retry_while, translated
from orchestrator.aws.tags import as_mapping, filters, specifications
from orchestrator.clock import Clock
from orchestrator.errors import AwsError, NotFound
from orchestrator.ports import Tagged

# A group is in use until the network interface of its last machine is gone, after `terminated`.
_GROUP_IN_USE = frozenset({"DependencyViolation", "InvalidGroup.InUse"})
_GROUP_LIMIT = timedelta(minutes=5)


class AwsAccess:
    """Key pairs and security groups; the half of the port Machines that AwsMachines builds on."""

    def __init__(self, session: AwsSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    @property
    def _ec2(self) -> Any:
        return self._session.client("ec2")

    def _pages(self, operation: str, member: str, **query: Any) -> Iterator[dict[str, Any]]:
        for page in self._ec2.get_paginator(operation).paginate(**query):
            yield from page[member]

    @translated
    def import_key(self, name: str, public_key: str, tags: Mapping[str, str]) -> None:
        """Register a public key."""
        self._ec2.import_key_pair(
            KeyName=name,
            PublicKeyMaterial=public_key.encode(),
            TagSpecifications=specifications(tags, "key-pair"),
        )

    def delete_key(self, name: str) -> None:
        """Forget a public key; an unknown one is no error."""
        with suppress(NotFound):
            self._delete_key(name)

    @translated
    def _delete_key(self, name: str) -> None:
        self._ec2.delete_key_pair(KeyName=name)

    @translated
    def keys_tagged(self, tag: str) -> tuple[Tagged, ...]:
        """Return the key pairs that carry the tag."""
        found = self._ec2.describe_key_pairs(Filters=filters(tag_key=tag))["KeyPairs"]
        return tuple(Tagged(raw["KeyPairId"], raw["KeyName"], as_mapping(raw.get("Tags"))) for raw in found)

    def create_security_group(
        self, name: str, vpc_id: str, *, ssh_from: str, tags: Mapping[str, str], ports: Sequence[int] = (22,)
    ) -> str:
        """Create a group that admits these TCP ports from one CIDR and nothing else; return its id."""
        group_id = self._create_group(name, vpc_id, tags)
        try:
            self._admit(group_id, ssh_from, ports)
        except AwsError:
            self.delete_security_group(group_id)
            raise
        return group_id

    @translated
    def _create_group(self, name: str, vpc_id: str, tags: Mapping[str, str]) -> str:
        answer = self._ec2.create_security_group(
            GroupName=name,
            Description="Temporary: admits one operator",
            VpcId=vpc_id,
            TagSpecifications=specifications(tags, "security-group"),
        )
        group_id: str = answer["GroupId"]
        return group_id

    @translated
    def _admit(self, group_id: str, cidr: str, ports: Sequence[int]) -> None:
        ranges = [{"CidrIp": cidr, "Description": "the operator"}]
        self._ec2.authorize_security_group_ingress(
            GroupId=group_id,
            IpPermissions=[
                {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges} for port in ports
            ],
        )

    def delete_security_group(self, group_id: str) -> None:
        """Delete a group, waiting for the machines in it to go; an unknown one is no error."""
        with suppress(NotFound):
            retry_while(
                _GROUP_IN_USE, lambda: self._delete_group(group_id), clock=self._clock, limit=_GROUP_LIMIT
            )

    @translated
    def _delete_group(self, group_id: str) -> None:
        self._ec2.delete_security_group(GroupId=group_id)

    @translated
    def security_groups_tagged(self, tag: str) -> tuple[Tagged, ...]:
        """Return the security groups that carry the tag."""
        found = self._pages("describe_security_groups", "SecurityGroups", Filters=filters(tag_key=tag))
        return tuple(Tagged(raw["GroupId"], raw["GroupName"], as_mapping(raw.get("Tags"))) for raw in found)
