# SPDX-License-Identifier: Apache-2.0
"""The project's own stacks come up in the region as their templates say, stay so, and go again.

It takes no machines; it is here as it takes half a minute.
"""

from __future__ import annotations

import json
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
from tests.region.conftest import LocalRegion, make_region
from tests.unit.test_cloudformation_coverage import FUNCTION_KEYS, PROJECT

pytestmark = pytest.mark.sandbox

OWNER = "sandbox"
ENVIRONMENT = environment_inputs(PROJECT, OWNER, FUNCTION_KEYS)
STACKS = (*network_stacks(network_inputs(PROJECT, OWNER)), *environment_stacks(ENVIRONMENT))
WAIT = {"Delay": 0.05, "MaxAttempts": 1200}


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
    assert {stack.name: drifts(cfn, stack.name) for stack in STACKS} == {stack.name: [] for stack in STACKS}
    tampered = tamper(local)
    assert {name: [logical_id for logical_id, _ in drifts(cfn, name)] for name in tampered} == tampered
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


def tamper(local: LocalRegion) -> dict[str, list[str]]:
    """Open a port, change a bucket's policy and remove a database member; return what drifts by it."""
    security, state, database = (f"slipway-{OWNER}-{kind}" for kind in ("security", "state", "database"))
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    group = physical_id(local, security, "DatabaseSecurityGroup")
    local.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    bucket = physical_id(local, state, "ConfigBucket")
    arn = f"arn:aws:s3:::{bucket}"
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket", "Resource": arn}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    local.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    member = physical_id(local, database, "MemberTwo")
    local.client("rds").delete_db_instance(DBInstanceIdentifier=member, SkipFinalSnapshot=True)
    return {security: ["DatabaseSecurityGroup"], state: ["ConfigBucketPolicy"], database: ["MemberTwo"]}


def physical_id(local: LocalRegion, stack: str, logical_id: str) -> str:
    """Return what a resource of a stack is."""
    cfn = local.client("cloudformation")
    found = cfn.describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def changes(cfn: Any, stack: Stack) -> Any:
    """Return what another change set would do, or why there is none."""
    try:
        change_set(cfn, stack, "UPDATE")
    except WaiterError as error:
        return error.last_response["StatusReason"]
    return cfn.describe_change_set(StackName=stack.name, ChangeSetName="changes")["Changes"]


def drifts(cfn: Any, stack: str) -> list[Any]:
    """Return what does not read back as the template says."""
    detection = cfn.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]
    while (status := detection_status(cfn, detection)) == "DETECTION_IN_PROGRESS":
        time.sleep(0.05)
    assert status == "DETECTION_COMPLETE"
    found = cfn.describe_stack_resource_drifts(
        StackName=stack, StackResourceDriftStatusFilters=["MODIFIED", "DELETED"]
    )
    return [
        (each["LogicalResourceId"], each.get("PropertyDifferences")) for each in found["StackResourceDrifts"]
    ]


def detection_status(cfn: Any, detection: str) -> str:
    """Return how far a detection is."""
    shown = cfn.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
    return str(shown["DetectionStatus"])
