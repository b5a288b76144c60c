# SPDX-License-Identifier: Apache-2.0
"""Random rollouts, and what the region's own engine makes of them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from orchestrator.domain.fleet import ScalingActivity
from orchestrator.domain.forecast import forecast, measured_timing
from orchestrator.domain.forecast.course import Course, FleetShape, Spread, Timing
from orchestrator.domain.refresh import ProtectedInstances, RefreshPreferences
from sandbox.api.ledger import State as Ec2State
from sandbox.autoscaling.group import Group, Settings, Subnet
from sandbox.autoscaling.member import Lifecycle, Member, Power, TemplateVersion
from sandbox.autoscaling.refresh.choices import DEFAULT, Choices
from sandbox.autoscaling.refresh.preferences import IGNORE, Preferences
from sandbox.autoscaling.refresh.preferences import REFRESH as REPLACE
from sandbox.autoscaling.work import Outcome, Work
from tests.unit.autoscaling_fleet import TEMPLATE, Fleet

ZONES = "abcd"
# Fleets of 1 to 10, to 100, to 1,000 and to 10,000 machines: what share of the scenarios they make up.
EVENLY = (1.0, 1.0, 1.0, 1.0)
DAY_S = 86_400
# What five pages of activities tell.
MOST_LAUNCHES = 250
CHECKPOINT = "CheckpointPercentage"
# A refresh that would take longer is given more room.
LONGEST_S = 10 * DAY_S
# Where a fleet has not launched enough to be measured.
ASSUMED = Timing(Spread(30, 90, 240), 0, Spread(5, 30, 65))


@dataclass(frozen=True)
class Law:
    """How a time is spread: `width` is roughly the standard deviation as a share of the middle."""

    kind: str
    middle_s: float
    width: float

    def draw(self, chance: random.Random) -> float:
        """Return a time, in whole seconds as AWS's are."""
        match self.kind:
            case "lognormal":
                factor = chance.lognormvariate(0, self.width)
            case "normal":
                factor = chance.gauss(1, self.width)
            case "uniform":
                factor = chance.uniform(1 - 1.7 * self.width, 1 + 1.7 * self.width)
            case _:
                shape = 1 / self.width**2
                factor = chance.gammavariate(shape, 1 / shape)
        return float(max(1, round(self.middle_s * factor)))


LAWS = ("lognormal", "normal", "uniform", "gamma")


@dataclass(frozen=True)
class Scenario:
    """A fleet before its rollout: its size, its preferences, and the chance of its machines."""

    seed: int
    shape: FleetShape
    protected: int
    preferences: RefreshPreferences
    warmup_s: float
    boot: Law
    leave: Law
    failure_share: float

    def without_chance(self) -> Scenario:
        """Return the same with machines that all take the same time, and none that fails."""
        boot, leave = (Law("normal", law.middle_s, 0.0) for law in (self.boot, self.leave))
        return replace(self, boot=boot, leave=leave, failure_share=0.0)

    def __str__(self) -> str:
        wanted = self.preferences
        return (
            f"seed {self.seed}: {self.shape.replacements} of {self.shape.desired} machines, "
            f"{wanted.min_healthy_percentage}/{wanted.max_healthy_percentage} %, "
            f"checkpoints {wanted.checkpoint_percentages} and {wanted.checkpoint_delay_s} s, "
            f"warm-up {self.warmup_s:.0f} s, boots {self.boot}, leaves {self.leave}, "
            f"{self.failure_share:.1%} fail"
        )

    @property
    def timing(self) -> Timing:
        """Return what the fleet's own past tells."""
        return measured_timing(self._past(), warmup_s=self.warmup_s, assumed=ASSUMED)

    @property
    def course(self) -> Course:
        """Return the forecast."""
        return forecast(self.shape, self.preferences, self.timing)

    def _past(self) -> list[ScalingActivity]:
        """Return scaling activities of the weeks before: as many as a plan reads, some of a small fleet."""
        chance = random.Random(f"past of {self.seed}")  # noqa: S311
        began = datetime(2025, 12, 1, tzinfo=UTC)
        activities = []
        for number in range(min(max(self.shape.desired, 20), MOST_LAUNCHES)):
            fails = chance.random() < self.failure_share
            for words, law, status in (
                ("Launching a new EC2 instance", self.boot, "Failed" if fails else "Successful"),
                ("Terminating EC2 instance", self.leave, "Successful"),
            ):
                ended = began + timedelta(seconds=law.draw(chance))
                activities.append(
                    ScalingActivity(f"{number}", f"{words}: i-{number}", "", status, began, ended)
                )
        return activities


