# SPDX-License-Identifier: Apache-2.0
"""Correct moto's SQS and SNS where they lose attributes or mix them up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.sns.models import SNSBackend, Topic
from moto.sns.responses import SNSResponse
from moto.sqs.models import Queue

from sandbox.api.errors import unsupported
from sandbox.api.patches import Patches

# What moto keeps of a topic and does not show: attribute of AWS, attribute of moto.
_TOPIC_ATTRIBUTES = {"SignatureVersion": "signature_version", "TracingConfig": "tracing_config"}
_KNOWN = {
    *_TOPIC_ATTRIBUTES.values(),
    "content_based_deduplication",
    "delivery_policy",
    "display_name",
    "fifo_topic",
    "kms_master_key_id",
    "policy",
}


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    patches.replace(Queue, "url", _url)
    patches.replace(Queue, "redrive_allow_policy", None)
    patches.replace(Queue, "BASE_ATTRIBUTES", [*Queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"])
    patches.replace(Queue, "_set_attributes", _set_attributes(Queue._set_attributes))
    for attribute in _TOPIC_ATTRIBUTES.values():
        patches.replace(Topic, attribute, None)
    patches.replace(SNSResponse, "get_topic_attributes", _topic_attributes(SNSResponse.get_topic_attributes))
    patches.replace(SNSBackend, "create_topic", _create_topic(SNSBackend.create_topic))
    patches.replace(SNSBackend, "set_topic_attribute", _set_topic(SNSBackend.set_topic_attribute))
    original = SNSBackend.set_subscription_attributes
    patches.replace(SNSBackend, "set_subscription_attributes", _set_subscription(original))


def _url(queue: Any, _: Any) -> str:
    """Give a queue the same URL for every caller: moto makes it of the address that was called."""
    return f"https://sqs.{queue.region}.amazonaws.com/{queue.account_id}/{queue.name}"


def _set_attributes(original: Callable[..., None]) -> Callable[..., None]:
    def set_attributes(queue: Any, attributes: dict[str, Any], now: float | None = None) -> None:
        """Leave the policy alone when it is not among the attributes; moto takes it away."""
        given = dict(attributes)
        if hasattr(queue, "_policy_json"):
            given.setdefault("Policy", queue.policy)
        original(queue, given, now)
        _settle_encryption(queue, attributes)
        if queue.redrive_allow_policy == "":
            queue.redrive_allow_policy = None

    return set_attributes


def _settle_encryption(queue: Any, attributes: Mapping[str, Any]) -> None:
    """A queue is encrypted with a key of KMS or with SQS's own, not with both."""
    if attributes.get("KmsMasterKeyId"):
        queue.sqs_managed_sse_enabled = False
    elif "SqsManagedSseEnabled" in attributes:
        queue.sqs_managed_sse_enabled = str(attributes["SqsManagedSseEnabled"]).lower() == "true"
        if queue.sqs_managed_sse_enabled:
            queue.kms_master_key_id = None


def _topic_attributes(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def get_topic_attributes(response: Any) -> ActionResult:
        """Show all attributes that were set."""
        topic = response.backend.get_topic(response._get_param("TopicArn"))
        answer: Any = original(response).result
        for name, attribute in _TOPIC_ATTRIBUTES.items():
            if value := getattr(topic, attribute):
                answer["Attributes"][name] = value
        return ActionResult(answer)

    return get_topic_attributes


def _create_topic(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_topic(
        backend: Any, name: str, attributes: dict[str, str] | None = None, tags: dict[str, str] | None = None
    ) -> Any:
        """Refuse attributes that nobody would read."""
        for attribute in attributes or {}:
            _check_topic_attribute(camelcase_to_underscores(attribute))
        return original(backend, name, attributes, tags)

    return create_topic


def _set_topic(original: Callable[..., None]) -> Callable[..., None]:
    def set_topic_attribute(backend: Any, topic_arn: str, attribute_name: str, attribute_value: Any) -> None:
        """Refuse attributes that nobody would read."""
        _check_topic_attribute(attribute_name)
        original(backend, topic_arn, attribute_name, attribute_value)

    return set_topic_attribute


def _check_topic_attribute(name: str) -> None:
    if name not in _KNOWN:
        raise unsupported(f"A topic's attribute {name}")


def _set_subscription(original: Callable[..., None]) -> Callable[..., None]:
    def set_subscription_attributes(backend: Any, arn: str, name: str, value: Any) -> None:
        """Read "false" as false: moto takes every text for true when a subscription is made."""
        if name == "RawMessageDelivery":
            value = str(value).lower() == "true"
        original(backend, arn, name, value)

    return set_subscription_attributes
