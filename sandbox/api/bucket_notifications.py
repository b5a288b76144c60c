# SPDX-License-Identifier: Apache-2.0
"""Notifications of buckets: queues and topics that are told must exist and let S3 tell them, as on AWS.

Lambda sees to its functions itself.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.s3.models import FakeBucket
from moto.s3.responses import S3Response
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from sandbox.api.errors import AwsError
from sandbox.api.patches import Patches
from sandbox.api.service_access import allows, listed

PRINCIPAL = "s3.amazonaws.com"


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    original = FakeBucket.set_notification_configuration
    patches.replace(FakeBucket, "set_notification_configuration", _set(original))
    patches.replace(S3Response, "get_bucket_notification", _get(S3Response.get_bucket_notification))


def _set(original: Callable[..., None]) -> Callable[..., None]:
    def set_notification_configuration(bucket: Any, configuration: Mapping[str, Any] | None) -> None:
        """Refuse destinations that S3 could not reach."""
        for kind, (key, policy_of, action) in _DESTINATIONS.items():
            for each in listed((configuration or {}).get(f"{kind}Configuration")):
                policy = policy_of(bucket.account_id, each[key])
                if policy is None or not allows(policy, PRINCIPAL, action, keys=_keys(bucket)):
                    message = f"Unable to validate the following destination configurations: {each[key]}"
                    raise AwsError("InvalidArgument", message)
        original(bucket, configuration)

    return set_notification_configuration


def _get(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def get_bucket_notification(response: Any) -> Any:
        """Say that EventBridge is told, which moto leaves out."""
        kept = response.backend.get_bucket_notification_configuration(response.bucket_name)
        response.data["Action"] = "GetBucketNotificationConfiguration"
        if kept is None:
            return response.serialized(ActionResult({}))
        if kept.event_bridge is None:
            return original(response)
        result = {
            f"{kind}Configurations": [_shown(each, f"{kind}Arn") for each in listed]
            for kind, listed in (
                ("Topic", kept.topic),
                ("Queue", kept.queue),
                ("LambdaFunction", kept.cloud_function),
            )
        }
        return response.serialized(ActionResult(result | {"EventBridgeConfiguration": {}}))

    return get_bucket_notification


def _shown(notification: Any, key: str) -> dict[str, Any]:
    shown = {"Id": notification.id, key: notification.arn, "Events": notification.events}
    if notification.filters:
        shown["Filter"] = {"Key": {"FilterRules": notification.filters["S3Key"]["FilterRule"]}}
    return shown


def _keys(bucket: Any) -> dict[str, str]:
    return {"aws:sourcearn": f"arn:aws:s3:::{bucket.name}", "aws:sourceaccount": bucket.account_id}


def _queue_policy(account_id: str, arn: str) -> str | None:
    queue = sqs_backends[account_id][arn.split(":")[3]].queues.get(arn.rpartition(":")[2])
    return None if queue is None else str(queue.policy or "{}")


def _topic_policy(account_id: str, arn: str) -> str | None:
    topic = sns_backends[account_id][arn.split(":")[3]].topics.get(arn)
    return None if topic is None else str(topic.policy)


# The element of the request, where it has the destination, what the destination allows, and what it must.
_DESTINATIONS: Mapping[str, tuple[str, Callable[[str, str], str | None], str]] = {
    "Queue": ("Queue", _queue_policy, "sqs:SendMessage"),
    "Topic": ("Topic", _topic_policy, "sns:Publish"),
}
