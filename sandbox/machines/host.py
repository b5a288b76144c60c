# SPDX-License-Identifier: Apache-2.0
"""The substrate of real machines: podman containers in network namespaces of this host."""

from __future__ import annotations

import shutil
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sandbox import process
from sandbox.machines import cgroups, debian, vitals, watches
from sandbox.machines.facts import write_facts
from sandbox.machines.podman import Container, ContainerRequest, Podman, is_gone
from sandbox.names import RegionNames, of_checkout
from sandbox.network import namespaces, sockets, uplink
from sandbox.network.host_network import HostNetwork
from sandbox.substrate import MachineSpec, PowerState, Process, SubstrateError, VpcState

_STOP_TIMEOUT_S = 60
# A program that serves from a node may bind every port there, so it needs no privilege at all.
_SERVING_SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0"}
# In a mount namespace of the program's own, so that nothing is left when it ends.
_MOUNT = 'while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift; exec "$@"'
_UNPRIVILEGED = ("setpriv", "--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all")
_REBOOT_SIGNAL = "SIGRTMIN+5"  # systemd(1): starts reboot.target
# How a container ends tells how its init ended: the kernel turns reboot(2) in a PID namespace into these
# signals.
_REBOOTED = 128 + 1
_HALTED = frozenset({0, 128 + 2})
# Until podman has cleaned up, a container that ended is "stopped"; its exit code is known by then.
_OVER = frozenset({"exited", "stopped"})
_ON = frozenset({"running", "paused", "stopping", "initialized", "removing"})