def scenario(seed: int, *, decades: Sequence[float] = EVENLY) -> Scenario:
    """Return a random scenario; within a decade sizes are spread evenly by their logarithm."""
    chance = random.Random(seed)  # noqa: S311
    (decade,) = chance.choices(range(len(decades)), weights=decades)
    machines = round(10 ** chance.uniform(decade, decade + 1))
    matching = chance.choice([0, 0, 0, chance.randint(0, machines - 1)])
    protected = chance.choice([0, 0, 0, chance.randint(0, machines - 1 - matching)])
    least = chance.choice([100, 100, 90, 90, 75, 50, 0, chance.randint(0, 100)])
    most = chance.choice([None, 100, 110, 120, 150, 200, chance.randint(100, 200)])
    checkpoints = chance.choice(
        [(), (), tuple(sorted({*chance.sample(range(1, 100), 2), 100})), (10, 100), (50,)]
    )
    preferences = RefreshPreferences(
        min_healthy_percentage=least,
        max_healthy_percentage=None if most is None else min(most, least + 100),
        instance_warmup_s=chance.choice([0, 30, 60, 300, chance.randint(0, 900)]),
        checkpoint_percentages=checkpoints,
        checkpoint_delay_s=chance.choice([0, 300, 3600]) if checkpoints else None,
        skip_matching=True,
        scale_in_protected_instances=chance.choice([ProtectedInstances.IGNORE, ProtectedInstances.REFRESH]),
        refresh_bake_time_s=chance.choice([0, 0, 600]),
    )
    stays = protected if preferences.scale_in_protected_instances is ProtectedInstances.IGNORE else 0
    found = Scenario(
        seed=seed,
        shape=FleetShape(
            _by_zone(machines - matching - stays),
            _by_zone(matching + stays),
            machines,
            machines + chance.choice([0, 1, machines]),
            machine_usd_per_hour=0.1,
            not_matching=stays,
        ),
        protected=protected,
        preferences=preferences,
        warmup_s=float(preferences.instance_warmup_s or 0),
        boot=Law(chance.choice(LAWS), chance.uniform(20, 240), chance.uniform(0.05, 0.3)),
        leave=Law(chance.choice(LAWS), chance.choice([5, 40, 300]), chance.uniform(0.02, 0.2)),
        failure_share=chance.choice([0.0, 0.0, 0.0, 0.0, chance.uniform(0.002, 0.03)]),
    )
    return found if found.course.duration_s.high < LONGEST_S else _with_room(found)


def _with_room(found: Scenario) -> Scenario:
    roomy = replace(found.preferences, max_healthy_percentage=found.preferences.min_healthy_percentage + 100)
    return replace(found, preferences=roomy)


def _by_zone(machines: int) -> dict[str, int]:
    each, more = divmod(machines, len(ZONES))
    return {zone: each + (number < more) for number, zone in enumerate(ZONES)}


@dataclass
class Actual:
    """What the region made of it: `reached_s` is when it told of checkpoints, by percentage."""

    status: str
    duration_s: float
    least_in_service: int
    most_running: int
    reached_s: dict[int, float]
    surplus_hours: float


