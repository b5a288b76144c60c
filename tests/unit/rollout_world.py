# SPDX-License-Identifier: Apache-2.0
"""An environment `dev` with a fleet `api` of four machines, and a world of fakes in which it is rolled."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.config.fleets import Fleet
from orchestrator.config.models import Environment
from orchestrator.config.rollout import Rollout
from orchestrator.domain.fleet import FleetGroup
from orchestrator.domain.preflight.facts import ImageFact, SubnetFact
from orchestrator.domain.rollout.plan import RolloutPlan, RolloutTarget
from orchestrator.domain.rollout.progress import Progress
from orchestrator.domain.rollout.record import RolloutRecord
from orchestrator.domain.stack import EnvironmentStack
from orchestrator.workflows import rollout
from orchestrator.workflows.rollout.names import group_name, lock_name, pointer_name
from orchestrator.workflows.rollout.world import RolloutWorld
from tests.fakes import (
    ACCOUNT,
    FakeClock,
    FakeIdentity,
    FakeImages,
    FakeLocks,
    FakeMachines,
    FakeObjects,
    FakeParameters,
    FakeReporter,
    FakeStacks,
)
from tests.fakes.facts import FakeFacts
from tests.fakes.fleets import FakeFleets, FakeLaunchTemplates, FakeNotices, FakeTargets
from tests.unit.provision_world import template

TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"
TARGET_GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/api/1"
API = RolloutTarget("dev", "api")
OLD_NAME, NEW_NAME = f"api-{'a' * 32}", f"api-{'b' * 32}"


@dataclass
class Lab:
    """The fakes, and the worlds that are made of them: a world is one command's."""

    is_protected: bool = False
    machines: int = 4
    policy: dict[str, Any] = field(default_factory=dict)
    environment: str = "dev"
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.target = RolloutTarget(self.environment, "api")
        self.fleets, self.templates = FakeFleets(self.clock), FakeLaunchTemplates()
        self.targets, self.notices = FakeTargets(self.fleets), FakeNotices()
        self.images, self.computers = FakeImages(self.clock), FakeMachines(self.clock)
        self.parameters, self.objects = FakeParameters(), FakeObjects()
        self.locks, self.identity = FakeLocks(self.clock), FakeIdentity()
        self.stacks, self.facts = FakeStacks(self.clock), FakeFacts()
        self.reporter, self.shown = FakeReporter(), list[Progress]()
        self._runs = 0
        queues = template(EnvironmentStack.QUEUES, self.environment, {}, AlertsTopicArn=TOPIC)
        self.stacks.have(queues)
        self.old = self.images.add(OLD_NAME, {"slipway:state": "published"}).ami_id
        self.clock.advance(60)
        self.new = self.images.add(NEW_NAME, {"slipway:state": "published"}).ami_id
        for image in self.images.images.values():
            self.facts.made_images[image.ami_id] = ImageFact(
                image.ami_id,
                image.name,
                "available",
                "x86_64",
                owner_id=ACCOUNT,
                is_protected=True,
                tags=image.tags or {},
            )
        self.template_id = self.templates.have(self.old)
        self.have_group()
        self.parameters.values[pointer_name(self.target)] = self.old

    def have_group(self, **settings: Any) -> FleetGroup:
        """Have the fleet's group, all of whose machines run the old image."""
        defaults: dict[str, Any] = {"target_group_arns": (TARGET_GROUP,)}
        name = group_name(self.target)
        group = self.fleets.have(name, self.template_id, machines=self.machines, **(defaults | settings))
        for subnet_id, zone in zip(group.subnet_ids, group.zones, strict=True):
            self.facts.made_subnets[subnet_id] = SubnetFact(subnet_id, zone, 4000)
        return group

    @property
    def group(self) -> FleetGroup:
        """The group as it is, without a call being noted."""
        self.fleets.garage.time.catch_up()
        name = group_name(self.target)
        machines = tuple(self.fleets.garage.machines[name].values())
        shown = self.fleets.groups[name]
        return replace(shown, instances=machines)

    def world(self, operator: str = "ann@laptop") -> RolloutWorld:
        """Return a world for one command; its run's id is later than those of all before it."""
        self._runs += 1
        return RolloutWorld(
            environment=self._environment(),
            fleets=self.fleets,
            templates=self.templates,
            targets=self.targets,
            images=self.images,
            machines=self.computers,
            parameters=self.parameters,
            objects=self.objects,
            locks=self.locks,
            identity=self.identity,
            notices=self.notices,
            stacks=self.stacks,
            facts=self.facts,
            clock=self.clock,
            operator=operator,
            run_id=f"rollout-20260101T{120000 + self._runs}-abcdef",
            hourly_usd={"t3.small": 0.02},
        )

    def plan(self, ami_id: str = "") -> RolloutPlan:
        """Plan as a dry run does."""
        target = RolloutTarget(self.environment, "api", ami_id)
        return rollout.observe_and_plan(self.world(), target)

    def roll(self, ami_id: str = "", *, is_confirmed: bool = False) -> rollout.RolloutResult:
        """Plan, confirm and apply, as one command."""
        world, target = self.world(), RolloutTarget(self.environment, "api", ami_id)
        plan = rollout.observe_and_plan(world, target)
        rollout.confirm(world, plan, is_confirmed=is_confirmed)
        return rollout.apply(world, plan, self.reporter, self.shown.append)

    @property
    def record(self) -> RolloutRecord:
        """The latest rollout's record."""
        return rollout.history(self.world(), "api")[0]

    @property
    def pointer(self) -> str:
        """The AMI that the fleet's parameter names."""
        return self.parameters.values[pointer_name(self.target)]

    @property
    def default_version(self) -> int:
        """The launch template's default version."""
        return next(each.number for each in self.templates.versions[self.template_id] if each.is_default)

    @property
    def versions(self) -> list[int | None]:
        """The versions of the machines in service, sorted."""
        return sorted((each.version for each in self.group.in_service), key=lambda each: each or 0)

    @property
    def lock(self) -> str:
        """The name of the fleet's lock."""
        return lock_name(self.target)

    def changes(self) -> list[str]:
        """Return the calls that change the fleet, in order."""
        changing = ("start_refresh", "cancel_refresh", "rollback_refresh", "suspend", "resume")
        return [each for each in self.fleets.calls if each.startswith(changing)]

    def _environment(self) -> Environment:
        fleet = Fleet(
            **{"class": "api"},
            instance_type="t3.small",
            min_size=1,
            max_size=min(1000, max(8, 2 * self.machines)),
            rollout=Rollout(**self.policy),
        )
        return Environment(
            name=self.environment,
            network="lab",
            region="us-east-1",
            account_id=ACCOUNT,
            protected=self.is_protected,
            config_bucket="slipway-dev-config",
            host="dev.example.com",
            fleets={"api": fleet},
        )
