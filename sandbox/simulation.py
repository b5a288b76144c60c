# SPDX-License-Identifier: Apache-2.0
"""What a simulated region has beside a real one: time that is told, faults that are asked for, a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from moto.moto_api._internal import mock_random
from moto.sqs.models import SQSBackend

from sandbox.api.calls import ApiCall
from sandbox.api.errors import AwsError
from sandbox.api.ledger import REMEMBER_TERMINATED, Health, Ledger, State
from sandbox.api.patches import Patches
from sandbox.clock import VirtualClock
from sandbox.faults import API_CODES, LAUNCH_CODES, FaultList
from sandbox.own_calls import is_own
from sandbox.simulated import SimulatedSubstrate
from sandbox.steering import steer
from sandbox.turns import Turns

BEGINNING = datetime(2027, 1, 1, tzinfo=UTC)
# How long machines take to end, and to be captured, in the region's seconds.
STOP_S = TERMINATE_S = 10.0
CAPTURE_S = 60.0
# Status checks that never pass fail after so long.
IMPAIRED_AFTER_S = 120.0
# Writing thousands of machines down stops everything for seconds; what a seed made can be made again.
SAVE_AFTER_S = 300.0
_ATTRIBUTE = "slipway_simulation"


class OtherSeed(Exception):
    """The saved region was begun with another seed."""


@dataclass(frozen=True, slots=True)
class _Saved:
    seed: int
    elapsed_s: float
    chance: Any
    faults: FaultList


class Simulation:
    """Time, chance and faults of one region."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.clock = VirtualClock(BEGINNING)
        self.turns = Turns(self.clock)
        self.faults = FaultList(Random(f"faults {seed}"))  # noqa: S311 - nothing is secret in a simulation
        self._chance_before: Any = None

    def install(self, patches: Patches) -> None:
        """Steer everything from here on."""
        self._chance_before = mock_random.getstate()
        steer(patches, self.clock)
        mock_random.seed(self.seed)
        patches.replace(SQSBackend, "receive_message", _at_once(SQSBackend.receive_message))

    def close(self) -> None:
        """Let moto's chance be as it was."""
        if self._chance_before is not None:
            mock_random.setstate(self._chance_before)

    def go_on(self, backend: Any) -> None:
        """Take up the saved time, chance and faults.

        Raises:
            OtherSeed: the saved region was begun with another seed.
        """
        saved: _Saved | None = vars(backend).get(_ATTRIBUTE)
        if saved is None:
            return
        if saved.seed != self.seed:
            raise OtherSeed(f"the saved region was begun with seed {saved.seed}: invoke sandbox.reset first")
        self.clock.go_on_at(saved.elapsed_s)
        self.faults = saved.faults
        mock_random.setstate(saved.chance)

    def note(self, backend: Any) -> None:
        """Put time, chance and faults where they are saved with the region."""
        saved = _Saved(self.seed, self.clock.elapsed_s, mock_random.getstate(), self.faults)
        setattr(backend, _ATTRIBUTE, saved)

    def refuse_launch(self, zone: str, instance_type: str) -> None:
        """Refuse a launch, if a fault says so."""
        if code := self.faults.launch_code(zone, instance_type):
            message = LAUNCH_CODES[code].format(zone=zone, instance_type=instance_type)
            raise AwsError(code, message)

    def refuse_call(self, call: ApiCall) -> None:
        """Refuse a call of somebody else than the region itself, if a fault says so."""
        if call.operation is None or is_own(call.environ.get("HTTP_AUTHORIZATION", "")):
            return
        if code := self.faults.call_code(call.target.service, call.operation):
            raise AwsError(code, API_CODES[code])


def _at_once(receive: Callable[..., Any]) -> Callable[..., Any]:
    def receive_message(
        backend: Any, queue: str, count: int, wait_s: int, *arguments: Any, **options: Any
    ) -> Any:
        """Answer what there is: no message comes while a call waits and time stands still."""
        del wait_s
        return receive(backend, queue, count, 0, *arguments, **options)

    return receive_message


class SimulatedMachines:
    """Tells how long machines take, and whether they get well."""

    def __init__(self, simulation: Simulation, substrate: SimulatedSubstrate, ledger: Ledger) -> None:
        self._simulation = simulation
        self._substrate = substrate
        self._ledger = ledger
        self._forgetting_since = -1.0
        # Instances that have begun to run, and whose status is checked next.
        self._new: list[str] = []

    def seconds(self, state: State, instance_id: str) -> float:
        """Return how long a machine takes to be what its instance has entered."""
        if state is not State.PENDING:
            return STOP_S if state is State.STOPPING else TERMINATE_S
        zone, instance_type = _place(self._ledger.find(instance_id))
        return self._simulation.faults.boot_seconds(zone, instance_type)

    def note(self, instance_id: str, entered: State | Health) -> None:
        """Check the status of what begins to run or has rebooted; EC2's lock is held, so later."""
        if entered is State.RUNNING:
            self._new.append(instance_id)
            if len(self._new) == 1:
                self._simulation.clock.after(0, self._check_new)
        elif entered is State.TERMINATED:
            self._forget_later()
        elif entered is Health.INITIALIZING:
            zone, instance_type = _place(self._ledger.find(instance_id))
            seconds = self._simulation.faults.boot_seconds(zone, instance_type)
            self._simulation.clock.after(seconds, lambda: self._check(instance_id))

    def _check_new(self) -> None:
        new, self._new = self._new, []
        for instance_id in new:
            self._check(instance_id)

    def _forget_later(self) -> None:
        """Look for what is to be forgotten when that will be so, once for all that end at about this time."""
        minute = self._simulation.clock.elapsed_s // 60
        if self._forgetting_since != minute:
            self._forgetting_since = minute
            self._simulation.clock.after(REMEMBER_TERMINATED.total_seconds() + 60, self._ledger.forget_old)

    def _check(self, instance_id: str) -> None:
        instance = self._ledger.find(instance_id)
        if instance is None or instance.state != State.RUNNING:
            return
        if self._simulation.faults.stays_unhealthy(*_place(instance)):
            self._substrate.frozen.add(instance_id)
            self._simulation.clock.after(IMPAIRED_AFTER_S, lambda: self._found(instance_id, Health.IMPAIRED))
            return
        self._substrate.frozen.discard(instance_id)
        self._found(instance_id, Health.OK)

    def _found(self, instance_id: str, health: Health) -> None:
        with self._ledger.lock:
            is_frozen = instance_id in self._substrate.frozen
            if self._ledger.state(instance_id) is State.RUNNING and is_frozen is (health is Health.IMPAIRED):
                self._ledger.found(instance_id, health)


def _place(instance: Any) -> tuple[str, str]:
    if instance is None:
        return "", ""
    return str(instance.nics[0].subnet.availability_zone), str(instance.instance_type)
