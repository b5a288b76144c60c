# SPDX-License-Identifier: Apache-2.0
"""Make load balancers as elbv2's state has them: interfaces, nodes and names; and write down what is so."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from moto.acm.models import acm_backends
from moto.ec2.models import ec2_backends, elastic_network_interfaces
from moto.elbv2.models import elbv2_backends

from sandbox.balancing import acm, interfaces, state, target_corrections
from sandbox.balancing.nodes import NodePlan, Nodes, Place
from sandbox.balancing.state import Facts, Machine
from sandbox.balancing.verdicts import Verdicts, View
from sandbox.services import Surroundings
from sandbox.substrate import SubstrateError

log = logging.getLogger(__name__)

_GONE = frozenset({"terminated", "shutting-down"})
# (balancer's full name, subnet)
Spot = tuple[str, str]


class Records:
    """moto's state, of which each service's is read and changed under that service's lock."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings

    def now(self) -> datetime:
        """Return the region's time."""
        return self._around.clock.now()

    def elbv2(self) -> Any:
        """Return the load balancers' backend."""
        return elbv2_backends[self._around.account_id][self._around.region]

    def ec2(self) -> Any:
        """Return EC2's backend."""
        return ec2_backends[self._around.account_id][self._around.region]

    def acm(self) -> Any:
        """Return ACM's backend."""
        return acm_backends[self._around.account_id][self._around.region]

    def certificate_users(self, arn: str) -> list[str]:
        """Return the balancers that show a certificate; asked with ACM's lock held, so without elbv2's."""
        return [
            record.arn
            for record in list(self.elbv2().load_balancers.values())
            if any(arn in listener.certificates for listener in list(record.listeners.values()))
        ]


class Follower:
    """Follows the state, one call at a time. Locks are held one after the other, never two at once."""

    def __init__(
        self, surroundings: Surroundings, records: Records, *, nodes: Nodes, verdicts: Verdicts
    ) -> None:
        self._around = surroundings
        self._records = records
        self._nodes = nodes
        self._verdicts = verdicts
        self._names: frozenset[str] = frozenset()
        self._is_settled = False
        self._complaint = ""

    def follow(self) -> None:
        """Make everything as the state has it now."""
        facts = self._facts()
        with self._around.locks.of("elbv2"):
            over = self._end_of_targets(facts)
            backend = self._records.elbv2()
            records = list(backend.load_balancers.values())
            balancers = {each.arn: state.balancer(backend, each, facts) for each in records}
            wanted = [spot for each in records for spot in _spots(each)]
            dns_names = {each.dns_name: state.full_name(each.arn) for each in records}
        held = self._hold(wanted)
        self._put_names(dns_names, held)
        named = {each.full_name: each for each in balancers.values()}
        self._apply(
            NodePlan(nic_id, private, named[name]) for (name, _), (nic_id, private, _) in held.items()
        )
        if over:
            self._nodes.cut(over)
        node_ids = {
            each.arn: tuple(nic_id for (name, _), (nic_id, _, _) in held.items() if name == each.full_name)
            for each in balancers.values()
        }
        self._write_down(View(balancers, node_ids))

    def _facts(self) -> Facts:
        with self._around.locks.of("ec2"):
            machines = {
                instance.id: Machine(
                    instance.state, instance.private_ip_address, instance.nics[0].subnet.availability_zone
                )
                for reservation in list(self._records.ec2().reservations.values())
                for instance in reservation.instances
                if instance.nics
            }
        with self._around.locks.of("elbv2"):
            arns = {
                arn
                for record in self._records.elbv2().load_balancers.values()
                for listener in record.listeners.values()
                for arn in listener.certificates
            }
        with self._around.locks.of("acm"):
            return Facts(machines, acm.certificates(self._records.acm(), arns))

    def _end_of_targets(self, facts: Facts) -> list[Place]:
        """Let what was terminated drain, and return what has drained."""
        now = self._records.now()
        over = []
        for group in self._records.elbv2().target_groups.values():
            for key, entry in list(group.targets.items()):
                # One that is not known yet was launched just now.
                machine = facts.machines.get(entry["Id"])
                if machine is not None and machine.state in _GONE:
                    target_corrections.drain(group, key, now=now)
                    self._around.changed()
            over += [(group.name, key) for key in target_corrections.finish(group, now=now)]
        return over

    def _hold(self, wanted: Iterable[interfaces.Wanted]) -> dict[Spot, tuple[str, str, str]]:
        """Hold the interfaces; return each one's id, its private address, and the one its name leads to."""
        take_address = vars(elastic_network_interfaces)["random_public_ip"]
        with self._around.locks.of("ec2"):
            nics, changed = interfaces.arrange(self._records.ec2(), wanted, take_address=take_address)
            held = {
                spot: (nic.id, nic.private_ip_address, nic.public_ip or nic.private_ip_address)
                for spot, nic in nics.items()
            }
        if changed:
            self._is_settled = False
            self._around.changed()
        if not self._is_settled:
            self._around.settle_network()
            self._is_settled = True
        return held

    def _put_names(self, names: Mapping[str, str], held: Mapping[Spot, tuple[str, str, str]]) -> None:
        for dns_name in self._names - set(names):
            self._around.names.remove(dns_name)
        for dns_name, full_name in names.items():
            addresses = [address for (name, _), (_, _, address) in held.items() if name == full_name]
            self._around.names.put(dns_name, addresses)
        self._names = frozenset(names)

    def _apply(self, plans: Iterable[NodePlan]) -> None:
        complaint = ""
        try:
            self._nodes.apply(plans)
        except SubstrateError as error:
            complaint = str(error)
        if complaint and complaint != self._complaint:
            log.warning("%s", complaint)
        self._complaint = complaint

    def _write_down(self, view: View) -> None:
        """Say which balancers work, and how their targets are."""
        running = set(self._nodes.checks())
        with self._around.locks.of("elbv2"):
            for arn, record in self._records.elbv2().load_balancers.items():
                node_ids = view.node_ids.get(arn, ())
                if record.state == "provisioning" and node_ids and running.issuperset(node_ids):
                    record.state = "active"
                    self._around.changed()
            self._verdicts.follow(view)


def _spots(record: Any) -> list[interfaces.Wanted]:
    is_public = record.scheme == "internet-facing"
    name, groups = state.full_name(record.arn), tuple(record.security_groups)
    return [interfaces.Wanted(name, subnet.id, groups, is_public=is_public) for subnet in record.subnets]
