# SPDX-License-Identifier: Apache-2.0
"""CDN: CloudFront in front of the web application and of uploads' variants, and their buckets' policies.

`/variants/*` comes from the content bucket, everything else from web. Both are readable by this distribution
and by nobody else (origin access control). The web application routes by itself, so a page that is no file of
web is answered with index.html: S3 says 403 for a missing file to those who may not list. Content may be
listed, so that a variant that is not there yet is an honest 404 and soon asked for again; a listing can't be
asked for, because all paths that reach content begin with `/variants/`.
"""

from __future__ import annotations

from typing import Any

from troposphere import GetAtt, Ref, Sub, Template, cloudfront, s3

from orchestrator.config.models import Environment
from stacks.buckets import bucket, bucket_policy, lifecycle, ownership, policy_by_name
from stacks.inputs import EnvironmentInputs
from stacks.parts import add_outputs, skip_checks
from stacks.policies import asset_bucket, bucket_arn
from stacks.policy import Statement, allow, service
from stacks.stack import EnvironmentStack, Stack, output, stack_name

CONTENT_PATH = "/variants/*"
ROOT = "index.html"
PRICE_CLASS = "PriceClass_100"  # North America and Europe
MISSING_TTL_S = 5
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-response-headers-policies.html
SECURITY_HEADERS = "67f7725c-6f97-4210-82d7-5512b31e9d03"
ORIGINS = ("web", "content")


def synthesise(inputs: EnvironmentInputs) -> Stack:
    """Return the stack of the environment's CDN."""
    environment = inputs.environment
    template = Template(Description=f"The CDN of {environment.name}, and who may read its origins.")
    logs = _add_logs(template, environment)
    access = template.add_resource(_origin_access(environment))
    distribution = template.add_resource(_distribution(environment, access, logs))
    for asset_class in ORIGINS:
        template.add_resource(_policy(environment, asset_class, distribution))
    add_outputs(
        template,
        {"DistributionId": Ref(distribution), "DistributionDomainName": GetAtt(distribution, "DomainName")},
    )
    depends_on = (stack_name(environment.name, EnvironmentStack.STORAGE),)
    return Stack(EnvironmentStack.CDN, environment.name, template, depends_on)


def _add_logs(template: Template, environment: Environment) -> s3.Bucket:
    """Add the bucket for CloudFront's access logs.

    They can't go where the other access logs go: CloudFront grants itself access by an ACL, and writes to
    buckets of S3's own encryption.
    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logging-legacy-s3.html
    """
    expire = s3.LifecycleRule(Id="expire", Status="Enabled", ExpirationInDays=environment.storage.log_days)
    logs = template.add_resource(
        bucket(
            "LogsBucket",
            asset_bucket(environment, "cdn-logs"),
            OwnershipControls=ownership("BucketOwnerPreferred"),
            LifecycleConfiguration=lifecycle(1, expire),
            Metadata=skip_checks(CKV_AWS_18="It holds access logs itself."),
        )
    )
    template.add_resource(bucket_policy(logs))
    return logs


def _origin_access(environment: Environment) -> cloudfront.OriginAccessControl:
    return cloudfront.OriginAccessControl(
        "OriginAccess",
        OriginAccessControlConfig=cloudfront.OriginAccessControlConfig(
            Name=f"slipway-{environment.name}",
            OriginAccessControlOriginType="s3",
            SigningBehavior="always",
            SigningProtocol="sigv4",
        ),
    )


def _distribution(
    environment: Environment, access: cloudfront.OriginAccessControl, logs: s3.Bucket
) -> cloudfront.Distribution:
    config = cloudfront.DistributionConfig(
        Comment=f"slipway {environment.name}",
        Enabled=True,
        HttpVersion="http2and3",
        IPV6Enabled=True,
        PriceClass=PRICE_CLASS,
        DefaultRootObject=ROOT,
        Origins=[_origin(environment, name, access) for name in ORIGINS],
        DefaultCacheBehavior=cloudfront.DefaultCacheBehavior(**_behavior("web")),
        CacheBehaviors=[cloudfront.CacheBehavior(PathPattern=CONTENT_PATH, **_behavior("content"))],
        CustomErrorResponses=[
            cloudfront.CustomErrorResponse(ErrorCode=403, ResponseCode=200, ResponsePagePath=f"/{ROOT}"),
            cloudfront.CustomErrorResponse(ErrorCode=404, ErrorCachingMinTTL=MISSING_TTL_S),
        ],
        Logging=cloudfront.Logging(Bucket=GetAtt(logs, "RegionalDomainName"), Prefix="cdn/"),
        ViewerCertificate=_certificate(environment),
        **({"Aliases": [environment.cdn.host]} if environment.cdn else {}),
    )
    reasons = {
        "CKV_AWS_68": "Serves files of two buckets; the firewall is in front of what computes, the balancer.",
    }
    if not environment.cdn:
        reasons["CKV_AWS_174"] = (
            "CloudFront's own certificate fixes the protocol; `cdn` of the file changes it."
        )
    return cloudfront.Distribution("Distribution", DistributionConfig=config, Metadata=skip_checks(**reasons))


def _origin(
    environment: Environment, asset_class: str, access: cloudfront.OriginAccessControl
) -> cloudfront.Origin:
    name = output(environment.name, EnvironmentStack.STORAGE, f"{asset_class.capitalize()}BucketName")
    return cloudfront.Origin(
        Id=asset_class,
        DomainName=Sub(f"${{Bucket}}.s3.{environment.region}.amazonaws.com", Bucket=name),
        OriginAccessControlId=GetAtt(access, "Id"),
        # With origin access control there must be none of the older kind, and this is how one says so.
        S3OriginConfig=cloudfront.S3OriginConfig(OriginAccessIdentity=""),
    )


def _behavior(origin: str) -> dict[str, Any]:
    return {
        "TargetOriginId": origin,
        "ViewerProtocolPolicy": "redirect-to-https",
        "AllowedMethods": ["GET", "HEAD", "OPTIONS"],
        "CachedMethods": ["GET", "HEAD"],
        "Compress": True,
        "CachePolicyId": CACHING_OPTIMIZED,
        "ResponseHeadersPolicyId": SECURITY_HEADERS,
    }


def _certificate(environment: Environment) -> cloudfront.ViewerCertificate:
    if not environment.cdn:
        return cloudfront.ViewerCertificate(CloudFrontDefaultCertificate=True)
    return cloudfront.ViewerCertificate(
        AcmCertificateArn=environment.cdn.certificate_arn,
        MinimumProtocolVersion="TLSv1.2_2021",
        SslSupportMethod="sni-only",
    )


def _policy(
    environment: Environment, asset_class: str, distribution: cloudfront.Distribution
) -> s3.BucketPolicy:
    """Let the distribution read a bucket.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html
    """
    title = asset_class.capitalize()
    name = asset_bucket(environment, asset_class)
    own = Sub(f"arn:aws:cloudfront::{environment.account_id}:distribution/${{{distribution.title}}}")
    reading: list[tuple[str, str]] = [("s3:GetObject", bucket_arn(name, "*"))]
    if asset_class == "content":
        reading.append(("s3:ListBucket", bucket_arn(name)))
    statements: list[Statement] = [
        allow(
            [action],
            [resource],
            principal=service("cloudfront"),
            condition={"StringEquals": {"aws:SourceArn": own}},
        )
        for action, resource in reading
    ]
    return policy_by_name(
        f"{title}Policy",
        name,
        *statements,
        bucket=output(environment.name, EnvironmentStack.STORAGE, f"{title}BucketName"),
    )
