# SPDX-License-Identifier: Apache-2.0
"""A fleet in a simulated region, rolled by the real workflow through the real adapters."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from orchestrator.aws.session import CredentialSource, Endpoint
from orchestrator.commands.rollout_world import world_of
from orchestrator.config.models import Environment
from orchestrator.domain.manifest import Contents, Manifest
from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.domain.stack import EnvironmentStack, stack_name
from orchestrator.host_process import HostProcess
from orchestrator.locks import ObjectLocks
from orchestrator.workflows import rollout
from orchestrator.workflows.bake_ami.publication import manifest_key
from orchestrator.workflows.rollout.messages import TOPIC_OUTPUT
from orchestrator.workflows.rollout.world import RolloutWorld
from tests.fakes import FakeReporter

from ..conftest import REGION
from ..simulated_world import Client
from .deaths import MortalSession

ENVIRONMENT, FLEET = "sandbox", "api"
GROUP = f"slipway-{ENVIRONMENT}-{FLEET}"
MACHINES = 4
POLICY = {
    "min_healthy_percentage": 100,
    "max_healthy_percentage": 200,
    "instance_warmup_s": 0,
    "max_failures": 1,
}
# No kernel gives a process this number, so whoever has it is gone.
NO_PID = 4_194_305


@dataclass
class _Rhythm:
    interval_s: float
    action: Callable[[], None]
    due_s: float

    def beat(self, now_s: float) -> None:
        if now_s >= self.due_s:
            self.due_s += self.interval_s
            self.action()


class RegionTime:
    """The operator's clock: to wait is to let the region's time pass, and what is done in rhythm happens."""

    def __init__(self, client: Client) -> None:
        self._client = client
        simulation = client.local.region.options.simulation
        assert simulation is not None
        self._clock = simulation.clock
        self._began = self._clock.now()
        self._rhythms: list[_Rhythm] = []

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic_s(self) -> float:
        return (self._clock.now() - self._began).total_seconds()

    def sleep(self, seconds: float) -> None:
        """Let the region's time pass, stopping for what is due in between."""
        end_s = self.monotonic_s() + seconds
        while (now_s := self.monotonic_s()) < end_s:
            self._client.advance(min(end_s, *(each.due_s for each in self._rhythms), end_s) - now_s)
            for rhythm in list(self._rhythms):
                rhythm.beat(self.monotonic_s())

    @contextmanager
    def ticker(self, interval_s: float, action: Callable[[], None]) -> Iterator[None]:
        """Do something in rhythm while the block lasts."""
        rhythm = _Rhythm(interval_s, action, self.monotonic_s() + interval_s)
        self._rhythms.append(rhythm)
        try:
            yield
        finally:
            self._rhythms.remove(rhythm)


