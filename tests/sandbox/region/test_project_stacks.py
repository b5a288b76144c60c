# SPDX-License-Identifier: Apache-2.0
"""The project's own stacks come up in the region as their templates say, stay so, and go again.

It takes no machines; it is here as it takes half a minute.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from sandbox.cloudformation.change_sets import NO_CHANGES
from sandbox.simulated import SimulatedSubstrate
from stacks.architecture import environment_stacks, network_stacks
from stacks.project import environment_inputs, network_inputs
from stacks.stack import Stack
from tests.unit.sandbox_region.conftest import LocalRegion, make_region
from tests.unit.test_cloudformation_coverage import FUNCTION_KEYS, PROJECT

pytestmark = pytest.mark.sandbox

OWNER = "sandbox"
ENVIRONMENT = environment_inputs(PROJECT, OWNER, FUNCTION_KEYS)
STACKS = (*network_stacks(network_inputs(PROJECT, OWNER)), *environment_stacks(ENVIRONMENT))
WAIT = {"Delay": 0.05, "MaxAttempts": 2400}


@pytest.fixture(name="local")
def fixture_local() -> Iterator[LocalRegion]:
    """Return a region with an image for each fleet."""
    regions = make_region(SimulatedSubstrate())
    local = next(regions)
    for fleet in ENVIRONMENT.environment.fleets:
        name = f"/slipway/{OWNER}/{fleet}/ami"
        local.client("ssm").put_parameter(Name=name, Value=local.ami_id, Type="String")
    try:
        yield local
    finally:
        regions.close()


def test_the_projects_stacks_come_up_stay_as_they_are_and_go(local: LocalRegion) -> None:
    cfn = local.client("cloudformation")
    for stack in STACKS:
        change_set(cfn, stack, "CREATE")
        cfn.execute_change_set(StackName=stack.name, ChangeSetName="changes")
        cfn.get_waiter("stack_create_complete").wait(StackName=stack.name, WaiterConfig=WAIT)
    assert {stack.name: changes(cfn, stack) for stack in STACKS} == {
        stack.name: NO_CHANGES for stack in STACKS
    }
    assert {stack.name: drifts(cfn, stack) for stack in STACKS} == {stack.name: [] for stack in STACKS}
    for stack in reversed(STACKS):
        stack_id = cfn.describe_stacks(StackName=stack.name)["Stacks"][0]["StackId"]
        cfn.delete_stack(StackName=stack.name)
        cfn.get_waiter("stack_delete_complete").wait(StackName=stack_id, WaiterConfig=WAIT)
    assert cfn.describe_stacks()["Stacks"] == []


def change_set(cfn: Any, stack: Stack, kind: str) -> None:
    """Make a change set and wait for it."""
    named = {"StackName": stack.name, "ChangeSetName": "changes"}
    cfn.create_change_set(
        **named,
        ChangeSetType=kind,
        TemplateBody=stack.body(),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Tags=[{"Key": "slipway:network", "Value": OWNER}],
    )
    cfn.get_waiter("change_set_create_complete").wait(**named, WaiterConfig=WAIT)


def changes(cfn: Any, stack: Stack) -> Any:
    """Return what another change set would do, or why there is none."""
    try:
        change_set(cfn, stack, "UPDATE")
    except WaiterError as error:
        return error.last_response["StatusReason"]
    return cfn.describe_change_set(StackName=stack.name, ChangeSetName="changes")["Changes"]


def drifts(cfn: Any, stack: Stack) -> list[Any]:
    """Return what does not read back as the template says."""
    detection = cfn.detect_stack_drift(StackName=stack.name)["StackDriftDetectionId"]
    while (status := detection_status(cfn, detection)) == "DETECTION_IN_PROGRESS":
        time.sleep(0.05)
    assert status == "DETECTION_COMPLETE"
    found = cfn.describe_stack_resource_drifts(
        StackName=stack.name, StackResourceDriftStatusFilters=["MODIFIED", "DELETED"]
    )
    return [
        (each["LogicalResourceId"], each.get("PropertyDifferences")) for each in found["StackResourceDrifts"]
    ]


def detection_status(cfn: Any, detection: str) -> str:
    """Return how far a detection is."""
    shown = cfn.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
    return str(shown["DetectionStatus"])
