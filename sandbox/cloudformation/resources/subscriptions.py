# SPDX-License-Identifier: Apache-2.0
"""Subscriptions of SNS topics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent
from sandbox.cloudformation.resources.topics import GONE

_DOCUMENTS = frozenset({"DeliveryPolicy", "FilterPolicy", "RedrivePolicy"})
# In the order in which they are set: the scope says how the filter policy is read.
_DEFAULTS = {
    "FilterPolicyScope": "MessageAttributes",
    "FilterPolicy": "",
    "RawMessageDelivery": "false",
    "RedrivePolicy": "",
    "DeliveryPolicy": "",
    "SubscriptionRoleArn": "",
}


class Subscriptions:
    """AWS::SNS::Subscription."""

    type_name = "AWS::SNS::Subscription"
    properties = frozenset({*_DEFAULTS, "Endpoint", "Protocol", "TopicArn"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Subscribe. Subscribing the same again is the same subscription."""
        made = call.client("sns").subscribe(
            TopicArn=properties["TopicArn"],
            Protocol=properties["Protocol"],
            Endpoint=properties["Endpoint"],
            Attributes=_attributes(properties),
            ReturnSubscriptionArn=True,
        )
        return _physical(made["SubscriptionArn"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the subscription's attributes."""
        client = call.client("sns")
        answer = unless_absent(lambda: client.get_subscription_attributes(SubscriptionArn=physical_id), *GONE)
        return None if answer is None else _shown(answer["Attributes"])

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change attributes; those that are gone get AWS's default."""
        wanted = _attributes(after)
        for name, default in _DEFAULTS.items():
            if name in wanted or name in before:
                call.client("sns").set_subscription_attributes(
                    SubscriptionArn=physical_id,
                    AttributeName=name,
                    AttributeValue=wanted.get(name, default),
                )
        return _physical(physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Unsubscribe."""
        del properties
        with absent_is_fine(*GONE):
            call.client("sns").unsubscribe(SubscriptionArn=physical_id)


def _physical(arn: str) -> Physical:
    return Physical(arn, {"Arn": arn})


def _attributes(properties: Properties) -> dict[str, str]:
    attributes = {}
    for name in _DEFAULTS:
        if name in properties:
            value = properties[name]
            is_json = name in _DOCUMENTS
            attributes[name] = json.dumps(value) if is_json else _word(value)
    return attributes


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(attributes: Mapping[str, str]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name in ("Endpoint", "Protocol", "TopicArn", *_DEFAULTS):
        value = attributes.get(name, "")
        if value != "":
            shown[name] = json.loads(value) if name in _DOCUMENTS else value
    if "RawMessageDelivery" in shown:
        shown["RawMessageDelivery"] = shown["RawMessageDelivery"].lower() == "true"
    return shown


HANDLERS = (Subscriptions(),)
