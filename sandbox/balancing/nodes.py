# SPDX-License-Identifier: Apache-2.0
"""The nodes of load balancers: what carries a balancer in one subnet, for real or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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

    def __init__(self, responsive: Callable[[], frozenset[str]]) -> None:
        self._responsive = responsive
        self._plans: tuple[NodePlan, ...] = ()

    def apply(self, plans: Iterable[NodePlan]) -> None:
        """Remember the nodes."""
        self._plans = tuple(plans)

    def checks(self) -> Mapping[str, Mapping[Place, Check]]:
        """Say which instances answer; an address of no instance is as good as answering."""
        answering = self._responsive()
        return {
            plan.node_id: {
                (group.name, target.name): _check(target.instance_id, answering)
                for group in plan.balancer.groups
                for target in group.targets
            }
            for plan in self._plans
        }

    def traffic(self) -> Mapping[str, Traffic]:
        """Say that there was none."""
        return {plan.node_id: Traffic() for plan in self._plans}

    def cut(self, places: Iterable[Place]) -> None:
        """Do nothing: there are no connections."""

    def close(self) -> None:
        """Forget the nodes."""
        self._plans = ()


def _check(instance_id: str | None, answering: frozenset[str]) -> Check:
    is_up = instance_id is None or instance_id in answering
    return Check(is_up, "L7OK" if is_up else "L4TOUT")