@dataclass
class Rolling:
    """A region with a balanced fleet of some machines, two published images and the buckets they need.

    `beside` is an environment that was there before, in the same account: images are the same for both.
    """

    client: Client
    machines: int = MACHINES
    policy: Mapping[str, Any] = field(default_factory=lambda: POLICY)
    environment: str = ENVIRONMENT
    beside: Rolling | None = None

    def __post_init__(self) -> None:
        self.time = self.beside.time if self.beside else RegionTime(self.client)
        self.group_name = f"slipway-{self.environment}-{FLEET}"
        self.pointer_name = f"/slipway/{self.environment}/{FLEET}/ami"
        self.bucket = f"slipway-{self.environment}-config"
        self.session = MortalSession(Endpoint(REGION, self.client.local.endpoint, CredentialSource.LOCAL))
        self.target = RolloutTarget(self.environment, FLEET)
        self._runs = itertools.count(1)
        self.api("s3").create_bucket(Bucket=self.bucket)
        beside = self.beside
        self.images = beside.images if beside else [self._publish(letter) for letter in "ab"]
        self.template_id = self._make_template(self.images[0])
        self._make_group()
        self._make_topic()
        self.api("ssm").put_parameter(Name=self.pointer_name, Value=self.images[0], Type="String")

    def api(self, service: str) -> Any:
        """Return a client that nobody counts."""
        return self.client.local.client(service)

    @property
    def next_image(self) -> str:
        """Return the image that the fleet does not run."""
        return next(each for each in self.images if each != self.pointer())

    # What there is at first.

    def _publish(self, letter: str) -> str:
        name = f"{FLEET}-{letter * 32}"
        tags = [{"Key": "slipway:class", "Value": FLEET}, {"Key": "slipway:state", "Value": "published"}]
        specifications = [{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")]
        copied = self.api("ec2").copy_image(
            Name=name,
            SourceImageId=self.client.local.ami_id,
            SourceRegion=REGION,
            TagSpecifications=specifications,
        )
        ami_id = str(copied["ImageId"])
        self.time.sleep(90)
        manifest = Manifest(
            class_name=FLEET,
            bake_key=letter * 32,
            image_name=name,
            ami_id=ami_id,
            parent="",
            created_at=self.time.now(),
            inputs={},
            contents=Contents(packages={"nginx": letter}),
        )
        self.api("s3").put_object(
            Bucket=self.bucket, Key=manifest_key(name), Body=manifest.to_json().encode()
        )
        return ami_id

    def _make_template(self, ami_id: str) -> str:
        data = {"ImageId": ami_id, "InstanceType": "t3.small"}
        made = self.api("ec2").create_launch_template(
            LaunchTemplateName=self.group_name, LaunchTemplateData=data
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def _make_group(self) -> None:
        elbv2, subnets = self.api("elbv2"), self.api("ec2").describe_subnets()["Subnets"][:4]
        subnet_ids = [each["SubnetId"] for each in subnets]
        balancer = elbv2.create_load_balancer(Name=self.environment, Subnets=subnet_ids)["LoadBalancers"][0]
        made = elbv2.create_target_group(
            Name=self.environment, Protocol="HTTP", Port=80, VpcId=subnets[0]["VpcId"]
        )
        arn = made["TargetGroups"][0]["TargetGroupArn"]
        elbv2.modify_target_group_attributes(
            TargetGroupArn=arn,
            Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "10"}],
        )
        elbv2.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}],
        )
        self.api("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=self.group_name,
            MinSize=self.machines,
            MaxSize=2 * self.machines,
            DesiredCapacity=self.machines,
            LaunchTemplate={"LaunchTemplateId": self.template_id, "Version": "1"},
            VPCZoneIdentifier=",".join(subnet_ids),
            TargetGroupARNs=[arn],
            HealthCheckType="ELB",
            HealthCheckGracePeriod=60,
        )
        self.time.sleep(300)

    def _make_topic(self) -> None:
        """Make the stack that says where alerts go."""
        body = {
            "Resources": {"Alerts": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {TOPIC_OUTPUT: {"Value": {"Ref": "Alerts"}}},
        }
        name = stack_name(self.environment, EnvironmentStack.QUEUES)
        self.api("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(body))
        self.time.sleep(60)

    # The workflow.

    def world(self, *, is_mortal: bool = False) -> RolloutWorld:
        """Return the world of a new run; a mortal one's process is gone as soon as somebody asks for it."""
        process = HostProcess.current()
        process = replace(process, pid=NO_PID) if is_mortal else process
        run_id = f"rollout-{self.time.now():%Y%m%dT%H%M%S}-{next(self._runs):06x}"
        environment = self._environment()
        world = world_of(environment, self.session, self.time, operator="ana@example", run_id=run_id)
        return replace(
            world, locks=ObjectLocks(world.objects, self.time, process=process, ticker=self.time.ticker)
        )

    def _environment(self) -> Environment:
        fleet = {
            "class": FLEET,
            "instance_type": "t3.small",
            "min_size": min(self.machines, 1000),
            "max_size": min(2 * self.machines, 1000),
            "balanced": True,
            "rollout": dict(self.policy),
        }
        return Environment.model_validate(
            {
                "name": self.environment,
                "network": self.environment,
                "region": REGION,
                "account_id": "123456789012",
                "endpoint_url": self.client.local.endpoint,
                "credentials": "local",
                "config_bucket": self.bucket,
                "host": "api.sandbox.example.com",
                "fleets": {FLEET: fleet},
            }
        )

    def roll(self, ami_id: str, *, is_mortal: bool = False) -> rollout.RolloutResult:
        """Roll the fleet to an image as `invoke rollout` does."""
        world, target = self.world(is_mortal=is_mortal), replace(self.target, ami_id=ami_id)
        plan = rollout.observe_and_plan(world, target)
        rollout.confirm(world, plan, is_confirmed=True)
        return rollout.apply(world, plan, FakeReporter(), lambda progress: None)

    @contextmanager
    def failing_launches(self) -> Iterator[None]:
        """Let no machine come up while the block lasts."""
        number = self.client.fault(kind="launch", code="InsufficientInstanceCapacity")
        try:
            yield
        finally:
            self.client.page("DELETE", f"faults/{number}")

    # What there is afterwards.

    def pointer(self) -> str:
        """Return the AMI that the fleet's parameter names."""
        return str(self.api("ssm").get_parameter(Name=self.pointer_name)["Parameter"]["Value"])

    def group(self) -> dict[str, Any]:
        """Return the group as the API shows it."""
        answer = self.api("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[self.group_name])
        return dict(answer["AutoScalingGroups"][0])

    def running(self) -> set[str]:
        """Return the versions that the group names and that its machines are of."""
        group = self.group()
        machines = {each["LaunchTemplate"]["Version"] for each in group["Instances"]}
        return {group["LaunchTemplate"]["Version"], *machines}

    def refreshes(self) -> list[dict[str, Any]]:
        """Return the group's refreshes, newest first."""
        api = self.api("autoscaling")
        answer = api.describe_instance_refreshes(AutoScalingGroupName=self.group_name, MaxRecords=100)
        return list(answer["InstanceRefreshes"])

    def versions(self) -> list[dict[str, Any]]:
        """Return the versions of the launch template, newest first."""
        answer = self.api("ec2").describe_launch_template_versions(LaunchTemplateId=self.template_id)
        return sorted(answer["LaunchTemplateVersions"], key=lambda each: -int(each["VersionNumber"]))

    def locks(self) -> list[str]:
        """Return the keys of all locks."""
        found = self.api("s3").list_objects_v2(Bucket=self.bucket, Prefix="locks/")
        return [each["Key"] for each in found.get("Contents", ())]
