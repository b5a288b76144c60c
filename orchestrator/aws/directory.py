# SPDX-License-Identifier: Apache-2.0
"""Which machines run, as EC2 tells by their tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.aws.session import AwsSession, translated
from orchestrator.aws.tags import as_mapping, named
from orchestrator.ports import DoorMachine

ENVIRONMENT_TAG, FLEET_TAG = "slipway:environment", "slipway:fleet"


class AwsDirectory:
    """The running machines of one region's environments."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    @translated
    def running(self, environment: str, fleet: str = "") -> tuple[DoorMachine, ...]:
        """Return the running machines of an environment, or of one of its fleets, oldest first."""
        wanted = [
            named(f"tag:{ENVIRONMENT_TAG}", [environment]),
            # Machines outside of fleets, as those that bake images, have no doors.
            named(f"tag:{FLEET_TAG}", [fleet]) if fleet else named("tag-key", [FLEET_TAG]),
            named("instance-state-name", ["running"]),
        ]
        pages = self._session.client("ec2").get_paginator("describe_instances").paginate(Filters=wanted)
        found = [
            _machine(raw)
            for page in pages
            for reservation in page["Reservations"]
            for raw in reservation["Instances"]
        ]
        return tuple(sorted(found, key=lambda machine: (machine.launched_at, machine.instance_id)))


def _machine(raw: Mapping[str, Any]) -> DoorMachine:
    return DoorMachine(
        instance_id=raw["InstanceId"],
        fleet=as_mapping(raw.get("Tags")).get(FLEET_TAG, ""),
        zone=raw["Placement"]["AvailabilityZone"],
        private_address=raw.get("PrivateIpAddress", ""),
        public_address=raw.get("PublicIpAddress", ""),
        launched_at=raw["LaunchTime"],
    )
