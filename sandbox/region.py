# SPDX-License-Identifier: Apache-2.0
"""Put a region together: moto with its corrections, machines, network, and the services inside VPCs."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto import settings
from moto.core import errors
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami

from sandbox import dns, imds
from sandbox.api import (
    addresses,
    copies,
    corrections,
    iam_conditions,
    long_polls,
    service_state,
    subjects,
    vpcs,
)
from sandbox.api.access.guard import REFUSALS, Guard
from sandbox.api.calls import ApiCall
from sandbox.api.errors import HttpAnswer
from sandbox.api.gateway import Gateway, Locks, OperatorPage
from sandbox.api.images import ImageHooks
from sandbox.api.instances import InstanceHooks
from sandbox.api.ledger import Ledger, State, server_error
from sandbox.api.patches import Patches
from sandbox.clock import RegionClock, WallClock
from sandbox.controls import Controls
from sandbox.event_bus import EventBus
from sandbox.faults import API_CODES
from sandbox.inside import InsideServices, NoServices
from sandbox.lifecycle import Lifecycle
from sandbox.own_calls import OwnCalls
from sandbox.persistence import Saver, StateFile, teach_dill
from sandbox.services import Surroundings, services
from sandbox.simulated import SimulatedSubstrate
from sandbox.simulation import CAPTURE_S, SAVE_AFTER_S, SimulatedMachines, Simulation
from sandbox.substrate import PowerState, Substrate
from sandbox.wanted_network import NoNetwork, VpcServices, WantedNetwork
from sandbox.watcher import Watcher

log = logging.getLogger(__name__)

DEBIAN_OWNER = "136693071363"
DEBIAN_RELEASED = datetime(2026, 11, 1, 22, 41, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RegionOptions:
    """What a region is made with.

    With a clock of its own nothing happens but what that clock calls; a simulation has one, and chance and
    faults beside.
    """

    name: str
    mode: str
    public_cidr: str
    endpoint: str
    state_file: Path | None = None
    machine_environment: Mapping[str, str] | None = None
    clock: RegionClock | None = None
    simulation: Simulation | None = None


class Region:
    """A running region. moto keeps its state in globals: there is one region in a process at a time."""

    def __init__(self, options: RegionOptions, substrate: Substrate, own_pages: OperatorPage) -> None:
        self.options = options
        self.substrate = substrate
        self.names = dns.Names()
        self.locks = Locks()
        self.ledger = Ledger(self._ec2, self.locks.of("ec2"), self.changed)
        self._patches = Patches()
        self._loaded_ec2: Any = None
        self._pool = addresses.PublicAddresses(
            options.public_cidr, lambda: addresses.public_addresses_in_use(self._ec2())
        )
        self._file = StateFile(options.state_file, options.name) if options.state_file else None
        self._saver = self._make_saver(self._file)
        self._metadata = Metadata(self.ledger, options.name)
        self._services = self._inside_services()
        told = options.simulation.clock if options.simulation else options.clock
        self.clock: RegionClock = told or WallClock()
        self._network = NoNetwork() if options.simulation else self._wanted_network()
        self.lifecycle = Lifecycle(
            substrate=substrate,
            ledger=self.ledger,
            settle_network=self._network.settle,
            environment=lambda: options.machine_environment or {},
            clock=told,
            **self._pace(),
        )
        self._watcher = Watcher(
            substrate=substrate,
            ledger=self.ledger,
            lifecycle=self.lifecycle,
            settle_network=self._network.settle,
        )
        self.gateway = Gateway(
            region=options.name,
            locks=self.locks,
            own_pages=own_pages,
            authorise=self._authorise,
            settle_network=self._network.settle,
            changed=self.changed,
            now=self.clock.now,
            controls=Controls(options.simulation, self.changed),
            answered=self._answered,
        )
        self.service_pages: dict[str, Callable[[], HttpAnswer]] = {}
        self._guard = Guard(DEFAULT_ACCOUNT_ID, options.name)
        self._calls = OwnCalls(self.gateway, options.name)
        self.event_bus = self._make_event_bus()
        self.ledger.observe(self.event_bus.note_state)
        self._added = services(self._surroundings())

    def start(self) -> None:
        """Begin with what was saved, and the machines that are still there."""
        self._install()
        teach_dill()
        if self._file is None or not self._file.load():
            vpcs.connect_default_vpc(self._ec2())
        self._loaded_ec2 = self._ec2()
        self.event_bus.start()
        self._take_up()
        self._pool.replace_foreign(self._ec2())
        self._pick_up()
        self._network.settle()
        if isinstance(self.clock, WallClock):
            self._watcher.start()
        for service in self._added:
            service.start()
        if self._saver is not None:
            self._saver.start()

    def install_public_image(self) -> None:
        """Make the public Debian image available; this takes a minute on a host that never made one."""
        image = self._public_image()
        self.substrate.install_public_image(image.id)
        with self.ledger.lock:
            image.state = "available"
            image.ebs_snapshot.status = "completed"
        self.changed()

    def changed(self) -> None:
        """Note that there is something to save."""
        if self._saver is not None:
            self._saver.changed()

    def close(self) -> None:
        """Stop everything but the machines, save, and give moto back."""
        for service in reversed(self._added):
            service.close()
        self.clock.close()
        self._watcher.close()
        self.lifecycle.close()
        self._services.close()
        try:
            if self._saver is not None:
                self._saver.close()
        finally:
            self._patches.undo()
            if self.options.simulation is not None:
                self.options.simulation.close()

    def look(self) -> None:
        """Compare machines with instances now, as the watcher does every few seconds."""
        self._watcher.look()

    def _ec2(self) -> Any:
        """Return EC2's backend: the same one from when the saved state is there."""
        return self._loaded_ec2 or ec2_backends[DEFAULT_ACCOUNT_ID][self.options.name]

    def _surroundings(self) -> Surroundings:
        options = self.options
        return Surroundings(
            region=options.name,
            account_id=DEFAULT_ACCOUNT_ID,
            endpoint=self.options.endpoint,
            mode=options.mode,
            calls=self._calls,
            clock=self.clock,
            locks=self.locks,
            names=self.names,
            substrate=self.substrate,
            observe_instances=self.ledger.observe,
            announce=self.event_bus.announce,
            settle_network=self._network.settle,
            pages=self.service_pages,
            changed=self.changed,
            folder=options.state_file.parent if options.state_file else None,
            workers=options.simulation.turns if options.simulation else None,
        )

    def _make_event_bus(self) -> EventBus:
        return EventBus(
            account_id=DEFAULT_ACCOUNT_ID,
            region=self.options.name,
            locks=self.locks,
            calls=self._calls,
            clock=self.clock,
            changed=self.changed,
        )

    def _wanted_network(self) -> WantedNetwork:
        return WantedNetwork(self.substrate, self._ec2, lock=self.ledger.lock, services=self._services)

    def _inside_services(self) -> VpcServices:
        if self.options.mode == "simulated":
            return NoServices()
        return InsideServices(self.substrate, self._metadata, self.names)

    def _install(self) -> None:
        self._patches.replace(settings, "ec2_load_default_amis", lambda: False)
        # Codes that every service may answer; moto warns of those that are not in a service's own model.
        common = {*errors.COMMON_ERROR_CODES, *REFUSALS, *API_CODES, "UnsupportedOperation", "InternalError"}
        self._patches.replace(errors, "COMMON_ERROR_CODES", common)
        addresses.install(self._patches, self._pool)
        vpcs.install(self._patches)
        iam_conditions.install(self._patches)
        corrections.install(self._patches)
        copies.install(self._patches)
        long_polls.install(self._patches, self.locks.of("sqs"))
        service_state.install(self._patches)
        refuse = self.options.simulation.refuse_launch if self.options.simulation else _refuse_none
        InstanceHooks(self.ledger, self.lifecycle, refuse=refuse).install(self._patches)
        ImageHooks(
            self.ledger, substrate=self.substrate, captures=self.lifecycle, changed=self.changed
        ).install(self._patches)
        self.event_bus.install(self._patches)
        for service in self._added:
            service.install(self._patches)
        if self.options.simulation is not None:
            self.options.simulation.install(self._patches)

    def _make_saver(self, file: StateFile | None) -> Saver | None:
        if file is None:
            return None
        simulation = self.options.simulation
        if simulation is None:
            return Saver(file.save, self.locks.all)

        def save() -> None:
            simulation.note(self._ec2())
            file.save()

        return Saver(save, self.locks.all, SAVE_AFTER_S)

    def _pace(self) -> dict[str, Any]:
        """Return how long machines take, where that is not theirs to say."""
        simulation = self.options.simulation
        if simulation is None or not isinstance(self.substrate, SimulatedSubstrate):
            return {}
        machines = SimulatedMachines(simulation, self.substrate, self.ledger)
        self.ledger.observe(machines.note)
        return {"delay": machines.seconds, "capture_s": CAPTURE_S}

    def _authorise(self, call: ApiCall) -> None:
        self._guard.check(call)
        if self.options.simulation is not None:
            self.options.simulation.refuse_call(call)

    def _answered(self) -> None:
        """Carry out what is due now that a call is answered and holds no lock."""
        if self.options.simulation is not None:
            self.options.simulation.clock.run_due()

    def _take_up(self) -> None:
        """Go on with a simulation where it was saved."""
        if self.options.simulation is None or not isinstance(self.substrate, SimulatedSubstrate):
            return
        self.options.simulation.go_on(self._ec2())
        on = {State.RUNNING: PowerState.RUNNING, State.STOPPED: PowerState.POWERED_OFF}
        power = {each.id: on[each.state] for each in self.ledger.with_machine() if each.state in on}
        self.substrate.resume(power, [each.id for each in self._ec2().amis.values()])

    def _pick_up(self) -> None:
        """Bring instances and machines together after a restart: what has no machine is terminated."""
        seen = self.substrate.observe()
        known = set()
        for instance in list(self.ledger.with_machine()):
            known.add(instance.id)
            if instance.id not in seen:
                self.ledger.terminated(instance, server_error("The local region was stopped"))
            elif instance.state not in (State.RUNNING, State.STOPPED):
                self.lifecycle.converge(instance.id)
        for stray in set(seen) - known:
            log.warning("machine %s belongs to no instance: removed", stray)
            self.substrate.destroy(stray)
        self._drop_images_without_disk()

    def _drop_images_without_disk(self) -> None:
        held = set(self.substrate.images())
        backend = self._ec2()
        for image in list(backend.amis.values()):
            if image.owner_id != DEBIAN_OWNER and image.id not in held:
                log.warning("image %s (%s) has lost its disk: deregistered", image.id, image.name)
                backend.deregister_image(image.id)
                backend.snapshots.pop(image.ebs_snapshot.id, None)

    def _public_image(self) -> Ami:
        architecture = "arm64" if platform.machine() == "aarch64" else "x86_64"
        short = "arm64" if architecture == "arm64" else "amd64"
        name = f"debian-12-{short}-{DEBIAN_RELEASED:%Y%m%d}-2279"
        backend = self._ec2()
        with self.ledger.lock:
            existing: list[Ami] = list(backend.amis.values())
            for image in existing:
                if image.name == name and image.owner_id == DEBIAN_OWNER:
                    return image
            image = Ami(
                backend,
                "ami-0debd12a1e6f20d14" if short == "amd64" else "ami-0debd12a1e6f20d15",
                name=name,
                description=f"Debian 12 ({DEBIAN_RELEASED:%Y%m%d}-2279)",
                owner_id=DEBIAN_OWNER,
                public=True,
                architecture=architecture,
                creation_date=DEBIAN_RELEASED,
                image_location=f"amazon/{name}",
                state="pending",
            )
            backend.amis[image.id] = image
        return image


