# SPDX-License-Identifier: Apache-2.0
"""What provision, drift and destroy work with: a network, its environments, and the ports into them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from orchestrator.config.scope import NetworkScope
from orchestrator.domain.cost import Prices
from orchestrator.domain.stack import EnvironmentStack, NetworkStack, StackState, stack_name
from orchestrator.errors import Refused
from orchestrator.ports import (
    Bundles,
    Fleets,
    Identity,
    Images,
    LaunchTemplates,
    Locks,
    Objects,
    Parameters,
    Stacks,
    Templates,
)
from orchestrator.workflows.world import StoppableClock

T = TypeVar("T")
U = TypeVar("U")

# So many stacks are worked on at once: all that can be, but never a burst that AWS throttles.
WORKERS = 8


class Network(Enum):
    """Whether the stacks of the network belong to a request."""

    YES = "yes"
    NO = "no"
    IF_MISSING = "if missing"


@dataclass(frozen=True, slots=True)
class Request:
    """What an operator asked for. `command` is how to ask for it again; `title` names it.

    With `may_wait`, stacks that wait for an image to be baked are no reason to refuse.
    """

    title: str
    command: str
    network: Network
    environments: tuple[str, ...]
    allowed: frozenset[str] = frozenset()
    may_wait: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """The buckets of one environment: config, with locks and records, and bundles."""

    objects: Objects
    locks: Locks
    bundles: Objects


@dataclass(frozen=True, slots=True)
class ProvisionWorld:
    """A network with its environments, and the ports into them. `aws` begins a command for AWS's own CLI."""

    scope: NetworkScope
    stacks: Stacks
    templates: Templates
    bundles: Bundles
    parameters: Parameters
    images: Images
    fleets: Fleets
    launch_templates: LaunchTemplates
    identity: Identity
    stores: Mapping[str, Store]
    prices: Prices
    clock: StoppableClock
    run_id: str
    aws: str = "aws"

    @property
    def network_store(self) -> Store:
        """Return where the network's locks and records are: with the first of its environments."""
        return self.stores[self.scope.first.name]

    def is_protected(self, owner: str, *, is_network: bool) -> bool:
        """Tell whether the stacks of an owner are protected."""
        return self.scope.is_protected if is_network else self.scope.environments[owner].protected

    def guard_account(self) -> None:
        """Refuse to touch anything when the credentials are another account's."""
        wanted, found = self.scope.first.account_id, self.identity.account_id()
        if wanted != found:
            raise Refused(
                f"network {self.scope.name}",
                f"the credentials are of account {found}, the network is in account {wanted}",
                next_command="choose the credentials of that account (AWS_PROFILE)",
            )


def network_stack_names(scope: NetworkScope) -> tuple[str, ...]:
    """Return the names that the stacks of the network have, if there are any."""
    return tuple(stack_name(scope.name, kind) for kind in NetworkStack)


def environment_stack_names(environment: str) -> tuple[str, ...]:
    """Return the names that the stacks of an environment have, if there are any."""
    return tuple(stack_name(environment, kind) for kind in EnvironmentStack)


def existing(request: Request, scope: NetworkScope, states: Iterable[StackState]) -> tuple[StackState, ...]:
    """Return the stacks of a request that exist: its network's, if asked for, and its environments'."""
    names = set(network_stack_names(scope) if request.network is Network.YES else ())
    names |= {name for each in request.environments for name in environment_stack_names(each)}
    return tuple(state for state in states if state.name in names)


@contextmanager
def workers(world: ProvisionWorld) -> Iterator[ThreadPoolExecutor]:
    """Give threads; when the operator stops the command, let each come to its next pause and end."""
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        try:
            yield pool
        except KeyboardInterrupt:
            world.clock.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def side_by_side(world: ProvisionWorld, work: Callable[[T], U], items: Sequence[T]) -> list[U]:
    """Do the same for all items at once, bounded; return what came out in their order, or raise one error."""
    if not items:
        return []
    with workers(world) as pool:
        futures = [pool.submit(work, item) for item in items]
        for future in as_completed(futures):
            future.result()
    return [future.result() for future in futures]
