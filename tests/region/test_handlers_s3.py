# SPDX-License-Identifier: Apache-2.0
"""The resource types of S3 go round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloudformation.handler import Call, HandlerError
from sandbox.cloudformation.registry import handlers

from .round_trip import REMOVED, Trip, handler_calls, made, travel

TAGS = [{"Key": "a", "Value": "b"}, {"Key": "z", "Value": "y"}]
ENCRYPTED = {
    "ServerSideEncryptionConfiguration": [
        {
            "ServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms",
                "KMSMasterKeyID": "arn:aws:kms:us-east-1:123456789012:key/1",
            },
            "BucketKeyEnabled": True,
        }
    ]
}
CLOSED = {
    "BlockPublicAcls": True,
    "BlockPublicPolicy": True,
    "IgnorePublicAcls": True,
    "RestrictPublicBuckets": True,
}
LIFECYCLE = {
    "TransitionDefaultMinimumObjectSize": "varies_by_storage_class",
    "Rules": [
        {
            "Id": "old",
            "Status": "Enabled",
            "Prefix": "logs/",
            "TagFilters": [{"Key": "keep", "Value": "no"}],
            "ObjectSizeGreaterThan": "128",
            "ExpirationInDays": 365,
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30, "NewerNoncurrentVersions": 3},
            "NoncurrentVersionTransitions": [
                {"StorageClass": "GLACIER", "TransitionInDays": 10, "NewerNoncurrentVersions": 1}
            ],
            "Transitions": [
                {"StorageClass": "STANDARD_IA", "TransitionInDays": 30},
                {"StorageClass": "GLACIER_IR", "TransitionInDays": 90},
            ],
        },
        {
            "Id": "tidy",
            "Status": "Enabled",
            "ExpiredObjectDeleteMarker": True,
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
        {"Id": "prefix", "Status": "Disabled", "Prefix": "a/", "ExpirationDate": "2030-01-01T00:00:00Z"},
    ],
}
CORS = {
    "CorsRules": [
        {
            "Id": "browsers",
            "AllowedHeaders": ["*"],
            "AllowedMethods": ["PUT", "POST"],
            "AllowedOrigins": ["https://example.com"],
            "ExposedHeaders": ["ETag"],
            "MaxAge": 3600,
        }
    ]
}


@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    """Return what handlers work with."""
    yield from handler_calls()


@pytest.fixture(name="bucket", scope="module")
def fixture_bucket(call: Call) -> Iterator[str]:
    """Return the name of a bucket."""
    with made(call, "AWS::S3::Bucket", {}) as bucket:
        yield bucket.physical_id


def _allows(call: Call, queue: Any, bucket: str) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue.attributes["Arn"],
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"},
            "StringEquals": {"aws:SourceAccount": call.account_id},
        },
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {"Queues": [queue.physical_id], "PolicyDocument": document}


def test_a_bucket_goes_round(call: Call, bucket: str) -> None:
    given = {
        "BucketName": "uploads-of-a-test",
        "BucketEncryption": ENCRYPTED,
        "CorsConfiguration": CORS,
        "LifecycleConfiguration": LIFECYCLE,
        "LoggingConfiguration": {
            "DestinationBucketName": bucket,
            "LogFilePrefix": "uploads/",
            "TargetObjectKeyFormat": {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}},
        },
        "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": CLOSED,
        "Tags": TAGS,
        "VersioningConfiguration": {"Status": "Enabled"},
    }
    changes = (
        {
            "CorsConfiguration": {"CorsRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]},
            "LifecycleConfiguration": {"Rules": LIFECYCLE["Rules"][1:]},
            "PublicAccessBlockConfiguration": CLOSED | {"BlockPublicPolicy": False},
            "Tags": TAGS[:1],
        },
        {name: REMOVED for name in given if name != "BucketName"},
    )
    travel(call, Trip("AWS::S3::Bucket", given, changes))


def test_a_bucket_with_locked_objects_goes_round(call: Call) -> None:
    given = {
        "ObjectLockEnabled": True,
        "ObjectLockConfiguration": {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    }
    changes = (
        {
            "ObjectLockConfiguration": {
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 1}},
            }
        },
    )
    travel(call, Trip("AWS::S3::Bucket", given, changes))


def test_notifications_to_a_queue_go_round(call: Call) -> None:
    told = {"Event": "s3:ObjectCreated:*", "Queue": None}
    with (
        made(call, "AWS::SQS::Queue", {}) as queue,
        made(call, "AWS::SQS::QueuePolicy", _allows(call, queue, "told")),
    ):
        told["Queue"] = queue.attributes["Arn"]
        rules = {"S3Key": {"Rules": [{"Name": "prefix", "Value": "photos/"}]}}
        given = {
            "BucketName": "told",
            "NotificationConfiguration": {"QueueConfigurations": [told | {"Filter": rules}]},
        }
        changes = (
            {"NotificationConfiguration": {"QueueConfigurations": [told | {"Event": "s3:ObjectRemoved:*"}]}},
        )
        travel(call, Trip("AWS::S3::Bucket", given, changes))


def test_who_is_told_must_exist_and_let_s3_tell_it(call: Call) -> None:
    with made(call, "AWS::SQS::Queue", {}) as queue:
        for arn in (queue.attributes["Arn"], "arn:aws:sqs:us-east-1:123456789012:none"):
            told = {"QueueConfigurations": [{"Event": "s3:ObjectCreated:*", "Queue": arn}]}
            given = {"BucketName": "untold", "NotificationConfiguration": told}
            with pytest.raises(ClientError, match="Unable to validate the following destination"):
                handlers()["AWS::S3::Bucket"].create(call, given)
            assert handlers()["AWS::S3::Bucket"].read(call, "untold") is None


def test_a_bucket_that_is_not_empty_stays(call: Call, bucket: str) -> None:
    client = call.client("s3")
    client.put_object(Bucket=bucket, Key="a", Body=b"b")
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        handlers()["AWS::S3::Bucket"].delete(call, bucket, {})
    client.delete_object(Bucket=bucket, Key="a")


def test_a_bucket_that_exists_is_not_taken_over(call: Call, bucket: str) -> None:
    with pytest.raises(HandlerError, match="already exists"):
        handlers()["AWS::S3::Bucket"].create(call, {"BucketName": bucket})


def test_a_bucket_has_the_addresses_that_aws_gives(call: Call) -> None:
    with made(call, "AWS::S3::Bucket", {"BucketName": "named"}) as bucket:
        assert bucket.attributes == {
            "Arn": "arn:aws:s3:::named",
            "DomainName": "named.s3.amazonaws.com",
            "DualStackDomainName": "named.s3.dualstack.us-east-1.amazonaws.com",
            "RegionalDomainName": "named.s3.us-east-1.amazonaws.com",
            "WebsiteURL": "http://named.s3-website-us-east-1.amazonaws.com",
        }


def test_a_bucket_policy_goes_round(call: Call, bucket: str) -> None:
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    changes = ({"PolicyDocument": document | {"Statement": [statement | {"Sid": "Other"}]}},)
    given = {"Bucket": bucket, "PolicyDocument": document}
    travel(call, Trip("AWS::S3::BucketPolicy", given, changes))


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"Filter": {"Prefix": ""}}, "InvalidRequest"),
        ({"Filter": {"Prefix": ""}, "Prefix": "", "Expiration": {"Days": 1}}, "MalformedXML"),
        (
            {"Filter": {"Prefix": ""}, "Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}},
            "MalformedXML",
        ),
    ],
    ids=["no action", "two filters", "two expirations"],
)
def test_a_lifecycle_rule_that_s3_would_refuse_is_refused(
    call: Call, bucket: str, rule: dict[str, Any], code: str
) -> None:
    with pytest.raises(ClientError, match=code):
        call.client("s3").put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration={"Rules": [rule | {"Status": "Enabled"}]}
        )


def test_logs_go_to_a_bucket_that_exists(call: Call, bucket: str) -> None:
    status = {"LoggingEnabled": {"TargetBucket": "not-there", "TargetPrefix": ""}}
    with pytest.raises(ClientError, match="InvalidTargetBucketForLogging"):
        call.client("s3").put_bucket_logging(Bucket=bucket, BucketLoggingStatus=status)
