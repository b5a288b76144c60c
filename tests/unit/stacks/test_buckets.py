# SPDX-License-Identifier: Apache-2.0
"""The buckets of an environment, who else may use them, and the CDN in front of two of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.config.models import Cdn, Storage
from stacks import cdn, state, storage
from tests.unit.stacks.environment_templates import ENVIRONMENTS, inputs, properties, resolved
from tests.unit.stacks.policy_evaluation import listed

CERTIFICATE = "arn:aws:acm:us-east-1:444455556666:certificate/1"


def rules(kind: str, title: str) -> dict[str, dict[str, Any]]:
    """Return the lifecycle rules of a bucket of dev, by their ids."""
    found = properties("dev", kind, title)["LifecycleConfiguration"]["Rules"]
    return {
        rule["Id"]: {key: value for key, value in rule.items() if key not in ("Id", "Status")}
        for rule in found
    }


def tidy(noncurrent_days: int) -> dict[str, Any]:
    """Return the rule that all buckets have."""
    return {
        "NoncurrentVersionExpiration": {"NoncurrentDays": noncurrent_days},
        "ExpiredObjectDeleteMarker": True,
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_buckets_have_names_that_policies_can_know_beforehand(environment: str) -> None:
    of = inputs(environment).environment
    names = {
        title: properties(environment, kind, title)["BucketName"]
        for kind, title in (
            ("state", "ConfigBucket"),
            ("state", "BundlesBucket"),
            ("state", "LogsBucket"),
            ("storage", "UploadsBucket"),
            ("storage", "OriginalsBucket"),
            ("storage", "ContentBucket"),
            ("storage", "WebBucket"),
        )
    }
    assert names == {
        "ConfigBucket": of.config_bucket,
        **{
            f"{asset.capitalize()}Bucket": f"slipway-{environment}-{asset}-{of.account_id}"
            for asset in ("bundles", "logs", "uploads", "originals", "content", "web")
        },
    }


def test_old_locks_go_after_a_day_and_everything_else_old_later() -> None:
    assert rules("state", "ConfigBucket") == {
        "tidy": tidy(90),
        "locks": {"Prefix": "locks/", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
    }
    assert rules("state", "BundlesBucket") == {"tidy": tidy(90)}


def test_logs_go_when_the_environment_says() -> None:
    for kind in ("state", "cdn"):
        assert rules(kind, "LogsBucket") == {"tidy": tidy(1), "expire": {"ExpirationInDays": 365}}


def test_originals_get_colder_by_and_by() -> None:
    steps = [
        {"TransitionInDays": 30, "StorageClass": "STANDARD_IA"},
        {"TransitionInDays": 90, "StorageClass": "GLACIER_IR"},
    ]
    assert rules("storage", "OriginalsBucket") == {"tidy": tidy(90), "colder": {"Transitions": steps}}


def test_days_are_the_environments() -> None:
    given = inputs("dev")
    days = given.environment.model_copy(update={"storage": Storage(noncurrent_days=5, log_days=9)})
    body = json.loads(state.synthesise(replace(given, environment=days)).body())["Resources"]
    found = [
        rule
        for title in ("ConfigBucket", "LogsBucket")
        for rule in body[title]["Properties"]["LifecycleConfiguration"]["Rules"]
    ]
    assert [rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in found[:2]] == [5, 1]
    assert found[-1]["ExpirationInDays"] == 9


def test_s3_may_write_access_logs_for_this_account() -> None:
    _, delivery = properties("dev", "state", "LogsBucketPolicy")["PolicyDocument"]["Statement"]
    assert delivery == {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::slipway-dev-logs-444455556666/*",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": "444455556666"},
            "ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"},
        },
    }


def test_logs_are_told_apart_by_their_prefix() -> None:
    logging = properties("dev", "storage", "ContentBucket")["LoggingConfiguration"]
    assert resolved(logging) == {
        "DestinationBucketName": "<slipway-dev-state.LogsBucketName>",
        "LogFilePrefix": "s3/content/",
    }


def test_uploads_call_the_function() -> None:
    assert resolved(properties("dev", "storage", "UploadsBucket")["NotificationConfiguration"]) == {
        "LambdaConfigurations": [
            {"Event": "s3:ObjectCreated:*", "Function": "<slipway-dev-functions.ImageVariantsArn>"}
        ]
    }


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        (None, "https://*.cloudfront.net"),
        (Cdn(host="www.example.com", certificate_arn=CERTIFICATE), "https://www.example.com"),
    ],
    ids=["cloudfront's name", "its own name"],
)
def test_browsers_upload_from_the_web_application_only(name: Cdn | None, origin: str) -> None:
    given = inputs("dev")
    named = replace(given, environment=given.environment.model_copy(update={"cdn": name}))
    body = json.loads(storage.synthesise(named).body())["Resources"]
    assert body["UploadsBucket"]["Properties"]["CorsConfiguration"] == {
        "CorsRules": [
            {
                "AllowedMethods": ["POST", "PUT"],
                "AllowedOrigins": [origin],
                "AllowedHeaders": ["*"],
                "ExposedHeaders": ["ETag"],
                "MaxAge": 3600,
            }
        ]
    }
    others = [body[title]["Properties"] for title in ("OriginalsBucket", "ContentBucket", "WebBucket")]
    assert not [each for each in others if "CorsConfiguration" in each]


@pytest.mark.parametrize(
    ("asset", "actions"), [("Web", ["s3:GetObject"]), ("Content", ["s3:GetObject", "s3:ListBucket"])]
)
def test_the_distribution_alone_reads_its_origins(asset: str, actions: list[str]) -> None:
    policy = resolved(properties("dev", "cdn", f"{asset}Policy"))
    _, *reading = policy["PolicyDocument"]["Statement"]
    assert [listed(statement["Action"]) for statement in reading] == [[action] for action in actions]
    for statement in reading:
        assert statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
        assert statement["Condition"] == {
            "StringEquals": {"aws:SourceArn": "arn:aws:cloudfront::444455556666:distribution/<Distribution>"}
        }
    assert policy["Bucket"] == f"<slipway-dev-storage.{asset}BucketName>"


def test_variants_come_from_content_and_all_else_from_web() -> None:
    config = resolved(properties("dev", "cdn", "Distribution")["DistributionConfig"])
    (content,) = config["CacheBehaviors"]
    assert (content["PathPattern"], content["TargetOriginId"]) == ("/variants/*", "content")
    assert config["DefaultCacheBehavior"]["TargetOriginId"] == "web"
    for behavior in (content, config["DefaultCacheBehavior"]):
        assert behavior["ViewerProtocolPolicy"] == "redirect-to-https"
        assert behavior["ResponseHeadersPolicyId"] == cdn.SECURITY_HEADERS
    assert {origin["Id"]: origin["DomainName"] for origin in config["Origins"]} == {
        name: f"<slipway-dev-storage.{name.capitalize()}BucketName>.s3.us-east-1.amazonaws.com"
        for name in ("web", "content")
    }
    assert {origin["OriginAccessControlId"] for origin in config["Origins"]} == {"<OriginAccess.Id>"}


def test_pages_that_are_no_files_are_the_web_applications_and_missing_variants_are_missing() -> None:
    config = properties("dev", "cdn", "Distribution")["DistributionConfig"]
    assert config["DefaultRootObject"] == "index.html"
    assert config["CustomErrorResponses"] == [
        {"ErrorCode": 403, "ResponseCode": 200, "ResponsePagePath": "/index.html"},
        {"ErrorCode": 404, "ErrorCachingMinTTL": 5},
    ]


def test_a_certificate_of_ones_own_brings_todays_tls() -> None:
    given = inputs("dev")
    name = Cdn(host="www.example.com", certificate_arn=CERTIFICATE)
    named = replace(given, environment=given.environment.model_copy(update={"cdn": name}))
    distribution = json.loads(cdn.synthesise(named).body())["Resources"]["Distribution"]
    config = distribution["Properties"]["DistributionConfig"]
    assert config["Aliases"] == ["www.example.com"]
    assert config["ViewerCertificate"] == {
        "AcmCertificateArn": CERTIFICATE,
        "MinimumProtocolVersion": "TLSv1.2_2021",
        "SslSupportMethod": "sni-only",
    }
    assert "CKV_AWS_174" not in json.dumps(distribution["Metadata"])
    without = properties("dev", "cdn", "Distribution")["DistributionConfig"]
    assert without["ViewerCertificate"] == {"CloudFrontDefaultCertificate": True}
    assert "Aliases" not in without
