# SPDX-License-Identifier: Apache-2.0
"""EC2 instances outside of fleets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet a machine can be launched in."""

    subnet_id: str
    vpc_id: str
    zone: str


@dataclass(frozen=True, slots=True)
class MachineRequest:
    """One machine to launch, with everything it is tagged with from its first moment."""

    ami_id: str
    instance_type: str
    subnet_id: str
    security_group_id: str
    key_name: str
    tags: Mapping[str, str]
    user_data: str = ""
    client_token: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """One EC2 instance as DescribeInstances shows it; `state` is EC2's word."""

    instance_id: str
    state: str
    ami_id: str
    private_address: str
    public_address: str
    tags: Mapping[str, str]
    state_reason: str = ""
    volume_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tagged:
    """A resource found by its tags: key pair, security group or volume."""

    resource_id: str
    name: str
    tags: Mapping[str, str]


class Machines(Protocol):
    """EC2 instances outside of fleets, and what they need to be reached."""

    def run(self, request: MachineRequest) -> str:
        """Launch one machine with a public address and IMDSv2 required; return its instance id."""

    def describe(self, instance_id: str) -> Machine:
        """Return the machine as EC2 sees it now."""

    def terminate(self, instance_ids: Sequence[str]) -> None:
        """Terminate machines and return at once; what is gone already is no error."""

    def console_output(self, instance_id: str) -> str:
        """Return the latest console output, empty while there is none."""

    def tagged(self, tag: str) -> tuple[Machine, ...]:
        """Return all machines that carry the tag and are not terminated."""

    def public_subnet(self, network: str) -> Subnet:
        """Return one subnet of the network's public tier."""

    def import_key(self, name: str, public_key: str, tags: Mapping[str, str]) -> None:
        """Register a public key."""

    def delete_key(self, name: str) -> None:
        """Forget a public key; an unknown one is no error."""

    def keys_tagged(self, tag: str) -> tuple[Tagged, ...]:
        """Return the key pairs that carry the tag."""

    def create_security_group(
        self, name: str, vpc_id: str, *, ssh_from: str, tags: Mapping[str, str], ports: Sequence[int] = (22,)
    ) -> str:
        """Create a group that admits these TCP ports from one CIDR and nothing else; return its id."""

    def delete_security_group(self, group_id: str) -> None:
        """Delete a group, waiting for the machines in it to go; an unknown one is no error."""

    def security_groups_tagged(self, tag: str) -> tuple[Tagged, ...]:
        """Return the security groups that carry the tag."""

    def volumes_tagged(self, tag: str) -> tuple[Tagged, ...]:
        """Return the volumes that carry the tag and belong to no machine."""

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume; an unknown one is no error."""
