# SPDX-License-Identifier: Apache-2.0
"""Bring machines to the state their instances have entered, and capture their disks, in the background."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from sandbox.api.ledger import Health, Ledger, Reason, State, server_error
from sandbox.clock import RegionClock
from sandbox.substrate import MachineSpec, PowerState, Substrate, SubstrateError

log = logging.getLogger(__name__)

# How many of the clock's seconds pass before the machine of an instance in that state has followed.
Delay = Callable[[State, str], float]

# Starting a machine is mostly waiting for podman; stopping one waits for the guest.
WORKERS = 12


class Lifecycle:
    """Carries out what the API decides. One thing at a time happens to a machine.

    With a clock, that clock calls each step in its turn, after the delay that the step takes; without, steps
    run side by side as soon as they can.
    """

    def __init__(
        self,
        *,
        substrate: Substrate,
        ledger: Ledger,
        settle_network: Callable[[], None],
        environment: Callable[[], Mapping[str, str]],
        clock: RegionClock | None = None,
        delay: Delay = lambda state, instance_id: 0.0,
        capture_s: float = 0.0,
    ) -> None:
        self._substrate = substrate
        self._ledger = ledger
        self._settle_network = settle_network
        self._environment = environment
        self._clock = clock
        self._delay = delay
        self._capture_s = capture_s
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="machine")
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._created: set[str] = set(substrate.observe())
        self._steps: Mapping[str, Callable[[Any], None]] = {
            State.PENDING: self._power_on,
            State.STOPPING: self._power_off,
            State.SHUTTING_DOWN: self._destroy,
        }

    def close(self) -> None:
        """Finish what runs and take nothing more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def converge(self, instance_id: str) -> None:
        """Bring the machine to the state of its instance, soon."""
        state = self._ledger.state(instance_id) if self._clock is not None else None
        after_s = 0.0 if state is None else self._delay(state, instance_id)
        self._submit(self._step, instance_id, after_s=after_s)

    def reboot(self, instance_id: str) -> None:
        """Reboot the machine, soon."""
        self._submit(self._reboot, instance_id)

    def console(self, instance_id: str) -> str:
        """Return the machine's console; a machine that never ran wrote nothing."""
        if instance_id not in self._created:
            return ""
        try:
            return self._substrate.console(instance_id)
        except SubstrateError:
            return ""

    def capture(
        self, instance_id: str, ami_id: str, *, power_off: bool, done: Callable[[SubstrateError | None], None]
    ) -> None:
        """Save the machine's disk as an image, soon, with the machine off meanwhile if `power_off`."""
        self._submit(self._capture, instance_id, ami_id, power_off, done, after_s=self._capture_s)

    @contextmanager
    def exclusively(self, instance_id: str, *, wait: bool = True) -> Iterator[bool]:
        """Keep everything else away from a machine; gives False when it is busy and `wait` is off."""
        lock = self._locks[instance_id]
        if not lock.acquire(blocking=wait):
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def terminate(self, instance_id: str, reason: Reason | None) -> None:
        """Remove the machine and record its instance as terminated. The caller holds the machine."""
        self._substrate.destroy(instance_id)
        self._created.discard(instance_id)
        if instance := self._ledger.find(instance_id):
            self._ledger.terminated(instance, reason)
        self._settle_network()

    def _submit(
        self, work: Callable[..., None], instance_id: str, *arguments: object, after_s: float = 0.0
    ) -> None:
        run = partial(self._alone, work, instance_id, *arguments)
        if self._clock is not None:
            self._clock.after(after_s, run)
            return
        self._pool.submit(run).add_done_callback(_report)

    def _alone(self, work: Callable[..., None], instance_id: str, *arguments: object) -> None:
        with self._locks[instance_id]:
            work(instance_id, *arguments)

    def _step(self, instance_id: str) -> None:
        instance = self._ledger.find(instance_id)
        if instance is not None and (step := self._steps.get(instance.state)) is not None:
            step(instance)

    def _power_on(self, instance: Any) -> None:
        instance_id = instance.id
        is_first = instance_id not in self._created
        try:
            self._settle_network()
            if is_first:
                self._substrate.run(self._spec(instance))
                self._created.add(instance_id)
            else:
                self._substrate.start(instance_id)
        except SubstrateError as error:
            self._failed_to_start(instance_id, error, is_first=is_first)
            return
        with self._ledger.lock:
            if instance.state == State.PENDING:
                self._ledger.enter(instance, State.RUNNING)

    def _failed_to_start(self, instance_id: str, error: SubstrateError, *, is_first: bool) -> None:
        log.error("instance %s did not start: %s", instance_id, error)
        reason = server_error(f"Internal error on launch: {error}")
        if is_first:
            self.terminate(instance_id, reason)
            return
        with self._ledger.lock:
            instance = self._ledger.find(instance_id)
            if instance is not None and instance.state == State.PENDING:
                self._ledger.enter(instance, State.STOPPING, reason)
                self._ledger.stopped(instance)
        self._settle_network()

    def _power_off(self, instance: Any) -> None:
        self._substrate.stop(instance.id)
        with self._ledger.lock:
            # It may have been terminated while it shut down: that step comes next.
            if instance.state == State.STOPPING:
                self._ledger.stopped(instance)
        self._settle_network()

    def _destroy(self, instance: Any) -> None:
        self.terminate(instance.id, None)

    def _reboot(self, instance_id: str) -> None:
        if self._ledger.state(instance_id) is State.RUNNING:
            self._ledger.found(instance_id, Health.INITIALIZING)
            self._substrate.reboot(instance_id)

    def _capture(
        self, instance_id: str, ami_id: str, power_off: bool, done: Callable[[SubstrateError | None], None]
    ) -> None:
        try:
            is_on = self._substrate.observe().get(instance_id) is PowerState.RUNNING
            if is_on and power_off:
                self._substrate.stop(instance_id)
            try:
                self._substrate.capture(instance_id, ami_id)
            finally:
                if is_on and power_off:
                    self._substrate.start(instance_id)
        except SubstrateError as error:
            log.error("image %s of %s failed: %s", ami_id, instance_id, error)
            done(error)
            return
        done(None)

    def _spec(self, instance: Any) -> MachineSpec:
        return MachineSpec(
            instance_id=instance.id,
            ami_id=instance.image_id,
            hostname=instance.private_dns_name.partition(".")[0],
            environment=dict(self._environment()),
        )


def _report(done: Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()):
        log.error("a machine operation failed", exc_info=error)
