# SPDX-License-Identifier: Apache-2.0
"""Every stack of the project comes up in a region, reads back as it was told, and outlives a restart."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from orchestrator.domain.drift import Difference, DriftKind, ResourceDrift, unintended
from orchestrator.domain.rollout.plan import RolloutTarget
from orchestrator.workflows import rollout
from sandbox.simulated import SimulatedSubstrate
from stacks.architecture import environment_stacks, network_stacks
from stacks.project import environment_inputs, network_inputs
from stacks.stack import Stack
from tests.hooks import complete_launches
from tests.region import operator_doors
from tests.region.conftest import LocalRegion, make_region
from tests.region.operator_session import publish, rollout_world
from tests.region.test_lambdas import bundle

PROJECT = Path(__file__).resolve().parents[2]
CODE = "functions/image_variants/test.zip"
UP = "CREATE_COMPLETE"
PATIENCE_S = 60.0


def all_stacks() -> tuple[Stack, ...]:
    """Return the stacks of the local network and environment, in the order in which they go up."""
    environment = environment_inputs(PROJECT, "sandbox", {"image_variants": CODE})
    state, *others = environment_stacks(environment)
    return (state, *network_stacks(network_inputs(PROJECT, "sandbox")), *others)


def bring_up(local: LocalRegion, stack: Stack) -> None:
    """Create a stack and wait until it is up."""
    cloudformation = local.client("cloudformation")
    if stack.kind == "functions":
        bucket = f"slipway-{stack.owner}-bundles-123456789012"
        local.client("s3").put_object(
            Bucket=bucket, Key=CODE, Body=bundle("def handle(event, context): pass")
        )
    if stack.kind == "fleets":
        for fleet in ("api", "bastion", "worker"):
            name = f"/slipway/{stack.owner}/{fleet}/ami"
            local.client("ssm").put_parameter(Name=name, Value=local.ami_id, Type="String")
    cloudformation.create_stack(
        StackName=stack.name, TemplateBody=stack.body(), Capabilities=["CAPABILITY_NAMED_IAM"]
    )

    def look() -> str:
        complete_launches(local.client("autoscaling"))
        return status(local, stack.name)

    seen = until(look, lambda found: "IN_PROGRESS" not in found)
    assert seen == UP, failures(local, stack.name)


def until(fetch: Callable[[], Any], done: Callable[[Any], bool]) -> Any:
    """Fetch until done: whole stacks take seconds, on a busy host many."""
    end = time.monotonic() + PATIENCE_S
    while not done(seen := fetch()):
        assert time.monotonic() < end, f"still {seen}"
        time.sleep(0.05)
    return seen


def status(local: LocalRegion, name: str) -> str:
    return str(local.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])


def failures(local: LocalRegion, name: str) -> list[str]:
    events = local.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    return [
        f"{each['LogicalResourceId']}: {each.get('ResourceStatusReason')}"
        for each in events
        if "FAILED" in each["ResourceStatus"]
    ]


def drifted(local: LocalRegion, name: str) -> list[Any]:
    """Return what reads back otherwise than the template says."""
    cloudformation = local.client("cloudformation")
    detection = cloudformation.detect_stack_drift(StackName=name)["StackDriftDetectionId"]

    def look() -> dict[str, Any]:
        answer = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        return dict(answer)

    seen = until(look, lambda answer: answer["DetectionStatus"] != "DETECTION_IN_PROGRESS")
    assert seen["DetectionStatus"] == "DETECTION_COMPLETE", seen
    pages = cloudformation.describe_stack_resource_drifts(StackName=name)["StackResourceDrifts"]
    return [
        (each["LogicalResourceId"], each["StackResourceDriftStatus"], each.get("PropertyDifferences"))
        for each in pages
        if each["StackResourceDriftStatus"] != "IN_SYNC"
    ]


@contextmanager
def running(state_file: Path) -> Iterator[LocalRegion]:
    regions = make_region(SimulatedSubstrate(), state_file)
    yield next(regions)
    next(regions, None)


@pytest.fixture(name="state_file", scope="module")
def fixture_state_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the saved state of a region in which everything is up."""
    file = tmp_path_factory.mktemp("region") / "region.state"
    with running(file) as local:
        for stack in all_stacks():
            bring_up(local, stack)
    return file


