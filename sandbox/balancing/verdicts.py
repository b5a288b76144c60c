# SPDX-License-Identifier: Apache-2.0
"""Remember what is said of each target, and say it in DescribeTargetHealth's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sandbox.balancing import health
from sandbox.balancing.health import Check, TargetState, Verdict
from sandbox.balancing.nodes import Nodes, Place
from sandbox.balancing.shape import Balancer, TargetGroup, target_name


@dataclass(frozen=True, slots=True)
class View:
    """The balancers as the nodes have them, by ARN, and the nodes of each."""

    balancers: Mapping[str, Balancer] = field(default_factory=dict)
    node_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Sources(Protocol):
    """Where verdicts come from."""

    def now(self) -> datetime:
        """Return the region's time."""

    def elbv2(self) -> Any:
        """Return moto's backend of elbv2."""

    def ec2(self) -> Any:
        """Return moto's backend of EC2."""


class Verdicts:
    """The verdicts. All is called with elbv2's lock held, and takes no other."""

    def __init__(self, nodes: Nodes, sources: Sources) -> None:
        self._nodes = nodes
        self._sources = sources
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        self.view = View()
        # Target groups as nodes have them, with the names of their targets, by ARNs of balancer and group.
        self._carried: dict[tuple[str, str], tuple[TargetGroup, frozenset[str]]] = {}

    def follow(self, view: View) -> None:
        """Judge the targets of a new view, and forget those that are registered no more."""
        self.view = view
        self._carried = {
            (balancer.arn, group.arn): (group, frozenset(target.name for target in group.targets))
            for balancer in view.balancers.values()
            for group in balancer.groups
        }
        groups = self._sources.elbv2().target_groups.values()
        registered = {(group.arn, _name(entry)) for group in groups for entry in group.targets.values()}
        self._verdicts = {key: each for key, each in self._verdicts.items() if key in registered}
        seen = self._nodes.checks()
        for balancer in view.balancers.values():
            for group in balancer.groups:
                for target in group.targets:
                    self._see(balancer, group, name=target.name, seen=seen)

    def of(self, group: Any, entry: Mapping[str, Any]) -> Verdict:
        """Tell of a registered target."""
        if not group.load_balancer_arns:
            return self._unused(health.NOT_IN_USE)
        arn, name = group.load_balancer_arns[0], _name(entry)
        if entry["Id"].startswith("i-"):
            instance = self._sources.ec2().get_instance_by_id(entry["Id"])
            if instance is None or instance.state != "running":
                self._verdicts.pop((group.arn, name), None)
                is_stopped = instance is not None and instance.state in ("stopped", "stopping")
                return self._unused(health.STOPPED if is_stopped else health.TERMINATED)
            if instance.nics[0].subnet.availability_zone not in self._zones(arn):
                return self._unused(health.ZONE_NOT_IN_USE)
        balancer = self.view.balancers.get(arn)
        carried, names = self._carried.get((arn, group.arn), (None, frozenset()))
        if balancer is None or carried is None or name not in names:
            return Verdict(TargetState.INITIAL, self._sources.now(), *health.REGISTERING)
        return self._see(balancer, carried, name=name, seen=self._nodes.checks())

    def count(self, group: TargetGroup) -> tuple[int, int]:
        """Return how many targets of a group are healthy, and how many unhealthy."""
        verdicts = [self._verdicts.get((group.arn, target.name)) for target in group.targets]
        states = [each.state for each in verdicts if each is not None]
        return states.count(TargetState.HEALTHY), states.count(TargetState.UNHEALTHY)

    def _see(
        self, balancer: Balancer, group: TargetGroup, *, name: str, seen: Mapping[str, Mapping[Place, Check]]
    ) -> Verdict:
        place = (group.name, name)
        node_ids = self.view.node_ids.get(balancer.arn, ())
        checks = [seen[each][place] for each in node_ids if place in seen.get(each, {})]
        before = self._verdicts.get((group.arn, name))
        verdict = health.judge(before, checks, config=group.health_check, now=self._sources.now())
        self._verdicts[group.arn, name] = verdict
        return verdict

    def _unused(self, why: tuple[str, str]) -> Verdict:
        return Verdict(TargetState.UNUSED, self._sources.now(), *why)

    def _zones(self, arn: str) -> set[str]:
        record = self._sources.elbv2().load_balancers.get(arn)
        return {subnet.availability_zone for subnet in record.subnets} if record else set()


def _name(entry: Mapping[str, Any]) -> str:
    return target_name(entry["Id"], entry["Port"], entry["Serial"])
