# SPDX-License-Identifier: Apache-2.0
"""The load balancers of a region: what elbv2's state says is made so, and what is so is said."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError
from moto.elbv2.models import ELBv2Backend

from sandbox.api.errors import HttpAnswer
from sandbox.api.ledger import Health, State
from sandbox.api.patches import Patches
from sandbox.balancing import acm, balancer_corrections, listener_corrections, metrics, rule_corrections
from sandbox.balancing.authority import Authority
from sandbox.balancing.following import Follower, Records
from sandbox.balancing.haproxy import HaproxyNodes
from sandbox.balancing.nodes import Nodes, SimulatedNodes, Traffic
from sandbox.balancing.shape import Balancer
from sandbox.balancing.target_corrections import TargetCorrections
from sandbox.balancing.verdicts import Verdicts
from sandbox.services import Surroundings
from sandbox.simulated import SimulatedSubstrate

log = logging.getLogger(__name__)

# How soon a node that was killed is started again, and a target that failed is noticed.
TICK_S = 1.0
# The same where the clock is advanced: nothing ends by itself there, and hours pass in a second.
SIMULATED_TICK_S = 5.0
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
            SimulatedNodes(surroundings.substrate.is_responsive)
            if isinstance(surroundings.substrate, SimulatedSubstrate)
            else HaproxyNodes(surroundings.substrate)
        )
        self._authority = Authority.of_folder(surroundings.folder)
        self._records = Records(surroundings)
        self._verdicts = Verdicts(self._nodes, self._records)
        self._follower = Follower(surroundings, self._records, nodes=self._nodes, verdicts=self._verdicts)
        self._turn = threading.Lock()
        self._waking = threading.Event()
        self._is_closed = False
        self._reported = surroundings.clock.now()

    def install(self, patches: Patches) -> None:
        """Put corrections into moto."""
        balancer_corrections.install(patches)
        listener_corrections.install(patches)
        rule_corrections.install(patches)
        TargetCorrections(now=self._around.clock.now, judge=self._verdicts.of).install(patches)
        acm.install(patches, self._authority, self._records.certificate_users)
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
        if self._verdicts.view.balancers:
            self._wake()

    def _wake(self) -> None:
        """Follow soon, once for all changes until then."""
        if not self._waking.is_set():
            self._waking.set()
            self._around.clock.after(0.0, self._follow)

    def _follow(self) -> None:
        with self._turn:
            self._waking.clear()
            if not self._is_closed:
                self._follower.follow()

    def _tick(self) -> None:
        try:
            if self._verdicts.view.balancers:
                self._follow()
                self._report()
        finally:
            if not self._is_closed:
                tick_s = TICK_S if self._around.workers is None else SIMULATED_TICK_S
                self._around.clock.after(tick_s, self._tick)

    def _report(self) -> None:
        """Put a minute's metrics when a minute is over."""
        now = self._around.clock.now()
        if now - self._reported < timedelta(seconds=metrics.PERIOD_S):
            return
        self._reported = now
        traffic = self._nodes.traffic()
        with self._around.locks.of("elbv2"):
            view = self._verdicts.view
            reports = [
                self._report_of(balancer, (traffic.get(each) for each in view.node_ids[arn]))
                for arn, balancer in view.balancers.items()
            ]
        try:
            metrics.put(self._around.calls.client("cloudwatch"), metrics.data(reports, now))
        except ClientError as error:
            log.warning("metrics of load balancers: %s", error)

    def _report_of(self, balancer: Balancer, nodes: Iterable[Traffic | None]) -> metrics.Report:
        total = Traffic()
        for traffic in nodes:
            total.add(traffic or Traffic())
        groups = (
            metrics.GroupReport(group.arn, group.name, *self._verdicts.count(group))
            for group in balancer.groups
        )
        return metrics.Report(balancer.full_name, total, tuple(groups))
