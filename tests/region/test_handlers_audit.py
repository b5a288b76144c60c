# SPDX-License-Identifier: Apache-2.0
"""The resource types of CloudTrail, Config and GuardDuty go round."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloudformation.handler import Call
from sandbox.cloudformation.registry import handlers

from .round_trip import REMOVED, Trip, handler_calls, made, travel

TAGS = [{"Key": "a", "Value": "b"}, {"Key": "z", "Value": "y"}]
KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
ROLE = "arn:aws:iam::123456789012:role/config"
TRAILS = ("writable", "other-writable")


@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    """Return what handlers work with, in an account whose buckets take trails, and one that doesn't."""
    for call in handler_calls():
        client = call.client("s3")
        client.create_bucket(Bucket="closed")
        for bucket in TRAILS:
            client.create_bucket(Bucket=bucket)
            client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(_lets_trails_write(bucket)))
        yield call


@pytest.fixture(name="recorder")
def fixture_recorder(call: Call) -> Iterator[str]:
    """Return a recorder's name."""
    given = {"Name": "shared", "RoleARN": ROLE}
    with made(call, "AWS::Config::ConfigurationRecorder", given) as recorder:
        yield recorder.physical_id


def _lets_trails_write(bucket: str) -> dict[str, Any]:
    principal = {"Service": "cloudtrail.amazonaws.com"}
    look = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": "s3:GetBucketAcl",
        "Resource": f"arn:aws:s3:::{bucket}",
    }
    write = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {
            "StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"},
            "ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:us-east-1:123456789012:trail/*"},
        },
    }
    return {"Version": "2012-10-17", "Statement": [look, write]}


def test_a_trail_goes_round(call: Call) -> None:
    given = {
        "TrailName": "audit",
        "S3BucketName": TRAILS[0],
        "S3KeyPrefix": "trail",
        "IsLogging": True,
        "EnableLogFileValidation": True,
        "IncludeGlobalServiceEvents": True,
        "IsMultiRegionTrail": True,
        "KMSKeyId": KEY,
        "SnsTopicName": "alerts",
        "CloudWatchLogsLogGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:trail:*",
        "CloudWatchLogsRoleArn": ROLE,
        "EventSelectors": [
            {
                "ReadWriteType": "WriteOnly",
                "IncludeManagementEvents": True,
                "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::content/"]}],
            }
        ],
        "Tags": TAGS,
    }
    advanced = {"Name": "all", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}
    changes = (
        {"S3BucketName": TRAILS[1], "IsLogging": False, "Tags": TAGS[1:]},
        {"EventSelectors": REMOVED, "AdvancedEventSelectors": [advanced]},
        {
            name: REMOVED
            for name in (
                "AdvancedEventSelectors",
                "CloudWatchLogsLogGroupArn",
                "CloudWatchLogsRoleArn",
                "EnableLogFileValidation",
                "IsMultiRegionTrail",
                "KMSKeyId",
                "S3KeyPrefix",
                "SnsTopicName",
                "Tags",
            )
        },
    )
    travel(call, Trip("AWS::CloudTrail::Trail", given, changes))


@pytest.mark.parametrize(
    ("bucket", "code"),
    [("closed", "InsufficientS3BucketPolicyException"), ("none", "S3BucketDoesNotExistException")],
)
def test_a_trail_needs_a_bucket_that_it_may_write_to(call: Call, bucket: str, code: str) -> None:
    with pytest.raises(ClientError, match=code):
        handlers()["AWS::CloudTrail::Trail"].create(call, {"S3BucketName": bucket, "IsLogging": True})


def test_a_detector_goes_round(call: Call) -> None:
    given = {
        "Enable": True,
        "FindingPublishingFrequency": "FIFTEEN_MINUTES",
        "Features": [
            {"Name": "S3_DATA_EVENTS", "Status": "ENABLED"},
            {
                "Name": "RUNTIME_MONITORING",
                "Status": "ENABLED",
                "AdditionalConfiguration": [{"Name": "EC2_AGENT_MANAGEMENT", "Status": "ENABLED"}],
            },
        ],
        "Tags": TAGS,
    }
    changes = ({"Enable": False, "Tags": TAGS[:1]}, {"FindingPublishingFrequency": REMOVED})
    travel(call, Trip("AWS::GuardDuty::Detector", given, changes))


def test_a_feature_that_the_template_drops_is_turned_off(call: Call) -> None:
    before = {"Enable": True, "Features": [{"Name": "S3_DATA_EVENTS", "Status": "ENABLED"}]}
    handler = handlers()["AWS::GuardDuty::Detector"]
    with made(call, "AWS::GuardDuty::Detector", before) as detector:
        handler.update(call, detector.physical_id, before=before, after={"Enable": True})
        seen = handler.read(call, detector.physical_id) or {}
    assert seen["Features"] == [{"Name": "S3_DATA_EVENTS", "Status": "DISABLED"}]


def test_an_account_has_one_detector(call: Call) -> None:
    with (
        made(call, "AWS::GuardDuty::Detector", {"Enable": True}),
        pytest.raises(ClientError, match="a detector already exists"),
    ):
        handlers()["AWS::GuardDuty::Detector"].create(call, {"Enable": True})


def test_a_recorder_goes_round(call: Call) -> None:
    given = {
        "Name": "default",
        "RoleARN": ROLE,
        "RecordingGroup": {"AllSupported": True, "IncludeGlobalResourceTypes": True},
        "RecordingMode": {"RecordingFrequency": "DAILY"},
    }
    some = {"AllSupported": False, "ResourceTypes": ["AWS::S3::Bucket"]}
    travel(call, Trip("AWS::Config::ConfigurationRecorder", given, ({"RecordingGroup": some},)))


def test_a_channel_goes_round_and_starts_the_recorder(call: Call, recorder: str) -> None:
    given = {
        "Name": "default",
        "S3BucketName": TRAILS[0],
        "S3KeyPrefix": "config",
        "SnsTopicARN": "arn:aws:sns:us-east-1:123456789012:alerts",
        "ConfigSnapshotDeliveryProperties": {"DeliveryFrequency": "TwentyFour_Hours"},
    }
    changes = ({"S3KeyPrefix": "other", "SnsTopicARN": REMOVED},)
    travel(call, Trip("AWS::Config::DeliveryChannel", given, changes))
    with made(call, "AWS::Config::DeliveryChannel", given):
        assert _is_recording(call, recorder)
    assert not _is_recording(call, recorder)


def _is_recording(call: Call, name: str) -> bool:
    answer = call.client("config").describe_configuration_recorder_status(ConfigurationRecorderNames=[name])
    return bool(answer["ConfigurationRecordersStatus"][0]["recording"])


@pytest.mark.usefixtures("recorder")
def test_a_rule_goes_round(call: Call) -> None:
    given = {
        "ConfigRuleName": "encrypted",
        "Description": "volumes are encrypted",
        "Source": {"Owner": "AWS", "SourceIdentifier": "ENCRYPTED_VOLUMES"},
        "Scope": {"ComplianceResourceTypes": ["AWS::EC2::Volume"]},
        "InputParameters": {"kmsId": KEY},
        "MaximumExecutionFrequency": "One_Hour",
    }
    changes = ({"InputParameters": REMOVED, "Description": "all volumes"},)
    trip = Trip("AWS::Config::ConfigRule", given, changes)
    travel(call, trip)
    with made(call, trip.type_name, given) as rule:
        assert rule.attributes["Compliance.Type"] == "INSUFFICIENT_DATA"
