# SPDX-License-Identifier: Apache-2.0
"""What workflows need of the world. Adapters have these shapes; only cli.py joins them.

Every method raises AwsError (NotFound where the object is asked for by id) or RemoteError, never a library's
own error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from orchestrator.domain.image import Image, SourceImage
from orchestrator.domain.lock import Owner


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


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of the config bucket. `etag` is what `if_match` takes."""

    key: str
    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended, with all it printed."""

    status: int
    stdout: str
    stderr: str


class Images(Protocol):
    """AMIs of this account and the public ones they start from."""

    def source(self, owner_id: str, name: str) -> SourceImage:
        """Return the newest available image of that owner whose name matches; raise NotFound if none."""

    def by_class(self, class_names: Sequence[str]) -> tuple[Image, ...]:
        """Return all images of these classes, newest first; by name, so that untagged ones are seen."""

    def tag(self, resource_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """Put tags on images and snapshots in one call."""

    def snapshots_tagged(self, tag: str) -> tuple[Tagged, ...]:
        """Return this account's snapshots that carry the tag."""

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot; an unknown one is no error."""

    def deregister(self, image: Image) -> None:
        """Deregister the image and delete its snapshots; what is gone already is no error."""


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


class Objects(Protocol):
    """The environment's config bucket."""

    def get(self, key: str) -> StoredObject | None:
        """Return the object, or None."""

    def put(self, key: str, body: bytes, *, if_none_match: bool = False, if_match: str = "") -> str | None:
        """Write the object and return its etag, or None when the condition did not hold."""

    def delete(self, key: str, *, if_match: str = "") -> bool:
        """Delete the object; return False when the condition did not hold."""

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Return the keys that begin with `prefix`."""


class Identity(Protocol):
    """Whom AWS takes us for."""

    def account_id(self) -> str:
        """Return the account of the credentials in use."""


class KeyMaker(Protocol):
    """Makes key pairs that live as long as one run."""

    def make(self, folder: Path, name: str) -> tuple[Path, str]:
        """Write an ed25519 private key (0600) into the folder; return its path and the public key's line."""


class RemoteShell(Protocol):
    """Commands on one machine, over ssh with a verified host key."""

    def run(self, command: str, *, stdin: bytes = b"", timeout_s: float = 120) -> CommandResult:
        """Run a command to its end."""


class Shells(Protocol):
    """Opens shells."""

    def connect(
        self, address: str, *, user: str, private_key: Path, host_keys: Sequence[str], timeout_s: float
    ) -> AbstractContextManager[RemoteShell]:
        """Connect, retrying until the port answers or the time is up.

        Args:
            host_keys: The only acceptable host keys, as `ssh-ed25519 AAAA...` lines.
        """


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One run of Packer. `context` is a folder that holds the class's closure and nothing else."""

    class_name: str
    bake_key: str
    image_name: str
    context: Path
    playbook: str
    source_ami_id: str
    instance_type: str
    region: str
    endpoint_url: str
    subnet_id: str
    security_group_id: str
    key_name: str
    private_key: Path
    known_hosts: Path
    user_data: Path
    tags: Mapping[str, str]
    run_tags: Mapping[str, str]


class Builder(Protocol):
    """Builds a candidate image."""

    def build(self, request: BuildRequest, *, on_step: StepSink) -> str:
        """Build and return the AMI id; stopping the thread's process group cleans up after itself."""


class StepSink(Protocol):
    """Takes the steps of one long task as they begin."""

    def __call__(self, text: str, /) -> None:
        """Show the step."""


class Reporter(Protocol):
    """Shows an operator what happens, on stderr."""

    def step(self, task: str, text: str, *, position: tuple[int, int] | None = None) -> None:
        """Show that `task` (a class, a fleet) has reached a step, `position` being (k-th, of n)."""

    def done(self, task: str, text: str) -> None:
        """Show that `task` has ended well."""

    def failed(self, task: str, text: str) -> None:
        """Show that `task` has failed."""

    def note(self, text: str) -> None:
        """Show a line that belongs to no task."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock as it stands in the config bucket."""

    name: str
    owner: Owner
    expires_at: datetime
    taken_at: datetime | None = None


class HeldLock(Protocol):
    """A lock in use."""

    def check(self) -> None:
        """Raise Refused if the lock was lost: call it before each step that two runs must not both take."""


class Locks(Protocol):
    """Locks in the config bucket, one object each, renewed while held."""

    def hold(self, name: str, run_id: str) -> AbstractContextManager[HeldLock]:
        """Hold the lock for the block, renewing it; raise Refused, naming its owner, when it is held."""

    def current(self, prefix: str) -> tuple[Lock, ...]:
        """Return the locks whose owner may be alive: not expired, and no dead process of this host."""


class Programs(Protocol):
    """Programs of this host that a run has started."""

    def terminate_all(self) -> None:
        """Ask every program of this process to clean up and end, and see to it that it does."""

    def end_run(self, run_id: str) -> int:
        """End the programs a dead run left behind on this host; return how many there were."""
