# SPDX-License-Identifier: Apache-2.0
"""SNS topics, and who may publish to them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by, unless_absent

GONE = ("NotFound", "NotFoundException")
_SWITCHES = frozenset({"ContentBasedDeduplication", "FifoTopic"})
# The attributes that can be changed, with what AWS has when nothing is said.
_DEFAULTS = {
    "ContentBasedDeduplication": "false",
    "DisplayName": "",
    "KmsMasterKeyId": "",
    "SignatureVersion": "1",
    "TracingConfig": "PassThrough",
}
_EVERYTHING = (
    "Publish RemovePermission SetTopicAttributes DeleteTopic ListSubscriptionsByTopic GetTopicAttributes "
    "AddPermission Subscribe"
)
DEFAULT_POLICY_ID = "__default_policy_ID"


class Topics:
    """AWS::SNS::Topic."""

    type_name = "AWS::SNS::Topic"
    properties = frozenset(
        {*_DEFAULTS, "FifoTopic", "Subscription.Endpoint", "Subscription.Protocol", "Tags", "TopicName"}
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the topic with its subscriptions."""
        client = call.client("sns")
        name = properties.get("TopicName") or call.name + (".fifo" if properties.get("FifoTopic") else "")
        physical = _physical(f"arn:aws:sns:{call.region}:{call.account_id}:{name}")
        if unless_absent(lambda: client.get_topic_attributes(TopicArn=physical.physical_id), *GONE):
            raise HandlerError(
                f"Resource of type '{self.type_name}' with identifier '{name}' already exists."
            )
        attributes = _attributes(properties)
        if properties.get("FifoTopic"):
            attributes["FifoTopic"] = "true"
        tags = tagging.as_list(tagging.wanted(call, properties))
        client.create_topic(Name=name, Attributes=attributes, Tags=tags)
        with undone_by(lambda: self.delete(call, physical.physical_id, properties)):
            for subscription in properties.get("Subscription", ()):
                client.subscribe(TopicArn=physical.physical_id, **subscription)
        return physical

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the topic's attributes, subscriptions and tags."""
        client = call.client("sns")
        answer = unless_absent(lambda: client.get_topic_attributes(TopicArn=physical_id), *GONE)
        if answer is None:
            return None
        tags = client.list_tags_for_resource(ResourceArn=physical_id)["Tags"]
        return {
            "TopicName": physical_id.rpartition(":")[2],
            **_shown(answer["Attributes"]),
            **_subscriptions(call, physical_id),
            **tagging.shown(tags),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change attributes and subscriptions; attributes that are gone get AWS's default."""
        client = call.client("sns")
        removed = (set(before) - set(after)) & set(_DEFAULTS)
        for name, value in ({name: _DEFAULTS[name] for name in removed} | _attributes(after)).items():
            client.set_topic_attributes(TopicArn=physical_id, AttributeName=name, AttributeValue=value)
        _resubscribe(call, physical_id, before=before, after=after)
        tags = tagging.change(call, before, after)
        if tags.put:
            client.tag_resource(ResourceArn=physical_id, Tags=tagging.as_list(tags.put))
        if tags.removed:
            client.untag_resource(ResourceArn=physical_id, TagKeys=tags.removed)
        return _physical(physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the topic; its subscriptions go with it."""
        del properties
        with absent_is_fine(*GONE):
            call.client("sns").delete_topic(TopicArn=physical_id)


class TopicPolicies:
    """AWS::SNS::TopicPolicy. Its physical id is the topics' ARNs, so that it can be read by it."""

    type_name = "AWS::SNS::TopicPolicy"
    properties = frozenset({"PolicyDocument", "Topics"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Put the policy on every topic."""
        for arn in properties["Topics"]:
            _put_policy(call, arn, properties["PolicyDocument"])
        identifier = "|".join(properties["Topics"])
        return Physical(identifier, {"Id": identifier})

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the policy; None when every topic has AWS's own."""
        policies = {arn: _policy(call, arn) for arn in physical_id.split("|")}
        held = [arn for arn, policy in policies.items() if policy is not None]
        if not held:
            return None
        return {"Topics": held, "PolicyDocument": policies[held[0]]}

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Put the new policy on the topics that it is for now, and AWS's own on the others."""
        del physical_id
        for arn in set(before["Topics"]) - set(after["Topics"]):
            with absent_is_fine(*GONE):
                _put_policy(call, arn, _default_policy(call, arn))
        return self.create(call, after)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Give every topic the policy that it had when it was made."""
        del properties
        for arn in physical_id.split("|"):
            with absent_is_fine(*GONE):
                _put_policy(call, arn, _default_policy(call, arn))


def _physical(arn: str) -> Physical:
    return Physical(arn, {"TopicArn": arn, "TopicName": arn.rpartition(":")[2]})


def _attributes(properties: Properties) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in properties.items()
        if name in _DEFAULTS
    }


def _shown(attributes: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: value.lower() == "true" if name in _SWITCHES else value
        for name, value in attributes.items()
        if name in {*_DEFAULTS, "FifoTopic"}
    }


def _listed(call: Call, arn: str) -> list[dict[str, str]]:
    pages = call.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
    return [subscription for page in pages for subscription in page["Subscriptions"]]


def _subscriptions(call: Call, arn: str) -> dict[str, Any]:
    shown = [{"Endpoint": each["Endpoint"], "Protocol": each["Protocol"]} for each in _listed(call, arn)]
    return {"Subscription": shown} if shown else {}


def _resubscribe(call: Call, arn: str, *, before: Properties, after: Properties) -> None:
    client = call.client("sns")
    wanted = after.get("Subscription", [])
    dropped = [each for each in before.get("Subscription", ()) if each not in wanted]
    for each in _listed(call, arn):
        if {"Endpoint": each["Endpoint"], "Protocol": each["Protocol"]} in dropped:
            client.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
    for each in wanted:
        client.subscribe(TopicArn=arn, **each)


def _policy(call: Call, arn: str) -> Any | None:
    answer = unless_absent(lambda: call.client("sns").get_topic_attributes(TopicArn=arn), *GONE)
    policy = json.loads((answer or {}).get("Attributes", {}).get("Policy", "null"))
    return None if policy is None or policy.get("Id") == DEFAULT_POLICY_ID else policy


def _put_policy(call: Call, arn: str, policy: Any) -> None:
    call.client("sns").set_topic_attributes(
        TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(policy)
    )


def _default_policy(call: Call, arn: str) -> dict[str, Any]:
    """Return what AWS gives a new topic: its owner may do everything."""
    return {
        "Version": "2008-10-17",
        "Id": DEFAULT_POLICY_ID,
        "Statement": [
            {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [f"SNS:{name}" for name in _EVERYTHING.split()],
                "Resource": arn,
                "Condition": {"StringEquals": {"AWS:SourceOwner": call.account_id}},
            }
        ],
    }


HANDLERS = (Topics(), TopicPolicies())
