# SPDX-License-Identifier: Apache-2.0
"""A substrate without machines: the region's API answers as ever, and nothing runs behind it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sandbox.substrate import MachineSpec, PowerState, Process, SubstrateError, VpcState


class SimulatedSubstrate:
    """Keeps what it is told in memory; tests read its attributes and turn machines off behind the API."""

    def __init__(self, *, has_networks: bool = True) -> None:
        """Make the substrate; without networks, none are applied and machines need no place in one."""
        self._has_networks = has_networks
        self.networks: tuple[VpcState, ...] = ()
        self.power: dict[str, PowerState] = {}
        self.specs: dict[str, MachineSpec] = {}
        self.disks: set[str] = set()
        self.frozen: set[str] = set()
        self.failing_starts: dict[str, str] = {}
        self._lock = threading.RLock()

    def apply_network(self, vpcs: tuple[VpcState, ...]) -> None:
        """Remember the wanted networks."""
        self.networks = vpcs

    def listen(self, vpc_id: str, address: str, port: int, *, kind: socket.SocketKind) -> socket.socket:
        """Return a socket on loopback: there is no VPC to listen in."""
        del vpc_id, address, port
        listener = socket.socket(socket.AF_INET, kind)
        listener.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            listener.listen()
        return listener

    def serve(
        self,
        member_id: str,
        argv: Sequence[str],
        *,
        user: str,
        log: Path,
        mounts: Mapping[Path, Path] | None = None,
    ) -> Process:
        """Refuse: there is no network to serve from."""
        del argv, user, log, mounts
        raise SubstrateError(f"serve from {member_id}", "a simulated region runs no programs")

    def runtime_dir(self) -> Path:
        """Refuse: nothing runs."""
        raise SubstrateError("run programs", "a simulated region runs none")

    def run(self, spec: MachineSpec) -> None:
        """Pretend to boot, after checking what a real host would need."""
        with self._lock:
            if spec.ami_id not in self.disks:
                raise SubstrateError(f"run {spec.instance_id}", f"no image {spec.ami_id}")
            if reason := self.failing_starts.get(spec.ami_id):
                raise SubstrateError(f"run {spec.instance_id}", reason)
            if self._has_networks and not any(
                m.instance_id == spec.instance_id for vpc in self.networks for m in vpc.machines
            ):
                raise SubstrateError(f"run {spec.instance_id}", "it has no place in the network")
            self.specs[spec.instance_id] = spec
            self.power[spec.instance_id] = PowerState.RUNNING

    def start(self, instance_id: str) -> None:
        """Turn a stopped machine on."""
        self._set(instance_id, PowerState.RUNNING)

    def stop(self, instance_id: str, *, force: bool = False) -> None:
        """Turn a machine off."""
        del force
        self._set(instance_id, PowerState.POWERED_OFF)

    def reboot(self, instance_id: str) -> None:
        """Leave the machine on."""
        self._set(instance_id, PowerState.RUNNING)

    def destroy(self, instance_id: str) -> None:
        """Forget the machine."""
        with self._lock:
            self.power.pop(instance_id, None)
            self.specs.pop(instance_id, None)

    def console(self, instance_id: str) -> str:
        """Return what a machine that never ran has to say."""
        return f"{instance_id} is simulated: there is no console.\n"

    def observe(self) -> Mapping[str, PowerState]:
        """Return the power states."""
        with self._lock:
            return dict(self.power)

    def responsive(self) -> frozenset[str]:
        """Return the running machines that tests have not declared frozen."""
        running = {name for name, power in self.observe().items() if power is PowerState.RUNNING}
        return frozenset(running - self.frozen)

    def is_responsive(self, instance_id: str) -> bool:
        """Whether a machine runs and has not been declared frozen."""
        return self.power.get(instance_id) is PowerState.RUNNING and instance_id not in self.frozen

    def memory_bytes(self) -> Mapping[str, int]:
        """Return zero for each running machine."""
        return {name: 0 for name, power in self.observe().items() if power is PowerState.RUNNING}

    def cpu_seconds(self) -> Mapping[str, float]:
        """Return nothing: nothing computes. Tests put the metrics that they need."""
        return {}

    def capture(self, instance_id: str, ami_id: str) -> None:
        """Name an image after the machine's disk, if the machine exists."""
        with self._lock:
            if instance_id not in self.power:
                raise SubstrateError(f"capture {instance_id}", "no such machine")
            self.disks.add(ami_id)

    def copy_image(self, source_ami_id: str, ami_id: str) -> None:
        """Give an image a second name."""
        with self._lock:
            if source_ami_id not in self.disks:
                raise SubstrateError(f"copy {source_ami_id}", "no such image")
            self.disks.add(ami_id)

    def remove_image(self, ami_id: str) -> None:
        """Forget the image."""
        with self._lock:
            self.disks.discard(ami_id)

    def images(self) -> tuple[str, ...]:
        """Return the known images."""
        with self._lock:
            return tuple(sorted(self.disks))

    def install_public_image(self, ami_id: str) -> None:
        """Make the public image known."""
        with self._lock:
            self.disks.add(ami_id)

    def resume(self, power: Mapping[str, PowerState], disks: Iterable[str]) -> None:
        """Have the machines and images of a region that was saved: there is nothing they could have lost."""
        with self._lock:
            self.power.update(power)
            self.disks.update(disks)

    def destroy_all(self) -> None:
        """Forget machines and networks; images stay."""
        with self._lock:
            self.power.clear()
            self.specs.clear()
            self.networks = ()

    def _set(self, instance_id: str, power: PowerState) -> None:
        with self._lock:
            if instance_id not in self.power:
                raise SubstrateError(f"power {instance_id}", "no such machine")
            self.power[instance_id] = power
