# SPDX-License-Identifier: Apache-2.0
"""S3 buckets and their policies."""

from __future__ import annotations

import json
from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.bucket_aspects import ASPECTS
from sandbox.cloudformation.resources.bucket_rules import RULE_PROPERTIES
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by, unless_absent

_ENCRYPTION = "BucketEncryption.ServerSideEncryptionConfiguration"
_IN_PART = {
    "BucketEncryption": (f"{_ENCRYPTION}.BucketKeyEnabled", f"{_ENCRYPTION}.ServerSideEncryptionByDefault"),
    "LifecycleConfiguration": (
        "LifecycleConfiguration.TransitionDefaultMinimumObjectSize",
        *(f"LifecycleConfiguration.Rules.{name}" for name in RULE_PROPERTIES),
    ),
    "ObjectLockConfiguration": (
        "ObjectLockConfiguration.ObjectLockEnabled",
        *(f"ObjectLockConfiguration.Rule.DefaultRetention.{name}" for name in ("Days", "Mode", "Years")),
    ),
}


class Buckets:
    """AWS::S3::Bucket."""

    type_name = "AWS::S3::Bucket"
    properties = frozenset(
        {
            "BucketName",
            "ObjectLockEnabled",
            "Tags",
            *(path for aspect in ASPECTS for path in _IN_PART.get(aspect.name, (aspect.name,))),
        }
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the bucket and put everything on it."""
        client = call.client("s3")
        name = properties.get("BucketName") or call.name.lower()
        if _exists(client, name):
            raise HandlerError(f"{name} already exists")
        location = {} if call.region == "us-east-1" else {"LocationConstraint": call.region}
        client.create_bucket(
            Bucket=name,
            ObjectLockEnabledForBucket=bool(properties.get("ObjectLockEnabled")),
            **({"CreateBucketConfiguration": location} if location else {}),
        )
        with undone_by(lambda: client.delete_bucket(Bucket=name)):
            for aspect in ASPECTS:
                if aspect.name in properties:
                    aspect.put(client, name, properties[aspect.name])
            _put_tags(client, name, tagging.wanted(call, properties))
        return _physical(call, name)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return everything that is on the bucket."""
        client = call.client("s3")
        if not _exists(client, physical_id):
            return None
        aspects = {aspect.name: aspect.read(client, physical_id) for aspect in ASPECTS}
        shown = {name: value for name, value in aspects.items() if value is not None}
        return {
            "BucketName": physical_id,
            **({"ObjectLockEnabled": True} if "ObjectLockConfiguration" in shown else {}),
            **shown,
            **tagging.shown(_tags(client, physical_id)),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Put what changed, and take away what the template has no more."""
        client = call.client("s3")
        for aspect in ASPECTS:
            if aspect.name in after:
                if after[aspect.name] != before.get(aspect.name):
                    aspect.put(client, physical_id, after[aspect.name])
            elif aspect.name in before:
                aspect.remove(client, physical_id)
        _put_tags(client, physical_id, _tags_after(call, physical_id, before=before, after=after))
        return _physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the bucket; S3 refuses while anything is in it."""
        del properties
        with absent_is_fine("NoSuchBucket"):
            call.client("s3").delete_bucket(Bucket=physical_id)


class BucketPolicies:
    """AWS::S3::BucketPolicy. A bucket has one; its physical id is the bucket's name."""

    type_name = "AWS::S3::BucketPolicy"
    properties = frozenset({"Bucket", "PolicyDocument"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Put the policy on the bucket, which must have none."""
        bucket = properties["Bucket"]
        if self.read(call, bucket) is not None:
            raise HandlerError(f"The bucket policy already exists on bucket {bucket}.")
        return self.update(call, bucket, before={}, after=properties)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the bucket's policy."""
        answer = unless_absent(
            lambda: call.client("s3").get_bucket_policy(Bucket=physical_id),
            "NoSuchBucketPolicy",
            "NoSuchBucket",
        )
        if answer is None:
            return None
        return {"Bucket": physical_id, "PolicyDocument": json.loads(answer["Policy"])}

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Replace the policy."""
        del before
        policy = json.dumps(after["PolicyDocument"])
        call.client("s3").put_bucket_policy(Bucket=physical_id, Policy=policy)
        return Physical(physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Take the policy away."""
        del properties
        with absent_is_fine("NoSuchBucket", "NoSuchBucketPolicy"):
            call.client("s3").delete_bucket_policy(Bucket=physical_id)


def _exists(client: Any, name: str) -> bool:
    return unless_absent(lambda: client.head_bucket(Bucket=name), "404", "NoSuchBucket") is not None


def _physical(call: Call, name: str) -> Physical:
    """Return the bucket's addresses.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucket.html
    """
    attributes = {
        "Arn": f"arn:aws:s3:::{name}",
        "DomainName": f"{name}.s3.amazonaws.com",
        "DualStackDomainName": f"{name}.s3.dualstack.{call.region}.amazonaws.com",
        "RegionalDomainName": f"{name}.s3.{call.region}.amazonaws.com",
        "WebsiteURL": f"http://{name}.s3-website-{call.region}.amazonaws.com",
    }
    return Physical(name, attributes)


def _tags(client: Any, name: str) -> list[tagging.Tag]:
    answer = unless_absent(lambda: client.get_bucket_tagging(Bucket=name), "NoSuchTagSet")
    return [] if answer is None else list(answer["TagSet"])


def _tags_after(call: Call, name: str, *, before: Properties, after: Properties) -> dict[str, str]:
    """Return all tags, as S3 only takes them together."""
    present = {tag["Key"]: tag["Value"] for tag in _tags(call.client("s3"), name)}
    change = tagging.change(call, before, after)
    kept = {key: value for key, value in present.items() if key not in change.removed}
    return kept | change.put


def _put_tags(client: Any, name: str, tags: dict[str, str]) -> None:
    if tags:
        client.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tagging.as_list(tags)})
    else:
        client.delete_bucket_tagging(Bucket=name)


HANDLERS = (Buckets(), BucketPolicies())
