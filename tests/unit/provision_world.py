# SPDX-License-Identifier: Apache-2.0
"""A network `lab` with an environment `dev`, and a world of fakes in which its stacks go up at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import IPv4Network
from typing import Any

from orchestrator.config.fleets import Fleet
from orchestrator.config.models import Environment
from orchestrator.config.network import Network, Tiers
from orchestrator.config.scope import NetworkScope
from orchestrator.domain.cost import Prices
from orchestrator.domain.stack import EnvironmentStack, Kind, NetworkStack, StackTemplate
from orchestrator.workflows import provision
from orchestrator.workflows.provision.result import ProvisionResult
from orchestrator.workflows.provision.world import Network as Whether
from orchestrator.workflows.provision.world import ProvisionWorld, Request, Store
from orchestrator.workflows.world import StoppableClock
from tests.fakes import (
    ACCOUNT,
    FakeBundles,
    FakeClock,
    FakeIdentity,
    FakeImages,
    FakeLocks,
    FakeObjects,
    FakeParameters,
    FakeReporter,
    FakeStacks,
    FakeTemplates,
)
from tests.fakes.fleets import FakeFleets, FakeLaunchTemplates

RUN_ID = "provision-20260101T120000-abcdef"
API_IMAGE = f"api-{'a' * 32}"
PRICES = Prices(
    date="2026-01-01",
    region="us-east-1",
    sources=("https://example.com/",),
    hours_per_month=Decimal(730),
    nat_gateway=Decimal("0.045"),
    interface_endpoint_per_zone=Decimal("0.01"),
    load_balancer=Decimal("0.0225"),
    public_ipv4=Decimal("0.005"),
    aurora_capacity_unit=Decimal("0.12"),
    gp3_gib=Decimal("0.08"),
    kms_key=Decimal(1),
    secret=Decimal("0.40"),
    web_acl=Decimal(5),
    web_acl_rule=Decimal(1),
    alarm=Decimal("0.10"),
    instances={"t3.small": Decimal("0.0208")},
    database_classes={"db.r6g.large": Decimal("0.26")},
    usage={"AWS::SQS::Queue": "messages", "AWS::EC2::VPCEndpoint": "traffic through endpoints"},
)


def read(owner: str, kind: Kind, output: str) -> dict[str, Any]:
    """Return a weak reference."""
    return {"Fn::GetStackOutput": {"StackName": f"slipway-{owner}-{kind.value}", "OutputName": output}}


def resource(type_name: str, **properties: Any) -> dict[str, Any]:
    """Return a resource of a template."""
    return {"Type": f"AWS::{type_name}", "Properties": properties}


def template(kind: Kind, owner: str, resources: Mapping[str, Any], **outputs: Any) -> StackTemplate:
    """Return a stack as the project would want it."""
    body = {"Resources": resources, "Outputs": {name: {"Value": value} for name, value in outputs.items()}}
    return StackTemplate(kind, owner, json.dumps(body), tags={"slipway:network": "lab"})


def network_template(cidr: str = "10.0.0.0/16", **more: Any) -> StackTemplate:
    resources = {"Vpc": resource("EC2::VPC", CidrBlock=cidr), **more}
    return template(NetworkStack.NETWORK, "lab", resources, VpcId=f"vpc-of-{cidr}")


def security_template(**key: Any) -> StackTemplate:
    resources = {
        "DataKey": resource("KMS::Key", **key),
        "ApiGroup": resource("EC2::SecurityGroup", VpcId=read("lab", NetworkStack.NETWORK, "VpcId")),
    }
    return template(NetworkStack.SECURITY, "lab", resources, DataKeyArn="arn:key")


def state_template() -> StackTemplate:
    return template(
        EnvironmentStack.STATE, "dev", {"ConfigBucket": resource("S3::Bucket")}, ConfigBucketName="config"
    )


def queues_template(**queue: Any) -> StackTemplate:
    key = read("lab", NetworkStack.SECURITY, "DataKeyArn")
    resources = {"Jobs": resource("SQS::Queue", KmsMasterKeyId=key, **queue)}
    return template(EnvironmentStack.QUEUES, "dev", resources, JobsQueueArn="arn:jobs")


def functions_template() -> StackTemplate:
    bucket = read("dev", EnvironmentStack.STATE, "ConfigBucketName")
    return template(
        EnvironmentStack.FUNCTIONS, "dev", {"Variants": resource("Lambda::Function", Code=bucket)}
    )


def fleets_template(**group: Any) -> StackTemplate:
    queue = read("dev", EnvironmentStack.QUEUES, "JobsQueueArn")
    return template(
        EnvironmentStack.FLEETS,
        "dev",
        {"ApiTemplate": resource("EC2::LaunchTemplate", LaunchTemplateData={"Queue": queue, **group})},
        ApiGroupName="api",
    )


@dataclass
class Lab:
    """The fakes, and the world that is made of them."""

    is_protected: bool = False
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.stacks = FakeStacks(self.clock)
        self.templates = FakeTemplates(
            (network_template(), security_template()),
            {"dev": (state_template(), queues_template(), functions_template(), fleets_template())},
        )
        self.bundles = FakeBundles()
        self.parameters = FakeParameters()
        self.images = FakeImages(self.clock)
        self.fleets, self.launch_templates = FakeFleets(self.clock), FakeLaunchTemplates()
        self.images.add(API_IMAGE, {"slipway:state": "published"})
        self.objects, self.code = FakeObjects(), FakeObjects()
        self.locks = FakeLocks(self.clock)
        self.identity = FakeIdentity()
        self.reporter = FakeReporter()
        self.stoppable = StoppableClock(self.clock)

    def world(self, run_id: str = RUN_ID) -> ProvisionWorld:
        """Return the world as a workflow sees it."""
        self.stoppable = StoppableClock(self.clock)
        return ProvisionWorld(
            scope=NetworkScope("lab", _network(), {"dev": _environment(is_protected=self.is_protected)}),
            stacks=self.stacks,
            templates=self.templates,
            bundles=self.bundles,
            parameters=self.parameters,
            images=self.images,
            fleets=self.fleets,
            launch_templates=self.launch_templates,
            identity=self.identity,
            stores={"dev": Store(self.objects, self.locks, self.code)},
            prices=PRICES,
            clock=self.stoppable,
            run_id=run_id,
        )

    def plan(self, request: Request) -> provision.ProvisionPlan:
        """Plan as a dry run does."""
        with provision.planned(self.world(), request) as draft:
            return draft.plan

    def run(self, request: Request, *, is_confirmed: bool = False, run_id: str = RUN_ID) -> ProvisionResult:
        """Plan, confirm and apply."""
        world = self.world(run_id)
        with provision.planned(world, request) as draft:
            provision.confirm(world, request, draft.plan, is_confirmed=is_confirmed)
            return provision.apply(world, request, draft, self.reporter)

    def have_all(self) -> None:
        """Have everything up, as an earlier run left it."""
        for each in (*self.templates.of_network, *self.templates.of_environments["dev"]):
            self.stacks.have(each)
            self.clock.advance(60)
        self.parameters.values["/slipway/dev/api/ami"] = "ami-of-a-rollout"
        self.stacks.calls.clear()

    def record(self, run_id: str = RUN_ID) -> dict[str, Any]:
        """Return what a run has recorded."""
        document: dict[str, Any] = json.loads(self.objects.objects[f"records/provision/{run_id}.json"])
        return document

    def made(self, verb: str) -> list[str]:
        """Return the stacks for which CloudFormation was asked to do something, in the order of asking."""
        return [call.split()[1] for call in self.stacks.calls if call.split()[0] == verb]


def network_request(*allowed: str) -> Request:
    """Return what `--network lab` asks for."""
    return Request("network lab", "invoke provision --network lab", Whether.YES, (), frozenset(allowed))


def environment_request(*allowed: str) -> Request:
    """Return what `--environment dev` asks for."""
    command = "invoke provision --environment dev"
    return Request("environment dev", command, Whether.IF_MISSING, ("dev",), frozenset(allowed))


def _environment(*, is_protected: bool) -> Environment:
    return Environment(
        name="dev",
        network="lab",
        region="us-east-1",
        account_id=ACCOUNT,
        protected=is_protected,
        config_bucket="slipway-dev-config",
        host="dev.example.com",
        fleets={"api": Fleet(**{"class": "api"}, instance_type="t3.small", min_size=1, max_size=2)},
    )


def _network() -> Network:
    tiers = ["10.0.0.0/24"], ["10.0.1.0/24"], ["10.0.2.0/24"]
    public, application, data = ([str(IPv4Network(each)) for each in cidrs] for cidrs in tiers)
    return Network(
        cidr="10.0.0.0/16",
        zones=["a"],
        subnets=Tiers(public=public, application=application, data=data),
    )