class HostSubstrate:
    """Carries a region's machines on this host (see `sandbox.substrate.Substrate`)."""

    def __init__(self, names: RegionNames, *, on_progress: Callable[[str], None] | None = None) -> None:
        self.names = names
        self.addresses = uplink.region_addresses(names)
        self._podman = Podman(names)
        self._network = HostNetwork(names, self.addresses)
        self._on_progress = on_progress or (lambda _: None)
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)

    @classmethod
    def of_checkout(
        cls, checkout: Path, *, on_progress: Callable[[str], None] | None = None
    ) -> HostSubstrate:
        """Return the substrate of the checkout's region."""
        return cls(of_checkout(checkout), on_progress=on_progress)

    @property
    def public_range(self) -> str:
        """The CIDR from which public addresses may be given to machines and NAT gateways."""
        return str(self.addresses.pool)

    @property
    def operator_address(self) -> str:
        """This host, as machines see it."""
        return self.addresses.operator

    @property
    def region_address(self) -> str:
        """Where machines with a way out reach what `listen_region` serves."""
        return self.addresses.region

    def apply_network(self, vpcs: tuple[VpcState, ...]) -> None:
        """Make namespaces, links, addresses, routes, translations and firewalls match `vpcs`."""
        self._network.apply(vpcs)

    def listen(self, vpc_id: str, address: str, port: int, *, kind: socket.SocketKind) -> socket.socket:
        """Return a bound socket inside the VPC's router."""
        return self._network.listen(vpc_id, address, port, kind=kind)

    def listen_region(self, port: int) -> socket.socket:
        """Return a listening TCP socket on `region_address`."""
        return self._network.listen_region(port)

    def serve(
        self,
        member_id: str,
        argv: Sequence[str],
        *,
        user: str,
        log: Path,
        mounts: Mapping[Path, Path] | None = None,
    ) -> Process:
        """Start a program in a member's network as `user`."""
        if not self._network.has_place(member_id):
            raise SubstrateError(f"serve from {member_id}", "it has no place in the network")
        namespace = self.names.machine_namespace(member_id)
        namespaces.kill_programs(namespace)
        sockets.write_sysctls(namespace, _SERVING_SYSCTLS)
        entry = ["nsenter", f"--net={sockets.NAMESPACES / namespace}", *_mounting(mounts or {})]
        return process.spawn(
            [*entry, *_UNPRIVILEGED, f"--reuid={user}", f"--regid={user}", *argv],
            action=f"serve from {member_id}",
            log=log,
        )

    def runtime_dir(self) -> Path:
        """Return the region's directory under /run."""
        made = self.names.runtime_dir
        made.mkdir(mode=0o711, exist_ok=True)
        return made

    def run(self, spec: MachineSpec) -> None:
        """Create the machine from its image and power it on."""
        with self._locks[spec.instance_id]:
            if not self._network.has_place(spec.instance_id):
                raise SubstrateError(f"run {spec.instance_id}", "it has no place in the network")
            request = ContainerRequest(
                instance_id=spec.instance_id,
                image=self.names.image(spec.ami_id),
                hostname=spec.hostname,
                namespace=sockets.NAMESPACES / self.names.machine_namespace(spec.instance_id),
                mounts=write_facts(
                    self.names.facts_dir(spec.instance_id), spec.environment, has_cgroup_v2=cgroups.has_v2()
                ),
                labels=spec.labels,
            )
            watches.allow_many()
            try:
                self._podman.run(request)
            except SubstrateError:
                with suppress(SubstrateError):
                    self.destroy(spec.instance_id)
                raise

    def start(self, instance_id: str) -> None:
        """Power on a stopped machine, with the disk it had."""
        with self._locks[instance_id]:
            self._podman.start(instance_id)

    def stop(self, instance_id: str, *, force: bool = False) -> None:
        """Shut the machine down, orderly unless `force`; wait until it is off."""
        with self._locks[instance_id]:
            self._podman.stop(instance_id, timeout_s=0 if force else _STOP_TIMEOUT_S)

    def reboot(self, instance_id: str) -> None:
        """Reboot the machine; one that does not come down by itself is powered off and on, as AWS does."""
        with self._locks[instance_id]:
            try:
                self._podman.signal(instance_id, _REBOOT_SIGNAL)
                self._podman.wait(instance_id, timeout_s=_STOP_TIMEOUT_S)
            except SubstrateError:
                self._podman.stop(instance_id, timeout_s=0)
            self._podman.start(instance_id)

    def destroy(self, instance_id: str) -> None:
        """Remove the machine and its disk. Removing one that is gone already is not an error."""
        with self._locks[instance_id]:
            self._podman.remove(instance_id)
            shutil.rmtree(self.names.facts_dir(instance_id), ignore_errors=True)
        self._locks.pop(instance_id, None)

    def console(self, instance_id: str) -> str:
        """Return what the machine wrote to its console since it first ran."""
        try:
            return self._podman.logs(instance_id)
        except SubstrateError as exc:
            if is_gone(exc):
                return ""
            raise

    def observe(self) -> Mapping[str, PowerState]:
        """Return every machine of this region by instance id, as the host sees it now, in one call."""
        return {container.instance_id: power_of(container) for container in self._podman.containers()}

    def responsive(self) -> frozenset[str]:
        """Return the ids of the running machines whose system answers."""
        return frozenset(c.instance_id for c in self._podman.containers() if c.pid and vitals.answers(c.pid))

    def memory_bytes(self) -> Mapping[str, int]:
        """Return the memory each running machine uses, by instance id."""
        used = {c.instance_id: cgroups.memory_of(c.pid) for c in self._podman.containers() if c.pid}
        return {instance_id: size for instance_id, size in used.items() if size is not None}

    def cpu_seconds(self) -> Mapping[str, float]:
        """Return the CPU time each running machine has used since it was made, by instance id."""
        used = {c.instance_id: cgroups.cpu_seconds_of(c.pid) for c in self._podman.containers() if c.pid}
        return {instance_id: seconds for instance_id, seconds in used.items() if seconds is not None}

    def capture(self, instance_id: str, ami_id: str) -> None:
        """Save the machine's disk as the image `ami_id`; a running machine is paused meanwhile."""
        with self._locks[instance_id]:
            self._podman.commit(instance_id, self.names.image(ami_id))

    def copy_image(self, source_ami_id: str, ami_id: str) -> None:
        """Give the image a second, independent name."""
        self._podman.tag(self.names.image(source_ami_id), self.names.image(ami_id))

    def remove_image(self, ami_id: str) -> None:
        """Remove the image; machines made from it keep running, and its layers stay as long as they do."""
        if ami_id in self.images():
            self._podman.untag(self.names.image(ami_id))
        self._podman.prune()

    def images(self) -> tuple[str, ...]:
        """Return the ids of all images of this region."""
        prefix = self.names.image_prefix
        found = {name.removeprefix(prefix) for name in self._podman.image_names() if name.startswith(prefix)}
        return tuple(sorted(found))

    def install_public_image(self, ami_id: str) -> None:
        """Make the Debian 12 cloud image available as `ami_id`; build it if this host has none."""
        image = debian.ensure(self._podman, self.names.cache_dir, on_progress=self._on_progress)
        self._podman.tag(image, self.names.image(ami_id))

    def destroy_all(self, *, images: bool = False) -> None:
        """Remove every machine, network, mount, link, rule and process of this region, whoever made them.

        The host's image cache stays; the region's own images go only if `images`.
        """
        self._podman.remove(*(container.instance_id for container in self._podman.containers()))
        self._network.destroy()
        shutil.rmtree(self.names.runtime_dir, ignore_errors=True)
        shutil.rmtree(self.names.state_dir / "machines", ignore_errors=True)
        if images:
            for ami_id in self.images():
                self._podman.untag(self.names.image(ami_id))
        self._podman.prune()


def _mounting(mounts: Mapping[Path, Path]) -> list[str]:
    if not mounts:
        return []
    pairs = [str(path) for pair in mounts.items() for path in pair]
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _MOUNT, "sh", *pairs, "--"]


def power_of(container: Container) -> PowerState:
    """Tell from how a container ended what its machine did."""
    if container.state in _ON or not container.has_started:
        return PowerState.RUNNING
    if container.state not in _OVER:
        # A container that lost its processes without podman seeing it: the host restarted.
        return PowerState.KILLED
    if container.exit_code == _REBOOTED:
        return PowerState.REBOOTING
    return PowerState.POWERED_OFF if container.exit_code in _HALTED else PowerState.KILLED
