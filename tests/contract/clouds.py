# SPDX-License-Identifier: Apache-2.0
"""Fleets in two clouds: the fakes, and a simulated region behind the adapters to AWS."""

from __future__ import annotations

import itertools
import json
from abc import ABC, abstractmethod
from typing import Any

from orchestrator.aws.fleets import AwsFleets
from orchestrator.aws.launch_templates import AwsLaunchTemplates
from orchestrator.aws.notices import AwsNotices
from orchestrator.aws.session import AwsSession, CredentialSource, Endpoint
from orchestrator.aws.targets import AwsTargets
from orchestrator.domain.fleet import LifecycleHook
from orchestrator.ports import Fleets, LaunchTemplates, Notices, Targets
from tests.contract.conftest import REGION
from tests.fakes import FakeClock, FakeFleets, FakeLaunchTemplates, FakeNotices, FakeTargets, Trouble
from tests.region.simulated_world import Client

NUMBERS = itertools.count(1)
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup"
LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"


class Cloud(ABC):
    """The ports, and what tests arrange behind them."""

    fleets: Fleets
    templates: LaunchTemplates
    targets: Targets
    notices: Notices

    @abstractmethod
    def template(self) -> str:
        """Have a launch template with one version, and return its id."""

    @abstractmethod
    def other_image(self) -> str:
        """Return the id of an image that the template does not name."""

    @abstractmethod
    def fleet(self, template_id: str, *, machines: int = 4, version: str = "1", hook: str = "") -> str:
        """Have a group whose machines are in service, with a launch hook if one is named; return its name."""

    @abstractmethod
    def balance(self, group: str) -> str:
        """Have a target group of a balancer for a group's machines, and return its ARN."""

    @abstractmethod
    def scale(self, group: str, desired: int) -> None:
        """Change the desired capacity."""

    @abstractmethod
    def topic(self) -> str:
        """Have a topic and return its ARN."""

    @abstractmethod
    def published(self, topic_arn: str) -> list[tuple[str, str]]:
        """Return subject and message of what was published."""

    @abstractmethod
    def spoil(self, version: int) -> None:
        """Let new machines never get healthy; `version` is what they are launched from."""

    @abstractmethod
    def advance(self, seconds: float) -> None:
        """Let time pass."""


class FakeCloud(Cloud):
    """The fakes."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.fake = self.fleets = FakeFleets(clock)
        self.fake_templates = self.templates = FakeLaunchTemplates()
        self.targets = FakeTargets(self.fake)
        self.fake_notices = self.notices = FakeNotices()

    def template(self) -> str:
        return self.fake_templates.have("ami-00000000000000001")

    def other_image(self) -> str:
        return f"ami-{next(NUMBERS) + 1:017x}"

    def fleet(self, template_id: str, *, machines: int = 4, version: str = "1", hook: str = "") -> str:
        name = f"fleet-{next(NUMBERS)}"
        self.fake.have(name, template_id, machines=machines, template_version=version)
        if hook:
            self.fake.launch_hooks[name] = (LifecycleHook(hook, LAUNCHING, 300, 30_000, "ABANDON"),)
        return name

    def balance(self, group: str) -> str:
        arn = f"{ARN}/{group}/1"
        found = self.fake.groups[group]
        self.fake.have(group, found.template_id, target_group_arns=(arn,))
        return arn

    def scale(self, group: str, desired: int) -> None:
        self.fake.scale(group, desired)

    def topic(self) -> str:
        return f"arn:aws:sns:us-east-1:123456789012:news-{next(NUMBERS)}"

    def published(self, topic_arn: str) -> list[tuple[str, str]]:
        return [(subject, text) for arn, subject, text in self.fake_notices.published if arn == topic_arn]

    def spoil(self, version: int) -> None:
        self.fake.trouble[version] = Trouble.STATUS_CHECK

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)


class RegionCloud(Cloud):
    """A simulated region, asked by the adapters."""

    def __init__(self, client: Client) -> None:
        self.client = client
        session = AwsSession(Endpoint(REGION, client.local.endpoint, CredentialSource.LOCAL))
        self.fleets, self.templates = AwsFleets(session), AwsLaunchTemplates(session)
        self.targets, self.notices = AwsTargets(session), AwsNotices(session)
        self._queues: dict[str, str] = {}

    def _api(self, service: str) -> Any:
        return self.client.local.client(service)

    def template(self) -> str:
        data = {"ImageId": self.client.local.ami_id, "InstanceType": "t3.small"}
        name = f"template-{next(NUMBERS)}"
        made = self._api("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def other_image(self) -> str:
        ec2 = self._api("ec2")
        copied = ec2.copy_image(
            Name=f"image-{next(NUMBERS)}", SourceImageId=self.client.local.ami_id, SourceRegion=REGION
        )
        self.advance(90)
        return str(copied["ImageId"])

    def fleet(self, template_id: str, *, machines: int = 4, version: str = "1", hook: str = "") -> str:
        name = f"fleet-{next(NUMBERS)}"
        subnets = [each["SubnetId"] for each in self._api("ec2").describe_subnets()["Subnets"][:4]]
        self._api("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=machines * 2,
            DesiredCapacity=machines,
            LaunchTemplate={"LaunchTemplateId": template_id, "Version": version},
            VPCZoneIdentifier=",".join(subnets),
        )
        self.advance(120)
        if hook:
            self._api("autoscaling").put_lifecycle_hook(
                AutoScalingGroupName=name,
                LifecycleHookName=hook,
                LifecycleTransition=LAUNCHING,
                HeartbeatTimeout=300,
            )
        return name

    def balance(self, group: str) -> str:
        elbv2, found = self._api("elbv2"), self._api("ec2").describe_subnets()["Subnets"][:4]
        name = f"balancer-{next(NUMBERS)}"
        balancer = elbv2.create_load_balancer(Name=name, Subnets=[each["SubnetId"] for each in found])
        made = elbv2.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=found[0]["VpcId"])
        arn = str(made["TargetGroups"][0]["TargetGroupArn"])
        elbv2.create_listener(
            LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}],
        )
        self._api("autoscaling").attach_load_balancer_target_groups(
            AutoScalingGroupName=group, TargetGroupARNs=[arn]
        )
        self.advance(300)
        return arn

    def scale(self, group: str, desired: int) -> None:
        self._api("autoscaling").set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=desired)

    def topic(self) -> str:
        name = f"news-{next(NUMBERS)}"
        sns, sqs = self._api("sns"), self._api("sqs")
        arn = str(sns.create_topic(Name=name)["TopicArn"])
        self._queues[arn] = sqs.create_queue(QueueName=name)["QueueUrl"]
        queue_arn = f"arn:aws:sqs:{REGION}:123456789012:{name}"
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
        return arn

    def published(self, topic_arn: str) -> list[tuple[str, str]]:
        answer = self._api("sqs").receive_message(QueueUrl=self._queues[topic_arn], MaxNumberOfMessages=10)
        bodies = [json.loads(each["Body"]) for each in answer.get("Messages", ())]
        return [(each["Subject"], each["Message"]) for each in bodies]

    def spoil(self, version: int) -> None:
        self.client.fault(kind="unhealthy", rate=1.0)

    def advance(self, seconds: float) -> None:
        self.client.advance(seconds)
