# SPDX-License-Identifier: Apache-2.0
"""A group and services that are only remembered: as fast as the decisions are."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from datetime import timedelta

from sandbox.api.ledger import State as Ec2State
from sandbox.autoscaling.engine import Engine
from sandbox.autoscaling.group import Group, Settings, Subnet, TemplateReference
from sandbox.autoscaling.loop import Loop
from sandbox.autoscaling.member import TemplateVersion
from sandbox.autoscaling.state import State
from sandbox.autoscaling.work import Launched, Outcome, Work
from sandbox.clock import VirtualClock

BOOT_S = 30.0
TEMPLATE = TemplateReference("lt-1", "web", "1")


@dataclass
class Fleet:
    """Carries out the work of groups: instances run after a while, and end at once."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    state: State = field(default_factory=State)
    works: list[Work] = field(default_factory=list)
    unhealthy: set[str] = field(default_factory=set)
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self.loop = Loop(
            engine=Engine(lambda: self.state),
            state=lambda: self.state,
            lock=threading.RLock(),
            clock=self.clock,
            services=self,
            changed=lambda: None,
            reason=lambda _: "",
            state_of=lambda _: "",
        )

    def group(self, size: int, *, zones: str = "abcd", **options: object) -> Group:
        """Add a group."""
        subnets = tuple(Subnet(f"subnet-{zone}", zone) for zone in zones)
        settings = Settings(0, 1_000_000, size, TEMPLATE, subnets, **options)  # type: ignore[arg-type]
        group = Group("web", "arn", self.clock.now(), settings)
        self.state.groups[group.name] = group
        self.loop.wake(group.name)
        return group

    def carry_out(self, work: Work) -> Outcome:
        """Launch and terminate; remember the rest."""
        self.works.append(work)
        outcome = Outcome(unhealthy_targets=set(self.unhealthy) if work.check_health else set())
        outcome.delays = dict.fromkeys(work.deregister, self.delay_s)
        outcome.still_draining = {each for ids in work.check_drain.values() for each in ids}
        for order in work.orders:
            made = [self._launched(order.subnet) for _ in range(order.count)]
            outcome.launches[order.token] = made
            self.clock.after(BOOT_S, lambda made=made: self._enter(made))  # type: ignore[misc]
        for instance_id in work.terminate:
            self.loop.note(instance_id, Ec2State.TERMINATED)
        return outcome

    def resize(self, size: int) -> None:
        """Change the desired capacity."""
        self.state.groups["web"].settings.desired = size
        self.loop.wake("web")

    @property
    def age(self) -> timedelta:
        """How long the fleet has been there."""
        return self.clock.now() - VirtualClock().now()

    def _enter(self, made: list[Launched]) -> None:
        for each in made:
            self.loop.note(each.instance_id, Ec2State.RUNNING)

    def _launched(self, subnet: Subnet) -> Launched:
        number = next(self._numbers)
        return Launched(
            f"i-{number}", subnet.zone, subnet.subnet_id, "t3.small", "ami", TemplateVersion("lt-1", "web", 1)
        )
