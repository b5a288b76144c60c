# SPDX-License-Identifier: Apache-2.0
"""Notice what machines do by themselves, and make their instances say so."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sandbox.api.ledger import GUEST_SHUTDOWN, Health, Ledger, State, server_error
from sandbox.lifecycle import Lifecycle
from sandbox.substrate import PowerState, Substrate

log = logging.getLogger(__name__)

INTERVAL_S = 2.0
# Machines that are known to be well are asked again at every so many looks.
HEALTH_EVERY = 5


class Watcher:
    """Compares machines with instances every few seconds."""

    def __init__(
        self,
        *,
        substrate: Substrate,
        ledger: Ledger,
        lifecycle: Lifecycle,
        settle_network: Callable[[], None],
    ) -> None:
        self._substrate = substrate
        self._ledger = ledger
        self._lifecycle = lifecycle
        self._settle_network = settle_network
        self._looks = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def start(self) -> None:
        """Watch until closed."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Compare once."""
        seen = self._substrate.observe()
        running = [instance.id for instance in self._ledger.with_machine() if instance.state == State.RUNNING]
        well = [one for one in running if seen.get(one, PowerState.MISSING) is PowerState.RUNNING]
        for instance_id in set(running) - set(well):
            self._look_closer(instance_id)
        health = self._ledger.health
        is_starting = any(health.get(one, Health.INITIALIZING) is Health.INITIALIZING for one in well)
        if is_starting or self._looks % HEALTH_EVERY == 0:
            self._check_health(well)
        self._looks += 1
        self._ledger.forget_old()

    def _watch(self) -> None:
        while not self._stopping.wait(INTERVAL_S):
            try:
                self.look()
            except Exception:  # whatever it was, the next look may go well, and nobody else would look
                log.exception("could not compare machines with instances")

    def _look_closer(self, instance_id: str) -> None:
        """Look again with the machine held: the first look may be older than what the API did since."""
        with self._lifecycle.exclusively(instance_id, wait=False) as is_held:
            instance = self._ledger.find(instance_id)
            if not is_held or instance is None or instance.state != State.RUNNING:
                return
            power = self._substrate.observe().get(instance_id, PowerState.MISSING)
            if power is PowerState.POWERED_OFF:
                self._powered_off(instance)
            elif power is PowerState.REBOOTING:
                self._ledger.health[instance_id] = Health.INITIALIZING
                self._substrate.start(instance_id)
            elif power in (PowerState.KILLED, PowerState.MISSING):
                log.warning("instance %s is %s", instance_id, power)
                how = "ended without a shutdown" if power is PowerState.KILLED else "is gone"
                self._lifecycle.terminate(instance_id, server_error(f"The machine {how}"))

    def _powered_off(self, instance: object) -> None:
        if instance.instance_initiated_shutdown_behavior == "terminate":  # type: ignore[attr-defined]
            self._lifecycle.terminate(instance.id, GUEST_SHUTDOWN)  # type: ignore[attr-defined]
            return
        self._ledger.enter(instance, State.STOPPING, GUEST_SHUTDOWN)
        self._ledger.stopped(instance)
        self._settle_network()

    def _check_health(self, instance_ids: list[str]) -> None:
        """Ask all machines whether they answer. One that never did is still starting."""
        responsive = self._substrate.responsive()
        for instance_id in instance_ids:
            before = self._ledger.health.get(instance_id, Health.INITIALIZING)
            is_starting = before is Health.INITIALIZING and instance_id not in responsive
            fallen = Health.INITIALIZING if is_starting else Health.IMPAIRED
            self._ledger.found(instance_id, Health.OK if instance_id in responsive else fallen)
