# SPDX-License-Identifier: Apache-2.0
"""A fleet in a simulated region with all that a launch can name, and a look at it before a rollout."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from orchestrator.aws.session import AwsSession, CredentialSource, Endpoint
from orchestrator.commands.rollout_world import world_of
from orchestrator.config.models import Environment
from orchestrator.domain.forecast.course import Course, Spread
from orchestrator.domain.manifest import Contents, Manifest
from orchestrator.domain.preflight.situation import Intent
from orchestrator.domain.preflight_finding import Finding
from orchestrator.domain.refresh import RefreshPreferences
from orchestrator.workflows.bake_ami.publication import manifest_key
from orchestrator.workflows.rollout.preflight import findings
from orchestrator.workflows.rollout.world import RolloutWorld
from tests.fakes import FakeClock

from .conftest import REGION
from .simulated_world import Client

GROUP, BUCKET, ALARM, KEY = "slipway-lab-api", "slipway-lab-config", "lab-errors", "lab"
STACK = "slipway-lab-fleets"
ACCOUNT = "123456789012"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


class CountingSession(AwsSession):
    """Notes every request that is sent, by its operation."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.sent: list[str] = []
        self._noting = threading.Lock()

    def client(self, service: str) -> Any:
        client = super().client(service)
        client.meta.events.register("before-call.*.*", self._note, unique_id="count")
        return client

    def _note(self, model: Any, **_: Any) -> None:
        with self._noting:
            self.sent.append(model.name)


class RegionTime(FakeClock):
    """The region's time, for an operator who never waits."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def now(self) -> datetime:
        return self._client.local.region.clock.now()


@dataclass
class PreflightFleet:
    """A balanced fleet of machines of an old image, and a new image to roll it to."""

    client: Client
    machines: int = 4
    subnet_ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.time = RegionTime(self.client)
        self.session = CountingSession(Endpoint(REGION, self.client.local.endpoint, CredentialSource.LOCAL))
        self.api("s3").create_bucket(Bucket=BUCKET)
        self.old, self.new = (self._publish(letter) for letter in "ab")
        self.template_id = self._make_template()
        self._make_group()
        self._make_alarm()
        self.client.advance(300)

    def api(self, service: str) -> Any:
        """Return a client that nobody counts."""
        return self.client.local.client(service)

    def change(self, operation: str, **parameters: object) -> None:
        """Do something to the group."""
        getattr(self.api("autoscaling"), operation)(AutoScalingGroupName=GROUP, **parameters)

    def _publish(self, letter: str) -> str:
        name = f"api-{letter * 32}"
        tags = [{"Key": "slipway:class", "Value": "api"}, {"Key": "slipway:state", "Value": "published"}]
        made = self.api("ec2").copy_image(
            Name=name,
            SourceImageId=self.client.local.ami_id,
            SourceRegion=REGION,
            TagSpecifications=[{"ResourceType": "image", "Tags": tags}],
        )
        ami_id = str(made["ImageId"])
        manifest = Manifest("api", letter * 32, name, ami_id, "", self.time.now(), {}, Contents())
        self.api("s3").put_object(Bucket=BUCKET, Key=manifest_key(name), Body=manifest.to_json().encode())
        self.client.advance(90)
        return ami_id

    def _make_template(self) -> str:
        ec2, iam = self.api("ec2"), self.api("iam")
        ec2.create_key_pair(KeyName=KEY)
        self.security_group = ec2.create_security_group(GroupName="lab", Description="machines")["GroupId"]
        iam.create_role(RoleName="lab", AssumeRolePolicyDocument=json.dumps(TRUST))
        profile = iam.create_instance_profile(InstanceProfileName="lab", Path="/slipway/lab/")
        iam.add_role_to_instance_profile(InstanceProfileName="lab", RoleName="lab")
        data = {
            "ImageId": self.old,
            "InstanceType": "t3.small",
            "KeyName": KEY,
            "SecurityGroupIds": [self.security_group],
            "IamInstanceProfile": {"Arn": profile["InstanceProfile"]["Arn"]},
        }
        made = ec2.create_launch_template(LaunchTemplateName="lab", LaunchTemplateData=data)
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def _make_group(self) -> None:
        elbv2, found = self.api("elbv2"), self.api("ec2").describe_subnets()["Subnets"][:4]
        self.subnet_ids = [each["SubnetId"] for each in found]
        balancer = elbv2.create_load_balancer(Name="lab", Subnets=self.subnet_ids)["LoadBalancers"][0]
        made = elbv2.create_target_group(Name="lab", Protocol="HTTP", Port=80, VpcId=found[0]["VpcId"])
        self.target_group_arn = str(made["TargetGroups"][0]["TargetGroupArn"])
        elbv2.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.target_group_arn}],
        )
        self.api("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            MinSize=0,
            MaxSize=100_000,
            DesiredCapacity=self.machines,
            LaunchTemplate={"LaunchTemplateId": self.template_id, "Version": "1"},
            VPCZoneIdentifier=",".join(self.subnet_ids),
            TargetGroupARNs=[self.target_group_arn],
            HealthCheckType="ELB",
            HealthCheckGracePeriod=60,
        )

    def _make_alarm(self) -> None:
        self.api("cloudwatch").put_metric_alarm(
            AlarmName=ALARM,
            Namespace="lab",
            MetricName="errors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
        )

    def provision(self) -> None:
        """Have the environment's fleets stack, of something that is made at once."""
        self.api("cloudformation").create_stack(StackName=STACK, TemplateBody=stack_body())
        self.client.advance(60)

    def world(self) -> RolloutWorld:
        """Return the world of a run."""
        environment = _environment(self.client.local.endpoint)
        run_id = "rollout-20270101T000000-abcdef"
        return world_of(environment, self.session, self.time, operator="ana@example", run_id=run_id)

    def intent(self, world: RolloutWorld, **changes: Any) -> Intent:
        """Return what a plan asks; a quarter more machines run than now."""
        group = world.fleets.group(GROUP)
        size = len(group.instances)
        told = Intent(
            environment="lab",
            account_id=ACCOUNT,
            fleet="api",
            server_class="api",
            group=group,
            source=world.templates.version(self.template_id, "1"),
            new_ami_id=self.new,
            preferences=RefreshPreferences(max_healthy_percentage=125, alarms=(ALARM,)),
            course=Course(Spread(60, 90, 120), (), (), size, size + size // 4, 1.0, 0.0),
            refreshes=world.fleets.refreshes(GROUP),
        )
        return replace(told, **changes)

    def look(self, **changes: Any) -> tuple[Finding, ...]:
        """Look before a rollout; `self.session.sent` holds the calls of the pre-flight alone."""
        world = self.world()
        intent = self.intent(world, **changes)
        self.session.sent.clear()
        return findings(world, intent)

    def checks(self, **changes: Any) -> list[str]:
        """Return which checks found something."""
        return sorted({each.check for each in self.look(**changes)})


def stack_body(**properties: Any) -> str:
    """Return a template of one queue."""
    queue = {"Type": "AWS::SQS::Queue", "Properties": properties}
    return json.dumps({"Resources": {"Jobs": queue}})


def _environment(endpoint: str) -> Environment:
    fleet = {"class": "api", "instance_type": "t3.small", "min_size": 0, "max_size": 8}
    return Environment.model_validate(
        {
            "name": "lab",
            "network": "lab",
            "region": REGION,
            "account_id": ACCOUNT,
            "endpoint_url": endpoint,
            "credentials": "local",
            "config_bucket": BUCKET,
            "fleets": {"api": fleet},
        }
    )