def _refuse_none(zone: str, instance_type: str) -> None:
    del zone, instance_type


class Metadata:
    """Answers the metadata service's questions from the ledger."""

    def __init__(self, ledger: Ledger, region: str) -> None:
        self._ledger = ledger
        self._tokens = imds.Tokens()
        self._credentials = imds.RoleCredentials(subjects.assume(DEFAULT_ACCOUNT_ID, region))

    def ask(self, vpc_id: str, address: str, question: imds.Question) -> tuple[imds.Answer, int]:
        """Return the answer to the machine at `address`, and the hop limit of a token answer."""
        with self._ledger.lock:
            instance = self._at(vpc_id, address)
            if instance is None:
                return imds.Answer(404), 1
            subject = subjects.describe(instance, self._credentials.document)
            return imds.answer(question, subject, self._tokens), subject.hop_limit

    def private_address_of(self, vpc_id: str, public_address: str) -> str | None:
        """Return the private address of the machine that holds a public one."""
        for instance in self._ledger.with_machine():
            if instance.nics[0].public_ip == public_address and instance.nics[0].subnet.vpc_id == vpc_id:
                found: str = instance.nics[0].private_ip_address
                return found
        return None

    def _at(self, vpc_id: str, address: str) -> Any | None:
        for instance in self._ledger.with_machine():
            nic = instance.nics[0]
            if nic.private_ip_address == address and nic.subnet.vpc_id == vpc_id:
                return instance
        return None
