# SPDX-License-Identifier: Apache-2.0
"""What a bucket can be configured with, each part with how it is put, read and taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.cloudformation.resources import bucket_rules
from sandbox.cloudformation.resources.failures import unless_absent


@dataclass(frozen=True, slots=True)
class Aspect:
    """One property of the template.

    Attributes:
        put: Sets it: (client, bucket, value).
        read: Returns it, or None if the bucket has none: (client, bucket).
        remove: Takes it away: (client, bucket).
    """

    name: str
    put: Callable[[Any, str, Any], Any]
    read: Callable[[Any, str], Any]
    remove: Callable[[Any, str], Any]


def _put_encryption(client: Any, bucket: str, value: Any) -> None:
    rules = [
        {
            "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
            "BucketKeyEnabled": rule.get("BucketKeyEnabled", False),
        }
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    client.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})


def _read_encryption(client: Any, bucket: str) -> Any:
    answer = unless_absent(
        lambda: client.get_bucket_encryption(Bucket=bucket), "ServerSideEncryptionConfigurationNotFoundError"
    )
    if answer is None:
        return None
    return {
        "ServerSideEncryptionConfiguration": [
            {
                "ServerSideEncryptionByDefault": rule["ApplyServerSideEncryptionByDefault"],
                "BucketKeyEnabled": rule["BucketKeyEnabled"],
            }
            for rule in answer["ServerSideEncryptionConfiguration"]["Rules"]
        ]
    }


def _read_versioning(client: Any, bucket: str) -> Any:
    status = client.get_bucket_versioning(Bucket=bucket).get("Status")
    return {"Status": status} if status else None


def _read_access_block(client: Any, bucket: str) -> Any:
    answer = unless_absent(
        lambda: client.get_public_access_block(Bucket=bucket), "NoSuchPublicAccessBlockConfiguration"
    )
    return answer and answer["PublicAccessBlockConfiguration"]


def _read_ownership(client: Any, bucket: str) -> Any:
    answer = unless_absent(
        lambda: client.get_bucket_ownership_controls(Bucket=bucket), "OwnershipControlsNotFoundError"
    )
    return answer and answer["OwnershipControls"]


def _put_lock(client: Any, bucket: str, value: Any) -> None:
    client.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=value)


def _read_lock(client: Any, bucket: str) -> Any:
    answer = unless_absent(
        lambda: client.get_object_lock_configuration(Bucket=bucket),
        "ObjectLockConfigurationNotFoundError",
    )
    if answer is None or answer["ObjectLockConfiguration"]["ObjectLockEnabled"] != "Enabled":
        return None
    shown = {"ObjectLockEnabled": "Enabled"}
    rule = answer["ObjectLockConfiguration"].get("Rule")
    if rule is None:
        return shown
    # moto shows days and years, of which one is none.
    retention = {name: each for name, each in rule["DefaultRetention"].items() if each}
    return shown | {"Rule": {"DefaultRetention": retention}}


def _remove_lock_rule(client: Any, bucket: str) -> None:
    """Let new objects be unlocked; the lock itself can't be turned off."""
    _put_lock(client, bucket, {"ObjectLockEnabled": "Enabled"})


def _put_lifecycle(client: Any, bucket: str, value: Any) -> None:
    size = value.get("TransitionDefaultMinimumObjectSize")
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={"Rules": [bucket_rules.lifecycle_to_api(each) for each in value["Rules"]]},
        **({"TransitionDefaultMinimumObjectSize": size} if size else {}),
    )


def _read_lifecycle(client: Any, bucket: str) -> Any:
    answer = unless_absent(
        lambda: client.get_bucket_lifecycle_configuration(Bucket=bucket), "NoSuchLifecycleConfiguration"
    )
    if answer is None:
        return None
    return {
        "Rules": [bucket_rules.lifecycle_to_template(rule) for rule in answer["Rules"]],
        "TransitionDefaultMinimumObjectSize": answer["TransitionDefaultMinimumObjectSize"],
    }


def _put_logging(client: Any, bucket: str, value: Any) -> None:
    enabled = {
        "TargetBucket": value.get("DestinationBucketName", bucket),
        "TargetPrefix": value.get("LogFilePrefix", ""),
    }
    if "TargetObjectKeyFormat" in value:
        enabled["TargetObjectKeyFormat"] = value["TargetObjectKeyFormat"]
    client.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})


def _read_logging(client: Any, bucket: str) -> Any:
    enabled = client.get_bucket_logging(Bucket=bucket).get("LoggingEnabled")
    if enabled is None:
        return None
    names = {
        "TargetBucket": "DestinationBucketName",
        "TargetPrefix": "LogFilePrefix",
        "TargetObjectKeyFormat": "TargetObjectKeyFormat",
    }
    return {names[name]: value for name, value in enabled.items() if name in names}


def _put_cors(client: Any, bucket: str, value: Any) -> None:
    rules = [bucket_rules.cors_to_api(rule) for rule in value["CorsRules"]]
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})


def _read_cors(client: Any, bucket: str) -> Any:
    answer = unless_absent(lambda: client.get_bucket_cors(Bucket=bucket), "NoSuchCORSConfiguration")
    if answer is None:
        return None
    return {"CorsRules": [bucket_rules.cors_to_template(rule) for rule in answer["CORSRules"]]}


def _put_notifications(client: Any, bucket: str, value: Any) -> None:
    client.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=bucket_rules.notifications_to_api(value)
    )


def _read_notifications(client: Any, bucket: str) -> Any:
    answer = client.get_bucket_notification_configuration(Bucket=bucket)
    return bucket_rules.notifications_to_template(answer) or None


# In the order in which they are put: a lock needs versions.
ASPECTS = (
    Aspect(
        "OwnershipControls",
        lambda client, bucket, value: client.put_bucket_ownership_controls(
            Bucket=bucket, OwnershipControls=value
        ),
        _read_ownership,
        lambda client, bucket: client.delete_bucket_ownership_controls(Bucket=bucket),
    ),
    Aspect(
        "PublicAccessBlockConfiguration",
        lambda client, bucket, value: client.put_public_access_block(
            Bucket=bucket, PublicAccessBlockConfiguration=value
        ),
        _read_access_block,
        lambda client, bucket: client.delete_public_access_block(Bucket=bucket),
    ),
    Aspect(
        "VersioningConfiguration",
        lambda client, bucket, value: client.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration=value
        ),
        _read_versioning,
        lambda client, bucket: client.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
        ),
    ),
    Aspect(
        "BucketEncryption",
        _put_encryption,
        _read_encryption,
        lambda client, bucket: client.delete_bucket_encryption(Bucket=bucket),
    ),
    Aspect("ObjectLockConfiguration", _put_lock, _read_lock, _remove_lock_rule),
    Aspect(
        "LifecycleConfiguration",
        _put_lifecycle,
        _read_lifecycle,
        lambda client, bucket: client.delete_bucket_lifecycle(Bucket=bucket),
    ),
    Aspect(
        "LoggingConfiguration",
        _put_logging,
        _read_logging,
        lambda client, bucket: client.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={}),
    ),
    Aspect(
        "CorsConfiguration",
        _put_cors,
        _read_cors,
        lambda client, bucket: client.delete_bucket_cors(Bucket=bucket),
    ),
    Aspect(
        "NotificationConfiguration",
        _put_notifications,
        _read_notifications,
        lambda client, bucket: _put_notifications(client, bucket, {}),
    ),
)
