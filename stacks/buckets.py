# SPDX-License-Identifier: Apache-2.0
"""Buckets: private, versioned, tidied up, and kept when their stack goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from troposphere import Ref, s3

from stacks.policies import bucket_arn
from stacks.policy import Statement, document, only_over_tls

UPLOAD_DAYS = 7


@dataclass(frozen=True, slots=True)
class AccessLog:
    """Where a bucket's server access log goes."""

    bucket: Any
    prefix: str


def bucket(
    title: str, name: str, *, key_arn: Any = None, log: AccessLog | None = None, **more: Any
) -> s3.Bucket:
    """Return a bucket that nobody outside of the account can reach and that loses nothing by mistake.

    Args:
        title: The logical id.
        key_arn: The KMS key; without one, S3 encrypts with its own.
        more: What else the bucket has, in CloudFormation's words.
    """
    if log:
        more["LoggingConfiguration"] = s3.LoggingConfiguration(
            DestinationBucketName=log.bucket, LogFilePrefix=log.prefix
        )
    return s3.Bucket(
        title,
        **{"OwnershipControls": ownership("BucketOwnerEnforced"), **more},
        BucketName=name,
        BucketEncryption=_encryption(key_arn),
        PublicAccessBlockConfiguration=s3.PublicAccessBlockConfiguration(
            BlockPublicAcls=True, BlockPublicPolicy=True, IgnorePublicAcls=True, RestrictPublicBuckets=True
        ),
        VersioningConfiguration=s3.VersioningConfiguration(Status="Enabled"),
        # But a first creation that fails leaves none behind, whose name the next would meet.
        DeletionPolicy="RetainExceptOnCreate",
        UpdateReplacePolicy="Retain",
    )


def bucket_policy(of: s3.Bucket, *statements: Statement) -> s3.BucketPolicy:
    """Return the policy of a bucket: TLS only, and these statements."""
    return policy_by_name(f"{of.title}Policy", of.BucketName, *statements, bucket=Ref(of))


def policy_by_name(title: str, name: str, *statements: Statement, bucket: Any) -> s3.BucketPolicy:
    """Return the policy of a bucket that may be another stack's: TLS only, and these statements."""
    everything = [bucket_arn(name), bucket_arn(name, "*")]
    return s3.BucketPolicy(
        title, Bucket=bucket, PolicyDocument=document(only_over_tls(["s3:*"], everything), *statements)
    )


def ownership(rule: str) -> s3.OwnershipControls:
    """Return who owns what is written: BucketOwnerEnforced does away with ACLs."""
    return s3.OwnershipControls(Rules=[s3.OwnershipControlsRule(ObjectOwnership=rule)])


def lifecycle(noncurrent_days: int, *more: s3.LifecycleRule) -> s3.LifecycleConfiguration:
    """Return rules that remove old versions, the markers of deleted objects and uploads that never ended."""
    tidy = s3.LifecycleRule(
        Id="tidy",
        Status="Enabled",
        NoncurrentVersionExpiration=s3.NoncurrentVersionExpiration(NoncurrentDays=noncurrent_days),
        ExpiredObjectDeleteMarker=True,
        AbortIncompleteMultipartUpload=s3.AbortIncompleteMultipartUpload(DaysAfterInitiation=UPLOAD_DAYS),
    )
    return s3.LifecycleConfiguration(Rules=[tidy, *more])


def transitions(rule_id: str, steps: Sequence[tuple[int, str]]) -> s3.LifecycleRule:
    """Return a rule that moves objects to other storage classes after so many days."""
    return s3.LifecycleRule(
        Id=rule_id,
        Status="Enabled",
        Transitions=[
            s3.LifecycleRuleTransition(TransitionInDays=days, StorageClass=name) for days, name in steps
        ],
    )


def _encryption(key_arn: Any) -> s3.BucketEncryption:
    default = (
        s3.ServerSideEncryptionByDefault(SSEAlgorithm="aws:kms", KMSMasterKeyID=key_arn)
        if key_arn
        else s3.ServerSideEncryptionByDefault(SSEAlgorithm="AES256")
    )
    # One data key for many objects: the price of KMS's calls falls by nearly all of it.
    rule = s3.ServerSideEncryptionRule(ServerSideEncryptionByDefault=default, BucketKeyEnabled=bool(key_arn))
    return s3.BucketEncryption(ServerSideEncryptionConfiguration=[rule])
