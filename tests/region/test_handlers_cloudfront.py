# SPDX-License-Identifier: Apache-2.0
"""CloudFront's resource types go round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloudformation.handler import Call

from .round_trip import REMOVED, Trip, handler_calls, made, travel

MANAGED_CACHE = "658327ea-f89d-4fab-a63d-7e88639e58f6"


@pytest.fixture(name="call", scope="module")
def fixture_call() -> Iterator[Call]:
    """Return what handlers work with."""
    yield from handler_calls()


CONTROL = {
    "Name": "web",
    "Description": "signs requests",
    "OriginAccessControlOriginType": "s3",
    "SigningBehavior": "always",
    "SigningProtocol": "sigv4",
}
CACHE_POLICY = {
    "Name": "content",
    "Comment": "a day",
    "DefaultTTL": 86400,
    "MaxTTL": 31536000,
    "MinTTL": 1,
    "ParametersInCacheKeyAndForwardedToOrigin": {
        "EnableAcceptEncodingBrotli": True,
        "EnableAcceptEncodingGzip": True,
        "CookiesConfig": {"CookieBehavior": "whitelist", "Cookies": ["a", "b"]},
        "HeadersConfig": {"HeaderBehavior": "whitelist", "Headers": ["Accept"]},
        "QueryStringsConfig": {"QueryStringBehavior": "none"},
    },
}
HEADERS_POLICY = {
    "Name": "strict",
    "Comment": "no frames",
    "CorsConfig": {
        "AccessControlAllowCredentials": False,
        "AccessControlAllowHeaders": {"Items": ["*"]},
        "AccessControlAllowMethods": {"Items": ["GET", "HEAD"]},
        "AccessControlAllowOrigins": {"Items": ["https://example.com"]},
        "AccessControlMaxAgeSec": 600,
        "OriginOverride": True,
    },
    "SecurityHeadersConfig": {
        "ContentSecurityPolicy": {"ContentSecurityPolicy": "default-src 'self'", "Override": True},
        "ContentTypeOptions": {"Override": True},
        "FrameOptions": {"FrameOption": "DENY", "Override": True},
        "ReferrerPolicy": {"ReferrerPolicy": "same-origin", "Override": True},
        "StrictTransportSecurity": {
            "AccessControlMaxAgeSec": 63072000,
            "IncludeSubdomains": True,
            "Override": True,
            "Preload": True,
        },
        "XSSProtection": {"ModeBlock": True, "Override": True, "Protection": True},
    },
    "CustomHeadersConfig": {"Items": [{"Header": "X-A", "Value": "1", "Override": False}]},
    "RemoveHeadersConfig": {"Items": [{"Header": "Server"}]},
}


@pytest.mark.parametrize(
    "trip",
    [
        Trip(
            "AWS::CloudFront::OriginAccessControl",
            {"OriginAccessControlConfig": CONTROL},
            ({"OriginAccessControlConfig": CONTROL | {"SigningBehavior": "no-override"}},),
        ),
        Trip(
            "AWS::CloudFront::CachePolicy",
            {"CachePolicyConfig": CACHE_POLICY},
            ({"CachePolicyConfig": CACHE_POLICY | {"DefaultTTL": 3600}},),
        ),
        Trip(
            "AWS::CloudFront::ResponseHeadersPolicy",
            {"ResponseHeadersPolicyConfig": HEADERS_POLICY},
            ({"ResponseHeadersPolicyConfig": {"Name": "strict"}},),
        ),
        Trip(
            "AWS::CloudFront::Function",
            {
                "Name": "index",
                "AutoPublish": True,
                "FunctionCode": "function handler(event) { return event.request; }",
                "FunctionConfig": {"Comment": "adds index.html", "Runtime": "cloudfront-js-2.0"},
                "Tags": [{"Key": "a", "Value": "b"}],
            },
            ({"FunctionCode": "function handler(e) { return e.request; }"}, {"Tags": REMOVED}),
        ),
    ],
    ids=lambda trip: trip.type_name,
)
def test_what_distributions_refer_to_goes_round(call: Call, trip: Trip) -> None:
    travel(call, trip)


def _distribution(control: str, **changes: Any) -> dict[str, Any]:
    return {
        "Comment": "content and web",
        "Enabled": True,
        "DefaultRootObject": "index.html",
        "HttpVersion": "http2and3",
        "IPV6Enabled": True,
        "PriceClass": "PriceClass_100",
        "WebACLId": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/x/1",
        "Aliases": ["www.example.com"],
        "ViewerCertificate": {
            "AcmCertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1",
            "MinimumProtocolVersion": "TLSv1.2_2021",
            "SslSupportMethod": "sni-only",
        },
        "Logging": {"Bucket": "logs.s3.amazonaws.com", "Prefix": "cdn/"},
        "Restrictions": {"GeoRestriction": {"RestrictionType": "whitelist", "Locations": ["DE", "US"]}},
        "Origins": [
            {
                "Id": "web",
                "DomainName": "web.s3.us-east-1.amazonaws.com",
                "OriginAccessControlId": control,
                "OriginPath": "/site",
                "S3OriginConfig": {"OriginAccessIdentity": ""},
            },
            {
                "Id": "api",
                "DomainName": "api.example.com",
                "CustomOriginConfig": {
                    "OriginProtocolPolicy": "https-only",
                    "OriginSSLProtocols": ["TLSv1.2"],
                    "HTTPSPort": 443,
                },
                "OriginCustomHeaders": [{"HeaderName": "X-Origin", "HeaderValue": "cdn"}],
            },
        ],
        "DefaultCacheBehavior": {
            "TargetOriginId": "web",
            "ViewerProtocolPolicy": "redirect-to-https",
            "AllowedMethods": ["GET", "HEAD", "OPTIONS"],
            "CachedMethods": ["GET", "HEAD"],
            "Compress": True,
            "CachePolicyId": MANAGED_CACHE,
        },
        "CacheBehaviors": [
            {
                "PathPattern": "/api/*",
                "TargetOriginId": "api",
                "ViewerProtocolPolicy": "https-only",
                "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
                "ResponseHeadersPolicyId": "67f7725c-6f97-4210-82d7-5512b31e9d03",
            }
        ],
        "CustomErrorResponses": [
            {
                "ErrorCode": 403,
                "ResponseCode": 404,
                "ResponsePagePath": "/404.html",
                "ErrorCachingMinTTL": 60,
            }
        ],
    } | changes


def test_a_distribution_goes_round(call: Call) -> None:
    configuration = {"OriginAccessControlConfig": CONTROL}
    with made(call, "AWS::CloudFront::OriginAccessControl", configuration) as control:
        given = _distribution(control.physical_id)
        plain = {name: value for name, value in given.items() if name not in ("Logging", "CacheBehaviors")}
        changes = (
            {"DistributionConfig": given | {"PriceClass": "PriceClass_All", "Enabled": False}},
            {"DistributionConfig": plain},
            {"Tags": [{"Key": "a", "Value": "c"}]},
        )
        tags = [{"Key": "a", "Value": "b"}, {"Key": "z", "Value": "y"}]
        travel(
            call,
            Trip("AWS::CloudFront::Distribution", {"DistributionConfig": given, "Tags": tags}, changes),
        )


def test_a_control_in_use_stays(call: Call) -> None:
    client = call.client("cloudfront")
    configuration = {"OriginAccessControlConfig": CONTROL}
    with (
        made(call, "AWS::CloudFront::OriginAccessControl", configuration) as control,
        made(
            call,
            "AWS::CloudFront::Distribution",
            {"DistributionConfig": _distribution(control.physical_id)},
        ) as distribution,
    ):
        assert distribution.attributes["DomainName"].endswith(".cloudfront.net")
        etag = client.get_origin_access_control(Id=control.physical_id)["ETag"]
        with pytest.raises(ClientError, match="OriginAccessControlInUse"):
            client.delete_origin_access_control(Id=control.physical_id, IfMatch=etag)
        with pytest.raises(ClientError, match="DistributionNotDisabled"):
            version = client.get_distribution(Id=distribution.physical_id)["ETag"]
            client.delete_distribution(Id=distribution.physical_id, IfMatch=version)
        with pytest.raises(ClientError, match="PreconditionFailed"):
            client.delete_distribution(Id=distribution.physical_id, IfMatch="EOLD")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        (
            {"DefaultCacheBehavior": {"TargetOriginId": "none", "ViewerProtocolPolicy": "https-only"}},
            "NoSuchOrigin",
        ),
        (
            {
                "DefaultCacheBehavior": {
                    "TargetOriginId": "api",
                    "ViewerProtocolPolicy": "https-only",
                    "CachePolicyId": "unknown",
                }
            },
            "NoSuchCachePolicy",
        ),
        ({"ViewerCertificate": {"CloudFrontDefaultCertificate": True}}, "InvalidViewerCertificate"),
        ({}, "InvalidOriginAccessControl"),
    ],
    ids=["origin", "policy", "certificate", "control"],
)
def test_a_distribution_that_names_what_is_not_there_is_refused(
    call: Call, changes: dict[str, Any], code: str
) -> None:
    given = {"DistributionConfig": _distribution("EUNKNOWN", **changes)}
    with pytest.raises(ClientError, match=code), made(call, "AWS::CloudFront::Distribution", given):
        pass
