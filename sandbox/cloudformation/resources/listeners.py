# SPDX-License-Identifier: Apache-2.0
"""Listeners of load balancers and their rules."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources.balancer_kinds import (
    Kind,
    attribute_change,
    shown_tags,
    update_tags,
    with_tags,
)
from sandbox.cloudformation.resources.ec2_kinds import picked
from sandbox.cloudformation.resources.failures import undone_by

NO_LISTENER = "ListenerNotFound"
NO_RULE = "RuleNotFound"
_ATTRIBUTES = "ListenerAttributes"
_LISTENER = ("Port", "Protocol", "SslPolicy", "Certificates", "DefaultActions")
_RULE = ("Conditions", "Actions")
_LISTENERS = Kind(
    "describe_listeners", "Listeners", "ListenerArns", "delete_listener", "ListenerArn", NO_LISTENER
)
_RULES = Kind("describe_rules", "Rules", "RuleArns", "delete_rule", "RuleArn", NO_RULE)


class Listener:
    """AWS::ElasticLoadBalancingV2::Listener."""

    type_name = "AWS::ElasticLoadBalancingV2::Listener"
    properties = frozenset({"LoadBalancerArn", *_LISTENER, _ATTRIBUTES, "Tags"})
    open_lists = frozenset({_ATTRIBUTES})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the listener."""
        elb = call.client("elbv2")
        answer = elb.create_listener(
            **picked(dict(properties), "LoadBalancerArn", *_LISTENER), **with_tags(call, properties)
        )
        arn = answer["Listeners"][0]["ListenerArn"]
        with undone_by(lambda: self.delete(call, arn, properties)):
            if attributes := properties.get(_ATTRIBUTES):
                elb.modify_listener_attributes(ListenerArn=arn, Attributes=attributes)
        return Physical(arn, {"ListenerArn": arn})

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the listener."""
        listener = _LISTENERS.described(call, physical_id)
        if listener is None:
            return None
        answer = call.client("elbv2").describe_listener_attributes(ListenerArn=physical_id)
        return {
            **picked(listener, "LoadBalancerArn", *_LISTENER),
            _ATTRIBUTES: answer["Attributes"],
            **shown_tags(call, physical_id),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change port, protocol, certificates, what is done by default, attributes and tags."""
        elb = call.client("elbv2")
        if any(before.get(name) != after.get(name) for name in _LISTENER):
            elb.modify_listener(ListenerArn=physical_id, **picked(dict(after), *_LISTENER))
        if changed := attribute_change(before, after, _ATTRIBUTES):
            elb.modify_listener_attributes(ListenerArn=physical_id, Attributes=changed)
        update_tags(call, physical_id, before=before, after=after)
        return Physical(physical_id, {"ListenerArn": physical_id})

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the listener."""
        del properties
        _LISTENERS.remove(call, physical_id)


class ListenerRule:
    """AWS::ElasticLoadBalancingV2::ListenerRule."""

    type_name = "AWS::ElasticLoadBalancingV2::ListenerRule"
    properties = frozenset({"ListenerArn", "Priority", *_RULE, "Tags"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the rule."""
        answer = call.client("elbv2").create_rule(
            **picked(dict(properties), "ListenerArn", "Priority", *_RULE), **with_tags(call, properties)
        )
        return self._physical(answer["Rules"][0]["RuleArn"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the rule."""
        rule = _RULES.described(call, physical_id)
        if rule is None:
            return None
        return {
            "ListenerArn": _listener_of(physical_id),
            "Priority": int(rule["Priority"]),
            **picked(rule, *_RULE),
            **shown_tags(call, physical_id),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change conditions, actions, the place among the others, and tags."""
        elb = call.client("elbv2")
        if any(before[name] != after[name] for name in _RULE):
            elb.modify_rule(RuleArn=physical_id, **picked(dict(after), *_RULE))
        if before["Priority"] != after["Priority"]:
            place = {"RuleArn": physical_id, "Priority": after["Priority"]}
            elb.set_rule_priorities(RulePriorities=[place])
        update_tags(call, physical_id, before=before, after=after)
        return self._physical(physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the rule."""
        del properties
        _RULES.remove(call, physical_id)

    def _physical(self, arn: str) -> Physical:
        attributes: dict[str, Any] = {"RuleArn": arn, "IsDefault": False}
        return Physical(arn, attributes)


def _listener_of(rule_arn: str) -> str:
    """Return the ARN of the listener, which is that of its rule without the last part."""
    return rule_arn.rpartition("/")[0].replace(":listener-rule/", ":listener/")


HANDLERS = (Listener(), ListenerRule())
