# SPDX-License-Identifier: Apache-2.0
"""What the API believes of instances: moto's objects, read and changed under one lock."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from moto.ec2.models.instances import InstanceState, StateReason

from sandbox.api import lookups
from sandbox.reconcile import instances_with_machine


class State(StrEnum):
    """The states of an instance, in AWS's words."""

    PENDING = "pending"
    RUNNING = "running"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Health(StrEnum):
    """What the instance status checks say of a running instance."""

    INITIALIZING = "initializing"
    OK = "ok"
    IMPAIRED = "impaired"


Observer = Callable[[str, State | Health], None]


# By their words: those of an enumeration take longer to look up.
_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
# AWS shows a terminated instance for about an hour.
REMEMBER_TERMINATED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an instance changed state: `code` as in StateReason, `text` as in StateTransitionReason."""

    code: str
    message: str
    text: str

    @classmethod
    def of(cls, code: str, message: str) -> Reason:
        """Return a reason whose message begins with its code, as AWS writes them."""
        return cls(code, f"{code}: {message}", message)


NO_REASON = Reason("", "", "")
USER_SHUTDOWN = Reason.of("Client.UserInitiatedShutdown", "User initiated shutdown")
GUEST_SHUTDOWN = Reason.of("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")


def server_error(message: str) -> Reason:
    """Return the reason for what went wrong on the host."""
    return Reason.of("Server.InternalError", message)


@lru_cache(maxsize=64)
def _told_at(reason: Reason, moment: datetime) -> str:
    """Return a reason's text as StateTransitionReason has it."""
    text = f"{reason.text} ({moment:%Y-%m-%d %H:%M:%S} GMT)"
    return text.replace("User initiated shutdown", "User initiated")


class Ledger:
    """The instances of the region. `lock` is held for every change of moto's EC2 state."""

    def __init__(
        self, backend: Callable[[], Any], lock: threading.RLock, changed: Callable[[], None]
    ) -> None:
        self._backend = backend
        self._changed = changed
        self.lock = lock
        self.health: dict[str, Health] = {}
        self._terminate: Callable[[Any], Any] | None = None
        self._observers: list[Observer] = []
        # The terminated, in the order of their ends; None until those of a restored region are found.
        self._ended: deque[Any] | None = None

    def observe(self, observer: Observer) -> None:
        """Tell `observer` what instances enter. It is called with the lock held: it only takes note."""
        self._observers.append(observer)

    def found(self, instance_id: str, health: Health) -> None:
        """Record what a look at a running instance's machine said."""
        if self.health.get(instance_id) is not health:
            self.health[instance_id] = health
            self._tell(instance_id, health)

    def _tell(self, instance_id: str, what: State | Health) -> None:
        for observer in self._observers:
            observer(instance_id, what)

    @property
    def backend(self) -> Any:
        """moto's EC2 backend of this region."""
        return self._backend()

    def use_terminate(self, terminate: Callable[[Any], Any]) -> None:
        """Take what gives back an instance's volumes and interfaces."""
        self._terminate = terminate

    def find(self, instance_id: str) -> Any | None:
        """Return moto's instance."""
        with self.lock:
            return lookups.instance(self._backend(), instance_id)

    def state(self, instance_id: str) -> State | None:
        """Return the state the API shows."""
        instance = self.find(instance_id)
        return None if instance is None else State(instance.state)

    def with_machine(self) -> Iterator[Any]:
        """Yield the instances that have or are about to have a machine."""
        with self.lock:
            yield from list(instances_with_machine(self.backend))

    def enter(self, instance: Any, state: State, reason: Reason = NO_REASON) -> None:
        """Put `instance` into `state`."""
        with self.lock:
            word = state._value_
            instance._state = InstanceState(word, _CODES[word])
            instance._reason = _told_at(reason, datetime.now(UTC)) if reason.text else ""
            instance.state_reason = StateReason(reason.message, reason.code) if reason.code else None
            if state is not State.RUNNING:
                self.health.pop(instance.id, None)
            self._tell(instance.id, state)
        self._changed()

    def stopped(self, instance: Any) -> None:
        """Record that the machine is off: addresses that are not elastic go back."""
        with self.lock:
            reason = instance.state_reason
            text = instance._reason
            for nic in instance.nics.values():
                nic.stop()
            self.enter(instance, State.STOPPED)
            instance.state_reason, instance._reason = reason, text

    def terminated(self, instance: Any, reason: Reason | None = None) -> None:
        """Record that the machine is gone, with its volumes and interfaces."""
        with self.lock:
            kept = (instance.state_reason, instance._reason)
            if self._terminate is not None:
                self._terminate(instance)
            instance.terminated_at = datetime.now(UTC)
            if self._ended is not None:
                self._ended.append(instance)
            self.enter(instance, State.TERMINATED, reason or NO_REASON)
            if reason is None:
                instance.state_reason, instance._reason = kept

    def forget_old(self) -> None:
        """Drop instances that were terminated an hour ago."""
        limit = datetime.now(UTC) - REMEMBER_TERMINATED
        with self.lock:
            if self._ended is None:
                self._ended = self._find_ended(limit)
            old = []
            while self._ended and self._ended[0].terminated_at <= limit:
                old.append(self._ended.popleft())
            for instance in old:
                instance.is_forgotten = True
                self.backend.tags.pop(instance.id, None)
            if old:
                lookups.forget(self.backend, old)
                self._empty_reservations({getattr(each, "reservation_id", None) for each in old})

    def _find_ended(self, limit: datetime) -> deque[Any]:
        found = [
            instance
            for reservation in self.backend.reservations.values()
            for instance in reservation.instances
            if instance.state == State.TERMINATED
        ]
        for instance in found:
            instance.terminated_at = getattr(instance, "terminated_at", limit)
        return deque(sorted(found, key=lambda each: each.terminated_at))

    def _empty_reservations(self, touched: set[str | None]) -> None:
        """Take what is forgotten out of reservations; older ones may not be known to their instances."""
        reservations = self.backend.reservations
        for reservation_id in list(reservations) if None in touched else touched:
            reservation = reservations[reservation_id]
            reservation.instances = [
                each for each in reservation.instances if not getattr(each, "is_forgotten", False)
            ]
            if not reservation.instances:
                del reservations[reservation_id]
