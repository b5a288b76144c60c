# SPDX-License-Identifier: Apache-2.0
"""The nodes of load balancers: what carries a balancer in one subnet, for real or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sandbox.balancing.health import Check
from sandbox.balancing.shape import Balancer

# (target group's name, target's name)
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A node to have: known by its interface, with the address it listens at."""

    node_id: str
    address: str
    balancer: Balancer


@dataclass(slots=True)
class Count:
    """Requests, and the answers to them by class (2xx, 4xx, 5xx)."""

    requests: int = 0
    answers: dict[str, int] = field(default_factory=dict)

    def add(self, other: Count) -> None:
        """Count the other's as well."""
        self.requests += other.requests
        for kind, number in other.answers.items():
            self.answers[kind] = self.answers.get(kind, 0) + number


@dataclass(slots=True)
class Traffic:
    """What clients were answered, and what targets answered, by target group's name."""

    clients: Count = field(default_factory=Count)
    groups: dict[str, Count] = field(default_factory=dict)

    def add(self, other: Traffic) -> None:
        """Count the other's as well."""
        self.clients.add(other.clients)
        for name, count in other.groups.items():
            self.groups.setdefault(name, Count()).add(count)


class Nodes(Protocol):
    """Carries nodes. What it says of a node, it says by the node's id."""

    def apply(self, plans: Iterable[NodePlan]) -> None:
        """Run exactly these nodes, each as its plan says, and start again what has ended."""

    def checks(self) -> Mapping[str, Mapping[Place, Check]]:
        """Return what each node that runs saw last of its targets."""

    def traffic(self) -> Mapping[str, Traffic]:
        """Return the traffic since this was last asked."""

    def cut(self, places: Iterable[Place]) -> None:
        """End the connections to targets whose time to drain is over."""

    def close(self) -> None:
        """Run none."""


class SimulatedNodes:
    """Nodes that are not there: a target is up when its instance answers, and nobody makes requests."""

    def __init__(self, is_responsive: Callable[[str], bool]) -> None:
        self._is_responsive = is_responsive
        self._plans: tuple[NodePlan, ...] = ()
        self._seen: Mapping[str, Mapping[Place, Check]] = {}

    def apply(self, plans: Iterable[NodePlan]) -> None:
        """Remember the nodes."""
        self._plans = tuple(plans)
        self._seen = {plan.node_id: _Seen(plan.balancer, self._is_responsive) for plan in self._plans}

    def checks(self) -> Mapping[str, Mapping[Place, Check]]:
        """Say which instances answer; an address of no instance is as good as answering."""
        return self._seen

    def traffic(self) -> Mapping[str, Traffic]:
        """Say that there was none."""
        return {plan.node_id: Traffic() for plan in self._plans}

    def cut(self, places: Iterable[Place]) -> None:
        """Do nothing: there are no connections."""

    def close(self) -> None:
        """Forget the nodes."""
        self._plans = ()
        self._seen = {}


class _Seen(Mapping[Place, Check]):
    """What a node sees of a target, found out when somebody asks: there may be thousands."""

    def __init__(self, balancer: Balancer, is_responsive: Callable[[str], bool]) -> None:
        self._is_responsive = is_responsive
        self._instances = {
            (group.name, target.name): target.instance_id
            for group in balancer.groups
            for target in group.targets
        }

    def __getitem__(self, place: Place) -> Check:
        instance_id = self._instances[place]
        is_up = instance_id is None or self._is_responsive(instance_id)
        return Check(is_up, "L7OK" if is_up else "L4TOUT")

    def __iter__(self) -> Iterator[Place]:
        return iter(self._instances)

    def __len__(self) -> int:
        return len(self._instances)
