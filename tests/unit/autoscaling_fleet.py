# SPDX-License-Identifier: Apache-2.0
"""A group and services that are only remembered: as fast as the decisions are."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from datetime import timedelta

from sandbox.api.ledger import State as Ec2State
from sandbox.autoscaling.engine import Engine
from sandbox.autoscaling.group import Group, LaunchOrder, Settings, Subnet, TemplateReference
from sandbox.autoscaling.loop import Loop
from sandbox.autoscaling.member import TemplateVersion
from sandbox.autoscaling.refresh.choices import DEFAULT, Choices
from sandbox.autoscaling.refresh.preferences import Preferences
from sandbox.autoscaling.refresh.record import Refresh
from sandbox.autoscaling.state import State
from sandbox.autoscaling.work import Launched, Outcome, Refused, Work
from sandbox.clock import VirtualClock
from sandbox.event_bus import Event

BOOT_S = 30.0
TEMPLATE = TemplateReference("lt-1", "web", "1")
DESIRED = TemplateReference("lt-1", "web", "2")


@dataclass
class Fleet:
    """Carries out the work of groups: instances run after a while, and end at once.

    Attributes:
        delay_s: How long targets drain.
        end_s: How long EC2 takes to end an instance.
        broken: Versions of the launch template whose launches EC2 refuses.
        ill: Versions whose instances the balancer finds unhealthy.
        latest: The number of the version that $Latest and $Default stand for.
    """

    clock: VirtualClock = field(default_factory=VirtualClock)
    state: State = field(default_factory=State)
    works: list[Work] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    unhealthy: set[str] = field(default_factory=set)
    delay_s: float = 0.0
    end_s: float = 0.0
    boot_s: float = BOOT_S
    broken: set[int] = field(default_factory=set)
    ill: set[int] = field(default_factory=set)
    alarms: dict[str, str] = field(default_factory=dict)
    latest: int = 1
    choices: Choices = DEFAULT

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._ec2: dict[str, Ec2State] = {}
        self._versions: dict[str, int] = {}
        self.restart()

    def restart(self) -> None:
        """Forget all but what is saved."""
        self.engine = Engine(lambda: self.state, self, self.choices)
        self.loop = Loop(
            engine=self.engine,
            state=lambda: self.state,
            lock=threading.RLock(),
            clock=self.clock,
            services=self,
            changed=lambda: None,
            reason=lambda _: "",
            state_of=lambda instance_id: self._ec2.get(instance_id, ""),
        )

    def group(self, size: int, *, zones: str = "abcd", **options: object) -> Group:
        """Add a group."""
        subnets = tuple(Subnet(f"subnet-{zone}", zone) for zone in zones)
        settings = Settings(0, 1_000_000, size, TEMPLATE, subnets, **options)  # type: ignore[arg-type]
        group = Group("web", "arn", self.clock.now(), settings)
        self.state.groups[group.name] = group
        self.loop.wake(group.name)
        return group

    def refresh(
        self, preferences: Preferences | None = None, *, desired: TemplateReference | None = DESIRED
    ) -> Refresh:
        """Begin a refresh of the group."""
        group = self.state.groups["web"]
        number = len(group.refreshes) + 1
        refresh = Refresh(f"r-{number}", "web", preferences or Preferences(), desired, self.clock.now())
        refresh.earlier = group.refreshes[-1].mark if group.refreshes else ""
        group.refreshes.append(refresh)
        self.wake()
        return refresh

    def wake(self, seconds: float = 0.0) -> None:
        """Let the group be looked at, and time pass."""
        self.loop.wake("web")
        self.clock.advance(seconds)

    def carry_out(self, work: Work) -> Outcome:
        """Launch and terminate; remember the rest."""
        self.works.append(work)
        self.events += work.events
        outcome = Outcome()
        if work.check_health:
            ill = {each for each, version in self._versions.items() if version in self.ill}
            outcome.unhealthy_targets = outcome.unready_targets = self.unhealthy | ill
        outcome.delays = dict.fromkeys(work.deregister, self.delay_s)
        outcome.still_draining = {each for ids in work.check_drain.values() for each in ids}
        for order in work.orders:
            outcome.launches[order.token] = self._launch(order)
        if work.terminate:
            self.clock.after(self.end_s, lambda: self._enter(work.terminate, Ec2State.TERMINATED))
        return outcome

    def resize(self, size: int) -> None:
        """Change the desired capacity."""
        self.state.groups["web"].settings.desired = size
        self.loop.wake("web")

    def alarm_state(self, name: str) -> str:
        """Return the state of an alarm."""
        return self.alarms.get(name, "")

    def version_of(self, template: TemplateReference) -> int:
        """Return the number that a version stands for."""
        version = template.version or "$Default"
        return int(version) if version.isdigit() else self.latest

    @property
    def age(self) -> timedelta:
        """How long the fleet has been there."""
        return self.clock.now() - VirtualClock().now()

    @property
    def told(self) -> list[str]:
        """What refreshes told EventBridge, in short."""
        title = "EC2 Auto Scaling Instance Refresh "
        return [
            " ".join([each.detail_type.removeprefix(title), *list(each.detail.values())[2:3]])
            for each in self.events
            if each.detail_type.startswith(title)
        ]

    def _enter(self, instance_ids: list[str], state: Ec2State) -> None:
        for instance_id in instance_ids:
            self._ec2[instance_id] = state
            self.loop.note(instance_id, state)

    def _launch(self, order: LaunchOrder) -> list[Launched] | Refused:
        version = self.version_of(order.template or TEMPLATE)
        if version in self.broken:
            return Refused("No such image.")
        made = [self._launched(order.subnet, version) for _ in range(order.count)]
        self.boot([each.instance_id for each in made])
        return made

    def boot(self, instance_ids: list[str]) -> None:
        """Let instances run after a while."""
        self.clock.after(self.boot_s, lambda: self._enter(instance_ids, Ec2State.RUNNING))

    def _launched(self, subnet: Subnet, version: int) -> Launched:
        instance_id = f"i-{next(self._numbers)}"
        self._ec2[instance_id] = Ec2State.PENDING
        self._versions[instance_id] = version
        return Launched(
            instance_id,
            subnet.zone,
            subnet.subnet_id,
            "t3.small",
            f"ami-{version}",
            TemplateVersion("lt-1", "web", version),
        )