@dataclass
class DrawnFleet(Fleet):
    """A fleet whose machines each take a time of their own, and of which some fail to start."""

    boot_law: Law = field(default_factory=lambda: Law("normal", 30, 0))
    leave_law: Law = field(default_factory=lambda: Law("normal", 30, 0))
    failure_share: float = 0.0
    chance: random.Random = field(default_factory=random.Random)
    least_in_service: int = 0
    most_running: int = 0
    surplus_s: float = 0.0
    looked_at_s: float = 0.0
    running: int = 0

    def carry_out(self, work: Work) -> Outcome:
        """Launch and terminate, each machine in its time, and see how many there are."""
        group = self.state.groups["web"]
        self.least_in_service = min(self.least_in_service, sum(group.counted.values()) - group.launching)
        outcome = super().carry_out(replace(work, terminate=[]))
        self.works.clear()
        self.events = [each for each in self.events if CHECKPOINT in each.detail]
        self._in_their_time(work.terminate, self.leave_law, Ec2State.TERMINATED)
        now_s = self.clock.elapsed_s
        self.surplus_s += (self.running - group.settings.desired) * (now_s - self.looked_at_s)
        self.running = len(group.members) + sum(order.count for order in work.orders)
        self.looked_at_s = now_s
        self.most_running = max(self.most_running, self.running)
        return outcome

    def boot(self, instance_ids: list[str]) -> None:
        """Let instances run, or end before they do."""
        failing = {each for each in instance_ids if self.chance.random() < self.failure_share}
        self._in_their_time(failing, self.boot_law, Ec2State.TERMINATED)
        self._in_their_time(
            [each for each in instance_ids if each not in failing], self.boot_law, Ec2State.RUNNING
        )

    def _in_their_time(self, instance_ids: Iterable[str], law: Law, state: Ec2State) -> None:
        due = defaultdict(list)
        for instance_id in sorted(instance_ids):
            due[law.draw(self.chance)].append(instance_id)
        for seconds, those in due.items():
            self.clock.after(seconds, lambda those=those: self._enter(those, state))  # type: ignore[misc]


def roll(found: Scenario, choices: Choices = DEFAULT) -> Actual:
    """Let the region's engine refresh the fleet."""
    fleet = DrawnFleet(
        choices=choices,
        latest=2,
        boot_law=found.boot,
        leave_law=found.leave,
        failure_share=found.failure_share,
        chance=random.Random(f"present of {found.seed}"),  # noqa: S311
    )
    _stand(fleet, found)
    fleet.least_in_service = fleet.most_running = fleet.running = found.shape.desired
    wanted = found.preferences
    refresh = fleet.refresh(
        Preferences(
            min_healthy=wanted.min_healthy_percentage,
            max_healthy=wanted.max_healthy_percentage,
            warmup_s=wanted.instance_warmup_s,
            checkpoints=wanted.checkpoint_percentages,
            checkpoint_delay_s=0 if wanted.checkpoint_delay_s is None else wanted.checkpoint_delay_s,
            skips_matching=wanted.skip_matching,
            protected=(
                IGNORE if wanted.scale_in_protected_instances is ProtectedInstances.IGNORE else REPLACE
            ),
            standby=IGNORE,
            refresh_bake_time_s=wanted.refresh_bake_time_s,
        )
    )
    while refresh.is_active:
        fleet.clock.advance(DAY_S)
    assert refresh.ended_at is not None
    return Actual(
        status=refresh.status,
        duration_s=(refresh.ended_at - refresh.started_at).total_seconds(),
        least_in_service=fleet.least_in_service,
        most_running=fleet.most_running,
        reached_s={
            int(event.detail[CHECKPOINT]): (event.at - refresh.started_at).total_seconds()
            for event in fleet.events
            if CHECKPOINT in event.detail
        },
        surplus_hours=fleet.surplus_s / 3600,
    )


def _stand(fleet: DrawnFleet, found: Scenario) -> None:
    """Put a fleet there that has been in service for long."""
    shape = found.shape
    subnets = tuple(Subnet(f"subnet-{zone}", zone) for zone in ZONES)
    settings = Settings(0, shape.max_size, shape.desired, TEMPLATE, subnets)
    group = Group("web", "arn", fleet.clock.now(), settings)
    fleet.state.groups[group.name] = group
    began = fleet.clock.now() - timedelta(days=1)
    matching, protected = shape.matching, found.protected
    for number in range(shape.desired):
        zone = ZONES[number % len(ZONES)]
        member = Member(
            instance_id=f"i-old-{number}",
            number=number,
            zone=zone,
            subnet_id=f"subnet-{zone}",
            instance_type="t3.small",
            image_id="ami-1",
            launched_at=began,
            state=Lifecycle.IN_SERVICE,
            template=TemplateVersion("lt-1", "web", 2 if number < matching else 1),
            power=Power.RUNNING,
            is_protected=matching <= number < matching + protected,
            in_service_at=began,
        )
        fleet.state.take_in(group, member)
    group.moving.clear()
    group.touched.clear()
