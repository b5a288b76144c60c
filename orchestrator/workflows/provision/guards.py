# SPDX-License-Identifier: Apache-2.0
"""The locks of a run: one per environment and one for the network.

They are objects of the config bucket, which is made by the state stack. While there is no such bucket yet,
CloudFormation itself is the guard: it takes one operation per stack at a time and refuses the second. As soon
as the bucket is there, the lock is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from orchestrator.errors import NotFound
from orchestrator.ports import HeldLock, Locks
from orchestrator.workflows.provision.record import NO_BUCKET
from orchestrator.workflows.provision.world import ProvisionWorld


def environment_lock(environment: str) -> str:
    """Return the name of an environment's lock."""
    return f"provision/{environment}"


def network_lock(network: str) -> str:
    """Return the name of a network's lock."""
    return f"provision/network-{network}"


class Guards:
    """The locks that a run holds, and those that have no place yet."""

    def __init__(self, wanted: Mapping[str, Locks], run_id: str, stack: ExitStack) -> None:
        self._wanted = dict(sorted(wanted.items()))
        self._run_id = run_id
        self._stack = stack
        self._held: dict[str, HeldLock] = {}

    def take_missing(self) -> None:
        """Take the locks whose bucket exists by now.

        Raises:
            Refused: Somebody else holds one.
        """
        for name, locks in self._wanted.items():
            if name in self._held:
                continue
            try:
                self._held[name] = self._stack.enter_context(locks.hold(name, self._run_id))
            except NotFound as error:
                if error.code != NO_BUCKET:
                    raise

    def check(self) -> None:
        """Raise Refused if a lock was lost: called before each step that two runs must not both take."""
        for lock in tuple(self._held.values()):
            lock.check()


@contextmanager
def guards(world: ProvisionWorld, *, environments: tuple[str, ...], has_network: bool) -> Iterator[Guards]:
    """Hold the locks of these environments, and of the network, while the block runs."""
    wanted = {environment_lock(name): world.stores[name].locks for name in environments}
    if has_network:
        wanted[network_lock(world.scope.name)] = world.network_store.locks
    with ExitStack() as stack:
        held = Guards(wanted, world.run_id, stack)
        held.take_missing()
        yield held
