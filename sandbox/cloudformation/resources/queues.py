# SPDX-License-Identifier: Apache-2.0
"""SQS queues and who may use them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent

GONE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
NAME_LENGTH = 80

_NUMBERS = {
    "DelaySeconds": "0",
    "KmsDataKeyReusePeriodSeconds": "300",
    "MaximumMessageSize": "262144",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
}
_SWITCHES = {"ContentBasedDeduplication": "false", "SqsManagedSseEnabled": "true"}
_DOCUMENTS = {"RedriveAllowPolicy": "", "RedrivePolicy": ""}
_WORDS = {"DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue", "KmsMasterKeyId": ""}
# The attributes that can be changed, with what AWS has when nothing is said.
_DEFAULTS = _NUMBERS | _SWITCHES | _DOCUMENTS | _WORDS


class Queues:
    """AWS::SQS::Queue."""

    type_name = "AWS::SQS::Queue"
    properties = frozenset({*_DEFAULTS, "FifoQueue", "QueueName", "Tags"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the queue."""
        client = call.client("sqs")
        name = properties.get("QueueName") or _name(call, properties)
        if unless_absent(lambda: client.get_queue_url(QueueName=name), *GONE):
            raise HandlerError(
                f"Resource of type '{self.type_name}' with identifier '{name}' already exists."
            )
        attributes = _attributes(properties)
        if properties.get("FifoQueue"):
            attributes["FifoQueue"] = "true"
        made = client.create_queue(
            QueueName=name, Attributes=attributes, tags=tagging.wanted(call, properties)
        )
        return _physical(call, made["QueueUrl"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the queue's attributes and tags."""
        client = call.client("sqs")
        answer = unless_absent(
            lambda: client.get_queue_attributes(QueueUrl=physical_id, AttributeNames=["All"]), *GONE
        )
        if answer is None:
            return None
        tags = client.list_queue_tags(QueueUrl=physical_id).get("Tags", {})
        return {
            "QueueName": physical_id.rpartition("/")[2],
            **_shown(answer["Attributes"]),
            **tagging.shown(tagging.as_list(tags)),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change attributes; those that the template has no more get AWS's default."""
        client = call.client("sqs")
        attributes = _attributes(after)
        removed = (set(before) - set(after)) & set(_DEFAULTS)
        attributes |= {name: _DEFAULTS[name] for name in removed if name not in attributes}
        if attributes.get("KmsMasterKeyId"):
            attributes.pop("SqsManagedSseEnabled", None)
        if attributes:
            client.set_queue_attributes(QueueUrl=physical_id, Attributes=attributes)
        tags = tagging.change(call, before, after)
        if tags.put:
            client.tag_queue(QueueUrl=physical_id, Tags=tags.put)
        if tags.removed:
            client.untag_queue(QueueUrl=physical_id, TagKeys=tags.removed)
        return _physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the queue with its messages."""
        del properties
        with absent_is_fine(*GONE):
            call.client("sqs").delete_queue(QueueUrl=physical_id)


class QueuePolicies:
    """AWS::SQS::QueuePolicy. Its physical id is the queues' URLs, so that it can be read by it."""

    type_name = "AWS::SQS::QueuePolicy"
    properties = frozenset({"PolicyDocument", "Queues"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Put the policy on every queue."""
        for url in properties["Queues"]:
            _put_policy(call, url, json.dumps(properties["PolicyDocument"]))
        identifier = "|".join(properties["Queues"])
        return Physical(identifier, {"Id": identifier})

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the policy; None when no queue has one."""
        policies = {url: _policy(call, url) for url in physical_id.split("|")}
        held = [url for url, policy in policies.items() if policy is not None]
        if not held:
            return None
        return {"Queues": held, "PolicyDocument": policies[held[0]]}

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Put the new policy on the queues that it is for now, and take it from the others."""
        del physical_id
        for url in set(before["Queues"]) - set(after["Queues"]):
            with absent_is_fine(*GONE):
                _put_policy(call, url, "")
        return self.create(call, after)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Take the policy away."""
        del properties
        for url in physical_id.split("|"):
            with absent_is_fine(*GONE):
                _put_policy(call, url, "")


def _name(call: Call, properties: Properties) -> str:
    suffix = ".fifo" if properties.get("FifoQueue") else ""
    return call.name[: NAME_LENGTH - len(suffix)] + suffix


def _physical(call: Call, url: str) -> Physical:
    name = url.rpartition("/")[2]
    arn = f"arn:aws:sqs:{call.region}:{call.account_id}:{name}"
    return Physical(url, {"Arn": arn, "QueueName": name, "QueueUrl": url})


def _attributes(properties: Properties) -> dict[str, str]:
    attributes = {}
    for name in set(properties) & set(_DEFAULTS):
        value = properties[name]
        if isinstance(value, bool):
            attributes[name] = str(value).lower()
        else:
            attributes[name] = json.dumps(value) if name in _DOCUMENTS else str(value)
    return attributes


def _shown(attributes: Mapping[str, str]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name in set(attributes) & {*_DEFAULTS, "FifoQueue"}:
        value = attributes[name]
        if name in _NUMBERS:
            shown[name] = int(value)
        elif name in _DOCUMENTS:
            shown[name] = json.loads(value)
        elif name in _WORDS:
            shown[name] = value
        else:
            shown[name] = value == "true"
    return shown


def _policy(call: Call, url: str) -> Any | None:
    answer = unless_absent(
        lambda: call.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"]), *GONE
    )
    policy = (answer or {}).get("Attributes", {}).get("Policy")
    return json.loads(policy) if policy else None


def _put_policy(call: Call, url: str, policy: str) -> None:
    call.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


HANDLERS = (Queues(), QueuePolicies())
