# SPDX-License-Identifier: Apache-2.0
"""EC2 instances outside of fleets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from orchestrator.aws.access import AwsAccess
from orchestrator.aws.session import AwsSession, retry_while, translated
from orchestrator.aws.tags import NETWORK_TAG, TIER_TAG, as_mapping, filters, named, specifications
from orchestrator.clock import Clock
from orchestrator.errors import NotFound
from orchestrator.ports import Machine, MachineRequest, Subnet, Tagged

_LIVING = ["pending", "running", "shutting-down", "stopping", "stopped"]
# DescribeInstances may not know an instance for some seconds after RunInstances has returned its id.
_NOT_YET_KNOWN = frozenset({"InvalidInstanceID.NotFound"})
_KNOWN_LIMIT = timedelta(seconds=30)


class AwsMachines(AwsAccess):
    """EC2 instances outside of fleets, and what they need to be reached."""

    def __init__(self, session: AwsSession, clock: Clock) -> None:
        super().__init__(session, clock)

    def run(self, request: MachineRequest) -> str:
        """Launch one machine with a public address and IMDSv2 required; return its instance id."""
        instance_id = self._run(request)
        retry_while(_NOT_YET_KNOWN, lambda: self.describe(instance_id), clock=self._clock, limit=_KNOWN_LIMIT)
        return instance_id

    @translated
    def _run(self, request: MachineRequest) -> str:
        optional = {
            "KeyName": request.key_name,
            "UserData": request.user_data,
            "ClientToken": request.client_token,
        }
        answer = self._ec2.run_instances(
            ImageId=request.ami_id,
            InstanceType=request.instance_type,
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[_interface(request)],
            MetadataOptions={
                "HttpTokens": "required",
                "HttpPutResponseHopLimit": 1,
                "HttpEndpoint": "enabled",
            },
            InstanceInitiatedShutdownBehavior="terminate",
            TagSpecifications=specifications(request.tags, "instance", "volume"),
            **{name: value for name, value in optional.items() if value},
        )
        instance_id: str = answer["Instances"][0]["InstanceId"]
        return instance_id

    @translated
    def describe(self, instance_id: str) -> Machine:
        """Return the machine as EC2 sees it now."""
        for raw in self._describe_instances(InstanceIds=[instance_id]):
            return _machine(raw)
        raise NotFound("ec2", "DescribeInstances", "InvalidInstanceID.NotFound", f"no instance {instance_id}")

    def terminate(self, instance_ids: Sequence[str]) -> None:
        """Terminate machines and return at once; what is gone already is no error."""
        if not instance_ids:
            return
        try:
            self._terminate(instance_ids)
        except NotFound:
            # One unknown id keeps EC2 from terminating the others.
            for instance_id in instance_ids if len(instance_ids) > 1 else ():
                with suppress(NotFound):
                    self._terminate([instance_id])

    @translated
    def _terminate(self, instance_ids: Sequence[str]) -> None:
        self._ec2.terminate_instances(InstanceIds=list(instance_ids))

    @translated
    def console_output(self, instance_id: str) -> str:
        """Return the latest console output, empty while there is none."""
        output: str = self._ec2.get_console_output(InstanceId=instance_id, Latest=True).get("Output", "")
        return output

    @translated
    def tagged(self, tag: str) -> tuple[Machine, ...]:
        """Return all machines that carry the tag and are not terminated."""
        wanted = filters(tag_key=tag, instance_state_name=_LIVING)
        return tuple(_machine(raw) for raw in self._describe_instances(Filters=wanted))

    @translated
    def public_subnet(self, network: str) -> Subnet:
        """Return one subnet of the network's public tier."""
        wanted = [named(f"tag:{NETWORK_TAG}", [network]), named(f"tag:{TIER_TAG}", ["public"])]
        found = list(self._pages("describe_subnets", "Subnets", Filters=wanted))
        if not found:
            raise NotFound(
                "ec2",
                "DescribeSubnets",
                "NoSubnet",
                f"no subnet is tagged {NETWORK_TAG}={network} and {TIER_TAG}=public",
            )
        first = min(found, key=lambda raw: (raw["AvailabilityZone"], raw["SubnetId"]))
        return Subnet(first["SubnetId"], first["VpcId"], first["AvailabilityZone"])

    @translated
    def volumes_tagged(self, tag: str) -> tuple[Tagged, ...]:
        """Return the volumes that carry the tag and belong to no machine."""
        wanted = filters(tag_key=tag, status="available")
        found = self._pages("describe_volumes", "Volumes", Filters=wanted)
        tags = ((raw["VolumeId"], as_mapping(raw.get("Tags"))) for raw in found)
        return tuple(Tagged(volume_id, each.get("Name", ""), each) for volume_id, each in tags)

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume; an unknown one is no error."""
        with suppress(NotFound):
            self._delete_volume(volume_id)

    @translated
    def _delete_volume(self, volume_id: str) -> None:
        self._ec2.delete_volume(VolumeId=volume_id)

    def _describe_instances(self, **query: Any) -> Iterator[dict[str, Any]]:
        for reservation in self._pages("describe_instances", "Reservations", **query):
            yield from reservation["Instances"]


def _interface(request: MachineRequest) -> dict[str, Any]:
    return {
        "DeviceIndex": 0,
        "SubnetId": request.subnet_id,
        "Groups": [request.security_group_id],
        "AssociatePublicIpAddress": True,
        "DeleteOnTermination": True,
    }


def _machine(raw: Mapping[str, Any]) -> Machine:
    volumes = (mapping.get("Ebs", {}) for mapping in raw.get("BlockDeviceMappings", ()))
    return Machine(
        instance_id=raw["InstanceId"],
        state=raw["State"]["Name"],
        ami_id=raw.get("ImageId", ""),
        private_address=raw.get("PrivateIpAddress", ""),
        public_address=raw.get("PublicIpAddress", ""),
        tags=as_mapping(raw.get("Tags")),
        state_reason=raw.get("StateReason", {}).get("Message", ""),
        volume_ids=tuple(volume["VolumeId"] for volume in volumes if volume.get("VolumeId")),
    )
