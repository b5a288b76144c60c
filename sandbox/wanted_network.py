# SPDX-License-Identifier: Apache-2.0
"""Keep the substrate's networks as moto's EC2 state wants them, and serve each VPC from inside."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from sandbox.reconcile import vpc_states
from sandbox.substrate import Substrate, VpcState


class VpcServices(Protocol):
    """What is served inside VPCs: instance metadata and names."""

    def follow(self, vpcs: tuple[VpcState, ...]) -> None:
        """Serve exactly these VPCs."""

    def close(self) -> None:
        """Serve none."""


class NoNetwork:
    """Takes the place of the networks where no machine is in one."""

    def settle(self) -> None:
        """Return: there is nothing to follow."""


class WantedNetwork:
    """Applies the wanted network. Many callers at once share one application."""

    def __init__(
        self,
        substrate: Substrate,
        backend: Callable[[], Any],
        *,
        lock: threading.RLock,
        services: VpcServices,
    ) -> None:
        self._substrate = substrate
        self._backend = backend
        self._moto_lock = lock
        self._services = services
        self._applying = threading.Lock()
        self._counter = threading.Lock()
        self._asked = 0
        self._settled = 0
        self._applied: tuple[VpcState, ...] | None = None

    def settle(self) -> None:
        """Return when a network at least as new as the state at this call is live."""
        with self._counter:
            self._asked += 1
            ticket = self._asked
        with self._applying:
            if self._settled >= ticket:
                return
            with self._counter:
                newest = self._asked
            with self._moto_lock:
                wanted = vpc_states(self._backend())
            if wanted != self._applied:
                self._applied = None
                self._substrate.apply_network(wanted)
                self._applied = wanted
                self._services.follow(wanted)
            self._settled = newest
