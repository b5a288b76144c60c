# SPDX-License-Identifier: Apache-2.0
"""boto3 brings stacks of real resources up in a region, which keeps them while it is down."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from sandbox.simulated import SimulatedSubstrate

from .conftest import LocalRegion, make_region

RESOURCES: dict[str, Any] = {
    "Dead": {"Type": "AWS::SQS::Queue"},
    "Jobs": {
        "Type": "AWS::SQS::Queue",
        "Properties": {
            "VisibilityTimeout": "60",
            "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 3},
        },
    },
    "Setting": {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Name": "/jobs/url", "Type": "String", "Value": {"Ref": "Jobs"}},
    },
}
OUTPUTS = {"Url": {"Value": {"Ref": "Jobs"}, "Description": "where jobs go"}}
FAST = {"Delay": 0.02, "MaxAttempts": 250}


def body(resources: dict[str, Any] = RESOURCES) -> str:
    """Return a template."""
    return json.dumps({"Resources": resources, "Outputs": OUTPUTS})


def timeout_of(local: LocalRegion, url: str) -> str:
    """Return what a queue has as its visibility timeout."""
    wanted = ["VisibilityTimeout"]
    answer = local.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=wanted)
    return str(answer["Attributes"]["VisibilityTimeout"])


@contextmanager
def running(state_file: Path) -> Any:
    """Run a region that saves itself."""
    regions = make_region(SimulatedSubstrate(), state_file)
    yield next(regions)
    next(regions, None)


def test_a_stack_comes_up_through_a_change_set_and_is_changed_and_removed(local: LocalRegion) -> None:
    cfn, sqs = local.client("cloudformation"), local.client("sqs")
    named = {"StackName": "jobs", "ChangeSetName": "first"}
    tags = [{"Key": "a", "Value": "b"}]
    cfn.create_change_set(**named, ChangeSetType="CREATE", TemplateBody=body(), Tags=tags)
    cfn.get_waiter("change_set_create_complete").wait(**named, WaiterConfig=FAST)
    changes = cfn.describe_change_set(**named)["Changes"]
    assert [each["ResourceChange"]["Action"] for each in changes] == ["Add", "Add", "Add"]
    cfn.execute_change_set(**named)
    cfn.get_waiter("stack_create_complete").wait(StackName="jobs", WaiterConfig=FAST)
    (stack,) = cfn.describe_stacks(StackName="jobs")["Stacks"]
    (output,) = stack["Outputs"]
    assert (output["OutputKey"], output["Description"]) == ("Url", "where jobs go")
    url = output["OutputValue"]
    assert (
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["VisibilityTimeout"]
        == "60"
    )
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"]["a"] == "b"
    assert local.client("ssm").get_parameter(Name="/jobs/url")["Parameter"]["Value"] == url
    assert cfn.get_template(StackName="jobs")["TemplateBody"] == json.loads(body())

    changed = json.loads(json.dumps(RESOURCES))
    changed["Jobs"]["Properties"]["VisibilityTimeout"] = 90
    cfn.update_stack(StackName="jobs", TemplateBody=body(changed))
    cfn.get_waiter("stack_update_complete").wait(StackName="jobs", WaiterConfig=FAST)
    assert (
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["VisibilityTimeout"]
        == "90"
    )
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "30"})
    detection = cfn.detect_stack_drift(StackName="jobs")["StackDriftDetectionId"]
    seen = local.until(
        lambda: cfn.describe_stack_drift_detection_status(StackDriftDetectionId=detection),
        lambda status: bool(status["DetectionStatus"] == "DETECTION_COMPLETE"),
    )
    assert (seen["StackDriftStatus"], seen["DriftedStackResourceCount"]) == ("DRIFTED", 1)

    cfn.delete_stack(StackName="jobs")
    cfn.get_waiter("stack_delete_complete").wait(StackName=stack["StackId"], WaiterConfig=FAST)
    assert "QueueUrls" not in sqs.list_queues()


def test_what_aws_refuses_in_the_middle_is_rolled_back_and_told(local: LocalRegion) -> None:
    cfn = local.client("cloudformation")
    local.client("ssm").put_parameter(Name="/jobs/url", Value="taken", Type="String")
    cfn.create_stack(StackName="jobs", TemplateBody=body())
    with pytest.raises(WaiterError):
        cfn.get_waiter("stack_create_complete").wait(StackName="jobs", WaiterConfig=FAST)
    local.until(
        lambda: cfn.describe_stacks(StackName="jobs")["Stacks"][0]["StackStatus"],
        lambda status: bool(status == "ROLLBACK_COMPLETE"),
    )
    events = cfn.describe_stack_events(StackName="jobs")["StackEvents"]
    (failed,) = [each for each in events if each["ResourceStatus"] == "CREATE_FAILED"]
    assert failed["LogicalResourceId"] == "Setting"
    assert "already exists" in failed["ResourceStatusReason"]
    assert "QueueUrls" not in local.client("sqs").list_queues()


def test_errors_are_cloudformations(local: LocalRegion) -> None:
    cfn = local.client("cloudformation")
    for call, code, words in (
        (lambda: cfn.describe_stacks(StackName="x"), "ValidationError", "Stack with id x does not exist"),
        (
            lambda: cfn.create_stack(StackName="x", TemplateURL="https://s3/x"),
            "UnsupportedOperation",
            "CreateStack with TemplateURL",
        ),
        (
            lambda: cfn.create_stack(StackName="x", TemplateBody=" " * 51_201),
            "ValidationError",
            "Member must have length less than or equal to 51200",
        ),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == code
        assert words in refused.value.response["Error"]["Message"]


def test_stacks_outlive_the_region(tmp_path: Path) -> None:
    state_file = tmp_path / "region.state"
    with running(state_file) as local:
        cfn = local.client("cloudformation")
        cfn.create_stack(StackName="jobs", TemplateBody=body())
        cfn.get_waiter("stack_create_complete").wait(StackName="jobs", WaiterConfig=FAST)
        before = cfn.describe_stacks(StackName="jobs")["Stacks"]
    with running(state_file) as local:
        cfn = local.client("cloudformation")
        assert cfn.describe_stacks(StackName="jobs")["Stacks"] == before
        with pytest.raises(ClientError, match="No updates are to be performed"):
            cfn.update_stack(StackName="jobs", TemplateBody=body())
        cfn.delete_stack(StackName="jobs")
        cfn.get_waiter("stack_delete_complete").wait(StackName=before[0]["StackId"], WaiterConfig=FAST)
        assert "QueueUrls" not in local.client("sqs").list_queues()
