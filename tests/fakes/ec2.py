# SPDX-License-Identifier: Apache-2.0
"""AMIs, machines and what goes with them, in memory."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from orchestrator.domain.image import Image, ImageStatus, SourceImage, parse_image_name
from orchestrator.errors import AwsError, NotFound
from orchestrator.ports import BuildRequest, Machine, MachineRequest, StepSink, Subnet, Tagged
from tests.fakes.basics import FakeClock, Recorded

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBERERERERERERERERERERERERERERERERERERERERER"
CONSOLE = f"-----BEGIN SSH HOST KEY KEYS-----\n{HOST_KEY} root@machine\n-----END SSH HOST KEY KEYS-----\n"


class FakeImages(Recorded):
    """AMIs in memory; `sources` are other accounts' too."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self._numbers = itertools.count(1)
        self.images: dict[str, Image] = {}
        self.sources: list[tuple[SourceImage, datetime]] = []
        self.snapshots: dict[str, dict[str, str]] = {}

    def add(
        self,
        name: str,
        tags: Mapping[str, str] | None = None,
        *,
        created_at: datetime | None = None,
        status: ImageStatus = ImageStatus.AVAILABLE,
    ) -> Image:
        """Have an image with one snapshot, as CreateImage makes it."""
        number = next(self._numbers)
        class_name, bake_key, revision = parse_image_name(name) or ("", "", 0)
        image = Image(
            ami_id=f"ami-{number:017x}",
            name=name,
            class_name=class_name,
            bake_key=bake_key,
            revision=revision,
            status=status,
            created_at=created_at or self._clock.now(),
            snapshot_ids=(f"snap-{number:017x}",),
            tags=dict(tags or {}),
        )
        self.images[image.ami_id] = image
        self.snapshots[image.snapshot_ids[0]] = dict(tags or {})
        return image

    def add_source(self, owner_id: str, name: str, created_at: datetime) -> str:
        """Have a public image."""
        ami_id = f"ami-{next(self._numbers):017x}"
        self.sources.append((SourceImage(ami_id, name, owner_id), created_at))
        return ami_id

    def source(self, owner_id: str, name: str) -> SourceImage:
        self._note("source")
        found = [
            each for each in self.sources if each[0].owner_id == owner_id and _matches(name, each[0].name)
        ]
        if not found:
            raise NotFound("ec2", "DescribeImages", "NoImage", f"{owner_id} has no available image {name}")
        return max(found, key=lambda each: each[1])[0]

    def by_class(self, class_names: Sequence[str]) -> tuple[Image, ...]:
        if not class_names:
            return ()
        self._note("by_class")
        found = [image for image in self.images.values() if image.class_name in class_names]
        return tuple(sorted(found, key=lambda image: (image.created_at, image.ami_id), reverse=True))

    def tag(self, resource_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        self._note("tag")
        for resource_id in resource_ids:
            if resource_id not in self.images and resource_id not in self.snapshots:
                kind = "AMIID" if resource_id.startswith("ami-") else "Snapshot"
                raise NotFound("ec2", "CreateTags", f"Invalid{kind}.NotFound", resource_id)
        for resource_id in resource_ids:
            if resource_id in self.images:
                image = self.images[resource_id]
                self.images[resource_id] = replace(image, tags={**(image.tags or {}), **tags})
            else:
                self.snapshots[resource_id].update(tags)

    def snapshots_tagged(self, tag: str) -> tuple[Tagged, ...]:
        self._note("snapshots_tagged")
        return tuple(Tagged(each, each, dict(tags)) for each, tags in self.snapshots.items() if tag in tags)

    def delete_snapshot(self, snapshot_id: str) -> None:
        self._note("delete_snapshot")
        if any(snapshot_id in image.snapshot_ids for image in self.images.values()):
            raise AwsError("ec2", "DeleteSnapshot", "InvalidSnapshot.InUse", snapshot_id)
        self.snapshots.pop(snapshot_id, None)

    def deregister(self, image: Image) -> None:
        self._note("deregister")
        known = self.images.pop(image.ami_id, image)
        for snapshot_id in {*image.snapshot_ids, *known.snapshot_ids}:
            self.snapshots.pop(snapshot_id, None)


@dataclass
class _Group:
    name: str
    vpc_id: str
    admits: tuple[str, tuple[int, ...]]
    tags: dict[str, str]


class FakeMachines(Recorded):
    """Machines that boot in `boot_s` and end in `end_s` of the fake clock's time."""

    boot_s = 3.0
    end_s = 5.0

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self._numbers = itertools.count(1)
        self.machines: dict[str, Machine] = {}
        self.requests: dict[str, MachineRequest] = {}
        self.subnets = {"sandbox": Subnet("subnet-1", "vpc-1", "us-east-1a")}
        self.groups: dict[str, _Group] = {}
        self.keys: dict[str, Tagged] = {}
        self.volumes: dict[str, Tagged] = {}
        self.console = CONSOLE

    def run(self, request: MachineRequest) -> str:
        self._note("run")
        for instance_id, earlier in self.requests.items():
            if request.client_token and earlier.client_token == request.client_token:
                return instance_id
        self._check(request)
        number = next(self._numbers)
        instance_id = f"i-{number:017x}"
        self.requests[instance_id] = request
        self.machines[instance_id] = Machine(
            instance_id=instance_id,
            state="pending",
            ami_id=request.ami_id,
            private_address=f"10.90.0.{number + 10}",
            public_address=f"198.51.100.{number}",
            tags=dict(request.tags),
            volume_ids=(f"vol-{number:017x}",),
        )
        self._clock.schedule(self.boot_s, lambda: self._become(instance_id, "pending", "running"))
        return instance_id

    def _check(self, request: MachineRequest) -> None:
        if request.security_group_id not in self.groups:
            raise NotFound("ec2", "RunInstances", "InvalidGroup.NotFound", request.security_group_id)
        if request.key_name and request.key_name not in self.keys:
            raise NotFound("ec2", "RunInstances", "InvalidKeyPair.NotFound", request.key_name)

    def _become(self, instance_id: str, state: str, following: str) -> None:
        machine = self.machines[instance_id]
        if machine.state == state:
            self.machines[instance_id] = replace(machine, state=following)

    def describe(self, instance_id: str) -> Machine:
        self._note("describe")
        if instance_id not in self.machines:
            raise NotFound("ec2", "DescribeInstances", "InvalidInstanceID.NotFound", instance_id)
        return self.machines[instance_id]

    def terminate(self, instance_ids: Sequence[str]) -> None:
        if not instance_ids:
            return
        self._note("terminate")
        for instance_id in set(instance_ids) & self.machines.keys():
            if self.machines[instance_id].state != "terminated":
                self._end(instance_id)

    def _end(self, instance_id: str) -> None:
        self.machines[instance_id] = replace(self.machines[instance_id], state="shutting-down")
        self._clock.schedule(self.end_s, lambda: self._become(instance_id, "shutting-down", "terminated"))

    def console_output(self, instance_id: str) -> str:
        self._note("console_output")
        machine = self.machines.get(instance_id)
        if machine is None:
            raise NotFound("ec2", "GetConsoleOutput", "InvalidInstanceID.NotFound", instance_id)
        return self.console if machine.state == "running" else ""

    def tagged(self, tag: str) -> tuple[Machine, ...]:
        self._note("tagged")
        found = self.machines.values()
        return tuple(each for each in found if tag in each.tags and each.state != "terminated")

    def public_subnet(self, network: str) -> Subnet:
        self._note("public_subnet")
        if network not in self.subnets:
            raise NotFound("ec2", "DescribeSubnets", "NoSubnet", f"no public subnet of {network}")
        return self.subnets[network]

    def import_key(self, name: str, public_key: str, tags: Mapping[str, str]) -> None:
        self._note("import_key")
        if name in self.keys:
            raise AwsError("ec2", "ImportKeyPair", "InvalidKeyPair.Duplicate", name)
        self.keys[name] = Tagged(f"key-{next(self._numbers):017x}", name, dict(tags))

    def delete_key(self, name: str) -> None:
        self._note("delete_key")
        self.keys.pop(name, None)

    def keys_tagged(self, tag: str) -> tuple[Tagged, ...]:
        self._note("keys_tagged")
        return tuple(key for key in self.keys.values() if tag in key.tags)

    def create_security_group(
        self, name: str, vpc_id: str, *, ssh_from: str, tags: Mapping[str, str], ports: Sequence[int] = (22,)
    ) -> str:
        self._note("create_security_group")
        if any(group.name == name and group.vpc_id == vpc_id for group in self.groups.values()):
            raise AwsError("ec2", "CreateSecurityGroup", "InvalidGroup.Duplicate", name)
        group_id = f"sg-{next(self._numbers):017x}"
        self.groups[group_id] = _Group(name, vpc_id, (ssh_from, tuple(ports)), dict(tags))
        return group_id

    def delete_security_group(self, group_id: str) -> None:
        self._note("delete_security_group")
        deadline_s = self._clock.monotonic_s() + 300
        while self._is_used(group_id):
            if self._clock.monotonic_s() >= deadline_s:
                raise AwsError("ec2", "DeleteSecurityGroup", "DependencyViolation", f"{group_id} is in use")
            self._clock.sleep(1)
        self.groups.pop(group_id, None)

    def _is_used(self, group_id: str) -> bool:
        return any(
            request.security_group_id == group_id and self.machines[instance_id].state != "terminated"
            for instance_id, request in self.requests.items()
        )

    def security_groups_tagged(self, tag: str) -> tuple[Tagged, ...]:
        self._note("security_groups_tagged")
        found = self.groups.items()
        return tuple(Tagged(each, group.name, group.tags) for each, group in found if tag in group.tags)

    def volumes_tagged(self, tag: str) -> tuple[Tagged, ...]:
        self._note("volumes_tagged")
        return tuple(volume for volume in self.volumes.values() if tag in volume.tags)

    def delete_volume(self, volume_id: str) -> None:
        self._note("delete_volume")
        self.volumes.pop(volume_id, None)


def _matches(pattern: str, name: str) -> bool:
    head, star, tail = pattern.partition("*")
    return name == pattern if not star else name.startswith(head) and name.endswith(tail)


@dataclass
class FakeBuilder(Recorded):
    """A Packer that makes images at once."""

    images: FakeImages
    requests: list[BuildRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def build(self, request: BuildRequest, *, on_step: StepSink) -> str:
        self._note("build")
        self.requests.append(request)
        on_step("building")
        return self.images.add(request.image_name, request.tags).ami_id
