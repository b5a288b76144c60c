# SPDX-License-Identifier: Apache-2.0
"""Every stack of the project comes up in a region, reads back as it was told, and outlives a restart."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.simulated import SimulatedSubstrate
from stacks.architecture import environment_stacks, network_stacks
from stacks.project import environment_inputs, network_inputs
from stacks.stack import Stack
from tests.hooks import complete_launches
from tests.unit.sandbox_region.conftest import LocalRegion, make_region
from tests.unit.sandbox_region.test_lambdas import bundle

PROJECT = Path(__file__).resolve().parents[3]
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


def test_every_property_reads_back_equal_also_after_a_restart(state_file: Path) -> None:
    with running(state_file) as local:
        assert {stack.name: status(local, stack.name) for stack in all_stacks()} == {
            stack.name: UP for stack in all_stacks()
        }
        found = {stack.name: drifted(local, stack.name) for stack in all_stacks()}
    assert {name: differences for name, differences in found.items() if differences} == {}


def test_every_resource_of_the_templates_is_there(state_file: Path) -> None:
    with running(state_file) as local:
        for stack in all_stacks():
            pages = local.client("cloudformation").get_paginator("list_stack_resources")
            listed = {
                each["LogicalResourceId"]
                for page in pages.paginate(StackName=stack.name)
                for each in page["StackResourceSummaries"]
            }
            assert listed == set(json.loads(stack.body())["Resources"])
