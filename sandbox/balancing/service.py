# SPDX-License-Identifier: Apache-2.0
"""The load balancers of a region: what elbv2's state says is made so, and what is so is said."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from botocore.exceptions import ClientError
from moto.acm.models import acm_backends
from moto.ec2.models import ec2_backends, elastic_network_interfaces
from moto.elbv2.models import ELBv2Backend, elbv2_backends

from sandbox.api.errors import HttpAnswer
from sandbox.api.ledger import Health, State
from sandbox.api.patches import Patches
from sandbox.balancing import (
    acm,
    balancer_corrections,
    health,
    interfaces,
    listener_corrections,
    metrics,
    rule_corrections,
    state,
    target_corrections,
)
from sandbox.balancing.authority import Authority
from sandbox.balancing.haproxy import HaproxyNodes
from sandbox.balancing.health import Check, TargetState, Verdict
from sandbox.balancing.nodes import NodePlan, Nodes, SimulatedNodes, Traffic
from sandbox.balancing.shape import Balancer
from sandbox.balancing.state import Facts, Machine
from sandbox.services import Surroundings
from sandbox.substrate import SubstrateError

log = logging.getLogger(__name__)

# How soon a node that was killed is started again, and a target that stopped is noticed.
TICK_S = 1.0
_CHANGING = (
    "create_load_balancer",
    "delete_load_balancer",
    "modify_load_balancer_attributes",
    "set_subnets",
    "set_security_groups",
    "create_listener",
    "modify_listener",
    "delete_listener",
    "modify_listener_attributes",
    "add_listener_certificates",
    "remove_listener_certificates",
    "create_rule",
    "modify_rule",
    "delete_rule",
    "set_rule_priorities",
    "modify_target_group",
    "modify_target_group_attributes",
    "register_targets",
    "deregister_targets",
)


class BalancingService:
    """Follows elbv2's state with nodes (see `sandbox.services.Service`)."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._nodes: Nodes = (
            SimulatedNodes(surroundings.substrate.responsive)
            if surroundings.mode == "simulated"
            else HaproxyNodes(surroundings.substrate)
        )
        self._authority = Authority.of_folder(surroundings.folder)
        self._turn = threading.Lock()
        self._waking = threading.Event()
        self._is_closed = False
        self._balancers: Mapping[str, Balancer] = {}
        self._node_ids: Mapping[str, tuple[str, ...]] = {}
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        self._names: set[str] = set()
        self._reported = surroundings.clock.now()
        self._traffic: dict[str, Traffic] = {}

    def install(self, patches: Patches) -> None:
        """Put corrections into moto."""
        balancer_corrections.install(patches)
        listener_corrections.install(patches)
        rule_corrections.install(patches)
        targets = target_corrections.TargetCorrections(
            now=self._around.clock.now, judge=self._judge, begin=self._forget
        )
        targets.install(patches)
        acm.install(patches, self._authority, self._certificate_users)
        for name in _CHANGING:
            patches.replace(ELBv2Backend, name, self._then_wake(getattr(ELBv2Backend, name)))
        page = HttpAnswer(200, {"Content-Type": "application/x-pem-file"}, self._authority.pem.encode())
        self._around.pages["ca.pem"] = lambda: page

    def start(self) -> None:
        """Run the balancers that were restored, and follow them from now on."""
        self._around.observe_instances(self._note_instance)
        self._wake()
        self._around.clock.after(TICK_S, self._tick)

    def close(self) -> None:
        """End the nodes."""
        self._is_closed = True
        with self._turn:
            self._nodes.close()

    def _then_wake(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def change(backend: Any, *arguments: Any, **options: Any) -> Any:
            done = original(backend, *arguments, **options)
            self._wake()
            return done

        return change

    def _note_instance(self, instance_id: str, entered: State | Health) -> None:
        del instance_id, entered
        if self._balancers:
            self._wake()

    def _wake(self) -> None:
        """Follow soon, once for all changes until then."""
        if not self._waking.is_set():
            self._waking.set()
            self._around.clock.after(0.0, self._follow)

    def _tick(self) -> None:
        try:
            if self._balancers:
                self._follow()
                self._report()
        finally:
            if not self._is_closed:
                self._around.clock.after(TICK_S, self._tick)

    def _follow(self) -> None:
        """Make the nodes as the state wants them."""
        with self._turn:
            self._waking.clear()
            if self._is_closed:
                return
            facts = self._facts()
            with self._around.locks.of("elbv2"):
                over = self._end_of_targets(facts)
                records = list(self._elbv2.load_balancers.values())
                balancers = {each.arn: state.balancer(self._elbv2, each, facts) for each in records}
                wanted = [place for each in records for place in _places(each)]
            plans = self._arrange(balancers, wanted)
            try:
                self._nodes.apply(plans)
            except SubstrateError as error:
                log.warning("%s", error)
            if over:
                self._nodes.cut(over)
            self._say(balancers)

    def _facts(self) -> Facts:
        with self._around.locks.of("ec2"):
            machines = {
                instance.id: Machine(
                    instance.state, instance.private_ip_address, instance.nics[0].subnet.availability_zone
                )
                for reservation in list(self._ec2.reservations.values())
                for instance in reservation.instances
                if instance.nics
            }
        arns = self._certificates_in_use()
        with self._around.locks.of("acm"):
            backend = acm_backends[self._around.account_id][self._around.region]
            return Facts(machines, acm.certificates(backend, arns))

    def _end_of_targets(self, facts: Facts) -> list[tuple[str, str]]:
        """Let what was terminated drain, and forget what has drained."""
        now = self._around.clock.now()
        over = []
        for group in self._elbv2.target_groups.values():
            for key, entry in list(group.targets.items()):
                machine = facts.machines.get(entry["Id"])
                is_gone = machine is None or machine.state in ("terminated", "shutting-down")
                if entry["Id"].startswith("i-") and is_gone:
                    target_corrections.drain(group, key, now=now)
                    self._around.changed()
            finished = target_corrections.finish(group, now=now)
            over += [(group.name, key) for key in finished]
        return over

    def _arrange(
        self, balancers: Mapping[str, Balancer], wanted: Iterable[interfaces.Wanted]
    ) -> list[NodePlan]:
        """Hold the interfaces, and return a plan for the node at each."""
        with self._around.locks.of("ec2"):
            held, changed = interfaces.arrange(
                self._ec2, wanted, take_address=vars(elastic_network_interfaces)["random_public_ip"]
            )
            places = {key: (nic.id, nic.private_ip_address) for key, nic in held.items()}
            public = {key: nic.public_ip or nic.private_ip_address for key, nic in held.items()}
        if changed:
            self._around.settle_network()
            self._around.changed()
        self._put_names(balancers, public)
        named = {balancer.full_name: balancer for balancer in balancers.values()}
        self._node_ids = {
            balancer.arn: tuple(node_id for (name, _), (node_id, _) in places.items() if name == full_name)
            for full_name, balancer in named.items()
        }
        return [NodePlan(node_id, address, named[name]) for (name, _), (node_id, address) in places.items()]

    def _put_names(self, balancers: Mapping[str, Balancer], addresses: Mapping[tuple[str, str], str]) -> None:
        with self._around.locks.of("elbv2"):
            names = {
                self._elbv2.load_balancers[arn].dns_name: balancer.full_name
                for arn, balancer in balancers.items()
                if arn in self._elbv2.load_balancers
            }
        for dns_name in self._names - set(names):
            self._around.names.remove(dns_name)
        for dns_name, full_name in names.items():
            own = [address for (name, _), address in addresses.items() if name == full_name]
            self._around.names.put(dns_name, own)
        self._names = set(names)

    def _say(self, balancers: Mapping[str, Balancer]) -> None:
        """Write down which balancers work, and keep what was seen."""
        running = set(self._nodes.checks())
        for node_id, traffic in self._nodes.traffic().items():
            self._traffic.setdefault(node_id, Traffic()).add(traffic)
        with self._around.locks.of("elbv2"):
            self._balancers = balancers
            for arn, record in self._elbv2.load_balancers.items():
                node_ids = self._node_ids.get(arn, ())
                if record.state == "provisioning" and node_ids and running.issuperset(node_ids):
                    record.state = "active"
                    self._around.changed()
            registered = {
                (group.arn, key) for group in self._elbv2.target_groups.values() for key in group.targets
            }
            self._verdicts = {key: each for key, each in self._verdicts.items() if key in registered}
            for balancer in balancers.values():
                self._judge_all(balancer)

    def _judge_all(self, balancer: Balancer) -> None:
        seen = self._nodes.checks()
        for group in balancer.groups:
            for target in group.targets:
                self._see(balancer, group.arn, target.name, seen)

    def _see(
        self, balancer: Balancer, arn: str, name: str, seen: Mapping[str, Mapping[Any, Check]]
    ) -> Verdict:
        group = next(each for each in balancer.groups if each.arn == arn)
        node_ids = self._node_ids.get(balancer.arn, ())
        checks = [
            seen[node_id][group.name, name]
            for node_id in node_ids
            if node_id in seen and (group.name, name) in seen[node_id]
        ]
        verdict = health.judge(
            self._verdicts.get((arn, name)), checks, config=group.health_check, now=self._around.clock.now()
        )
        self._verdicts[arn, name] = verdict
        return verdict

    def _forget(self, arn: str, name: str) -> None:
        self._verdicts.pop((arn, name), None)

    def _judge(self, group: Any, entry: Mapping[str, Any]) -> Verdict:
        """Tell of a registered target; elbv2's lock is held."""
        now = self._around.clock.now()
        name = f"{entry['Id']}_{entry['Port']}"
        if not group.load_balancer_arns:
            return Verdict(TargetState.UNUSED, now, *health.NOT_IN_USE)
        instance = self._instance(entry["Id"])
        if entry["Id"].startswith("i-") and (instance is None or instance.state != "running"):
            self._verdicts.pop((group.arn, name), None)
            is_stopped = instance is not None and instance.state in ("stopped", "stopping")
            return Verdict(TargetState.UNUSED, now, *(health.STOPPED if is_stopped else health.TERMINATED))
        balancer = self._balancers.get(group.load_balancer_arns[0])
        in_it = balancer and any(
            each.arn == group.arn and any(target.name == name for target in each.targets)
            for each in balancer.groups
        )
        if balancer is None or not in_it:
            zones = self._zones(group.load_balancer_arns[0])
            if instance is not None and instance.nics[0].subnet.availability_zone not in zones:
                return Verdict(TargetState.UNUSED, now, *health.ZONE_NOT_IN_USE)
            return Verdict(TargetState.INITIAL, now, *health.REGISTERING)
        return self._see(balancer, group.arn, name, self._nodes.checks())

    def _zones(self, arn: str) -> set[str]:
        record = self._elbv2.load_balancers.get(arn)
        return {subnet.availability_zone for subnet in record.subnets} if record else set()

    def _instance(self, target_id: str) -> Any | None:
        return self._ec2.get_instance_by_id(target_id) if target_id.startswith("i-") else None

    def _certificates_in_use(self) -> set[str]:
        with self._around.locks.of("elbv2"):
            return {
                arn
                for record in self._elbv2.load_balancers.values()
                for listener in record.listeners.values()
                for arn in listener.certificates
            }

    def _certificate_users(self, arn: str) -> list[str]:
        """Return the balancers that show a certificate; asked with ACM's lock held, so without elbv2's."""
        return [
            record.arn
            for record in list(self._elbv2.load_balancers.values())
            if any(arn in listener.certificates for listener in list(record.listeners.values()))
        ]

    def _report(self) -> None:
        """Put a minute's metrics when a minute is over."""
        now = self._around.clock.now()
        if now - self._reported < timedelta(seconds=metrics.PERIOD_S):
            return
        self._reported = now
        with self._turn, self._around.locks.of("elbv2"):
            reports = [self._report_of(balancer) for balancer in self._balancers.values()]
            self._traffic.clear()
        data = metrics.data(reports, now)
        put = partial(self._around.calls.client("cloudwatch").put_metric_data, Namespace=metrics.NAMESPACE)
        for start in range(0, len(data), metrics.BATCH):
            try:
                put(MetricData=data[start : start + metrics.BATCH])
            except ClientError as error:
                log.warning("metrics of load balancers: %s", error)

    def _report_of(self, balancer: Balancer) -> metrics.Report:
        traffic = Traffic()
        for node_id in self._node_ids.get(balancer.arn, ()):
            traffic.add(self._traffic.get(node_id, Traffic()))
        groups = []
        for group in balancer.groups:
            states = [self._verdicts.get((group.arn, target.name)) for target in group.targets]
            healthy = sum(1 for each in states if each and each.state is TargetState.HEALTHY)
            unhealthy = sum(1 for each in states if each and each.state is TargetState.UNHEALTHY)
            groups.append(metrics.GroupReport(group.arn, group.name, healthy, unhealthy))
        return metrics.Report(balancer.full_name, traffic, tuple(groups))

    @property
    def _elbv2(self) -> Any:
        return elbv2_backends[self._around.account_id][self._around.region]

    @property
    def _ec2(self) -> Any:
        return ec2_backends[self._around.account_id][self._around.region]


def _places(record: Any) -> list[interfaces.Wanted]:
    is_public = record.scheme == "internet-facing"
    return [
        interfaces.Wanted(
            state.full_name(record.arn), subnet.id, tuple(record.security_groups), is_public=is_public
        )
        for subnet in record.subnets
    ]