@pytest.fixture(name="restarted")
def fixture_restarted(state_file: Path, tmp_path: Path) -> Iterator[LocalRegion]:
    """A region in which everything is up; the others don't see what becomes of it."""
    own = tmp_path / "region.state"
    shutil.copy(state_file, own)
    with running(own) as local:
        yield local


def test_every_property_reads_back_equal_also_after_a_restart(restarted: LocalRegion) -> None:
    assert {stack.name: status(restarted, stack.name) for stack in all_stacks()} == {
        stack.name: UP for stack in all_stacks()
    }
    found = {stack.name: drifted(restarted, stack.name) for stack in all_stacks()}
    assert {name: differences for name, differences in found.items() if differences} == {}


def test_every_resource_of_the_templates_is_there(restarted: LocalRegion) -> None:
    for stack in all_stacks():
        pages = restarted.client("cloudformation").get_paginator("list_stack_resources")
        listed = {
            each["LogicalResourceId"]
            for page in pages.paginate(StackName=stack.name)
            for each in page["StackResourceSummaries"]
        }
        assert listed == set(json.loads(stack.body())["Resources"])


FLEETS = "slipway-sandbox-fleets"
GROUP, POINTER = "slipway-sandbox-api", "/slipway/sandbox/api/ami"


class Fleet:
    """The api fleet, and what rollouts and provisioning do to it."""

    def __init__(self, local: LocalRegion) -> None:
        self._local = local
        self._ec2, self._autoscaling = local.client("ec2"), local.client("autoscaling")

    @property
    def group(self) -> dict[str, Any]:
        """The group, with its launch template and sizes."""
        [found] = self._autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])[
            "AutoScalingGroups"
        ]
        return dict(found)

    @property
    def version(self) -> str:
        """The version that the group launches."""
        return str(self.group["LaunchTemplate"]["Version"])

    def launched(self, version: str) -> dict[str, Any]:
        """What a version launches."""
        template_id = self.group["LaunchTemplate"]["LaunchTemplateId"]
        [found] = self._ec2.describe_launch_template_versions(
            LaunchTemplateId=template_id, Versions=[version]
        )["LaunchTemplateVersions"]
        return dict(found["LaunchTemplateData"])

    def add_version(self) -> tuple[str, str]:
        """Make a version with an image of its own; return both."""
        image = self._ec2.create_image(InstanceId=self._local.launch(), Name=self._name())
        made = self._ec2.create_launch_template_version(
            LaunchTemplateId=self.group["LaunchTemplate"]["LaunchTemplateId"],
            SourceVersion=self.version,
            LaunchTemplateData={"ImageId": image["ImageId"]},
        )["LaunchTemplateVersion"]
        return str(made["VersionNumber"]), image["ImageId"]

    def roll(self) -> tuple[str, str]:
        """Do what a rollout has done when it has succeeded."""
        version, ami_id = self.add_version()
        template_id = self.group["LaunchTemplate"]["LaunchTemplateId"]
        self._autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            LaunchTemplate={"LaunchTemplateId": template_id, "Version": version},
        )
        self._ec2.modify_launch_template(LaunchTemplateId=template_id, DefaultVersion=version)
        self._local.client("ssm").put_parameter(Name=POINTER, Value=ami_id, Type="String", Overwrite=True)
        return version, ami_id

    def provision(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Update the stack with a changed template."""
        cloudformation = self._local.client("cloudformation")
        body = cloudformation.get_template(StackName=FLEETS)["TemplateBody"]
        document = body if isinstance(body, dict) else json.loads(body)
        change(document["Resources"])
        cloudformation.update_stack(
            StackName=FLEETS, TemplateBody=json.dumps(document), Capabilities=["CAPABILITY_NAMED_IAM"]
        )
        seen = until(lambda: status(self._local, FLEETS), lambda found: "IN_PROGRESS" not in found)
        assert seen == "UPDATE_COMPLETE", failures(self._local, FLEETS)

    def _name(self) -> str:
        return f"api-{len(self._ec2.describe_images(Owners=['self'])['Images'])}"


def grow(resources: dict[str, Any]) -> None:
    resources["ApiGroup"]["Properties"]["MaxSize"] = "12"


def strengthen(resources: dict[str, Any]) -> None:
    resources["ApiTemplate"]["Properties"]["LaunchTemplateData"]["InstanceType"] = "m5.large"


def test_after_a_rollout_there_is_no_drift_and_nothing_to_provision(restarted: LocalRegion) -> None:
    Fleet(restarted).roll()
    found = drifts_of(restarted, FLEETS)
    # The image is no difference: the parameter that the template names is the image that runs.
    assert [(each.logical_id, *paths_of(each)) for each in found] == [("ApiGroup", "/LaunchTemplate/Version")]
    assert unintended(found) == ()
    cloudformation = restarted.client("cloudformation")
    body = cloudformation.get_template(StackName=FLEETS)["TemplateBody"]
    with pytest.raises(ClientError, match="No updates are to be performed"):
        cloudformation.update_stack(
            StackName=FLEETS,
            TemplateBody=body if isinstance(body, str) else json.dumps(body),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )


def test_a_change_of_the_group_leaves_it_the_image_that_was_rolled_out(restarted: LocalRegion) -> None:
    fleet = Fleet(restarted)
    version, ami_id = fleet.roll()
    fleet.add_version()  # what a rollout that was taken back leaves: the latest, and of no use
    fleet.provision(grow)
    assert (fleet.group["MaxSize"], fleet.version) == (12, version)
    assert fleet.launched(fleet.version)["ImageId"] == ami_id
    assert unintended(drifts_of(restarted, FLEETS)) == ()


def test_a_change_of_the_launch_template_goes_on_from_the_image_that_was_rolled_out(
    restarted: LocalRegion,
) -> None:
    fleet = Fleet(restarted)
    version, ami_id = fleet.roll()
    fleet.add_version()
    fleet.provision(strengthen)
    assert int(fleet.version) > int(version) + 1
    launched = fleet.launched(fleet.version)
    assert (launched["ImageId"], launched["InstanceType"]) == (ami_id, "m5.large")
    assert unintended(drifts_of(restarted, FLEETS)) == ()


def drifts_of(local: LocalRegion, name: str) -> list[ResourceDrift]:
    """Return what differs, as `invoke drift` gets it."""
    return [
        ResourceDrift(
            name,
            logical_id,
            TYPES[logical_id],
            "",
            DriftKind(kind),
            tuple(
                Difference(each["PropertyPath"], each["ExpectedValue"], each["ActualValue"])
                for each in differences or ()
            ),
        )
        for logical_id, kind, differences in drifted(local, name)
    ]


def paths_of(drift: ResourceDrift) -> list[str]:
    return [each.path for each in drift.differences]


FLEET_COUNT = 3
TYPES = {"ApiGroup": "AWS::AutoScaling::AutoScalingGroup", "ApiTemplate": "AWS::EC2::LaunchTemplate"}


def test_operators_may_look_up_all_that_is_checked_before_a_rollout(restarted: LocalRegion) -> None:
    world = rollout_world(restarted, "sandbox")
    for fleet in sorted(world.environment.fleets):
        ami_id = publish(restarted, world.environment.config_bucket, fleet, "b")
        plan = rollout.observe_and_plan(world, RolloutTarget("sandbox", fleet, ami_id))
        assert [each.line() for each in plan.findings if "could not be checked" in each.says] == []
        assert plan.errors == ()


def test_operators_may_do_all_that_doors_take(restarted: LocalRegion) -> None:
    # Machines ended with the region that they were made in; new ones come by themselves.
    until(lambda: operator_doors.fleets_that_run(restarted), lambda found: len(found) == FLEET_COUNT)
    assert operator_doors.answers(restarted) == {
        "who am I": "assumed-role/slipway-sandbox-operators/ann",
        "machines": {"api", "bastion", "worker"},
        "host keys": {},
        "let a key in": True,
        "keep somebody out": None,
        "who is kept out": {"bob": "2030-01-02T03:04:05Z"},
        "take both back": None,
        "authority": "ssh-rsa ",
        "signature": 512,
        "database": [
            "ClusterEndpoint",
            "ClusterIdentifier",
            "ClusterPort",
            "ClusterResourceId",
            "MasterSecretArn",
            "ReaderEndpoint",
        ],
        "master": "slipway",
        "token": True,
        "record": None,
    }
