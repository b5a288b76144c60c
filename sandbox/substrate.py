# SPDX-License-Identifier: Apache-2.0
"""What the region's API needs from whatever carries its machines.

Everything here is plain data, so that the API side can be tried without machines (`sandbox.simulated`) and
the machine side (`sandbox.machines`, `sandbox.network`) without an API. Networks and firewalls are level-
triggered: the caller states the whole wanted state, the substrate finds and makes the difference.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class PowerState(StrEnum):
    """What the host sees of a machine, independent of what the API believes."""

    RUNNING = "running"
    POWERED_OFF = "powered-off"  # the guest shut itself down
    REBOOTING = "rebooting"  # the guest asked for a reboot
    KILLED = "killed"  # it ended without an orderly shutdown
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class FirewallRule:
    """One allowed flow of a security group. `cidrs` already holds the /32s of members of referenced groups.

    protocol is "tcp", "udp", "icmp", "-1" (all) or an IANA number; ports are inclusive and None for all.
    For icmp the ports are type and code, as in the EC2 API.
    """

    protocol: str
    from_port: int | None
    to_port: int | None
    cidrs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AclRule:
    """One numbered rule of a network ACL; evaluated in ascending order, stateless."""

    number: int
    protocol: str
    from_port: int | None
    to_port: int | None
    cidr: str
    is_allow: bool


@dataclass(frozen=True, slots=True)
class Firewall:
    """Everything that filters one machine's traffic."""

    ingress: tuple[FirewallRule, ...] = ()
    egress: tuple[FirewallRule, ...] = ()
    acl_ingress: tuple[AclRule, ...] = ()
    acl_egress: tuple[AclRule, ...] = ()


@dataclass(frozen=True, slots=True)
class SubnetState:
    """A subnet; `internet` says how its machines reach addresses outside the VPC.

    None: not at all. "gateway": through an internet gateway, each machine by its own public address (those
    without one stay cut off). Any other value: the public address of the NAT gateway that carries them.
    """

    subnet_id: str
    cidr: str
    internet: str | None = None


@dataclass(frozen=True, slots=True)
class AttachedMachine:
    """A machine's place in the network. `firewall` is enforced before the machine first runs.

    A node of a service (a load balancer's) is attached as machines are, by its interface's id.
    """

    instance_id: str
    subnet_id: str
    private_address: str
    mac_address: str
    public_address: str | None
    firewall: Firewall


@dataclass(frozen=True, slots=True)
class VpcState:
    """A VPC with its subnets and the machines in them."""

    vpc_id: str
    cidrs: tuple[str, ...]
    subnets: tuple[SubnetState, ...] = ()
    machines: tuple[AttachedMachine, ...] = ()


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """What a machine is started with. Its network place is stated through `apply_network` before it starts.

    Every service and every login of the machine sees `environment`; images captured from it do not contain
    it.
    """

    instance_id: str
    ami_id: str
    hostname: str
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


class SubstrateError(Exception):
    """The host refused: what was tried, and its last lines of output."""

    def __init__(self, action: str, output: str) -> None:
        super().__init__(action, output)
        self.action = action
        self.output = output

    def __str__(self) -> str:
        return f"{self.action}: {self.output}"


class Process(Protocol):
    """A program that was started."""

    pid: int

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""

    def kill(self) -> None:
        """End it at once."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""


class Substrate(Protocol):
    """Carries machines, their disks and their network. All methods are safe to call from several threads."""

    def apply_network(self, vpcs: tuple[VpcState, ...]) -> None:
        """Make namespaces, links, addresses, routes and firewalls match `vpcs`, and remove the rest.

        Programs that run in what is removed are killed.
        """

    def listen(self, vpc_id: str, address: str, port: int, *, kind: socket.SocketKind) -> socket.socket:
        """Return a bound socket inside the VPC's router: TCP sockets listen already, UDP ones receive."""

    def serve(
        self,
        member_id: str,
        argv: Sequence[str],
        *,
        user: str,
        log: Path,
        mounts: Mapping[Path, Path] | None = None,
    ) -> Process:
        """Start a program in a member's network as `user`, with no privilege but to bind every port there.

        What `argv` has left in that network from before is killed first: there is one program a member. The
        program alone sees each directory of `mounts` at another place: at its own it may be out of reach.
        """

    def runtime_dir(self) -> Path:
        """Return a directory for what programs read while they run; it ends with the region's network."""

    def run(self, spec: MachineSpec) -> None:
        """Create the machine from its image and power it on. Its network place must exist."""

    def start(self, instance_id: str) -> None:
        """Power on a stopped machine, with the disk it had."""

    def stop(self, instance_id: str, *, force: bool = False) -> None:
        """Shut the machine down, orderly unless `force`; wait until it is off."""

    def reboot(self, instance_id: str) -> None:
        """Reboot the machine, keeping its disk and its network place."""

    def destroy(self, instance_id: str) -> None:
        """Remove the machine and its disk. Removing one that is gone already is not an error."""

    def console(self, instance_id: str) -> str:
        """Return what the machine wrote to its console since it first ran."""

    def observe(self) -> Mapping[str, PowerState]:
        """Return every machine of this region by instance id, as the host sees it now, in one call."""

    def responsive(self) -> frozenset[str]:
        """Return the ids of the running machines whose system answers."""

    def memory_bytes(self) -> Mapping[str, int]:
        """Return the memory each running machine uses, by instance id."""

    def cpu_seconds(self) -> Mapping[str, float]:
        """Return the CPU time each running machine has used, by instance id; none where nothing computes."""

    def capture(self, instance_id: str, ami_id: str) -> None:
        """Save the machine's disk as the image `ami_id`."""

    def copy_image(self, source_ami_id: str, ami_id: str) -> None:
        """Give the image a second, independent name."""

    def remove_image(self, ami_id: str) -> None:
        """Remove the image; machines made from it keep running."""

    def images(self) -> tuple[str, ...]:
        """Return the ids of all images of this region."""

    def install_public_image(self, ami_id: str) -> None:
        """Make the Debian 12 cloud image available as `ami_id`; build it if this host has none."""

    def destroy_all(self) -> None:
        """Remove every machine, network, mount, link, rule and process of this region, whoever made them.

        Images stay, the region's own and the host's cache.
        """
