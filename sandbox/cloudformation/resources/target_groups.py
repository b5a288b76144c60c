# SPDX-License-Identifier: Apache-2.0
"""Target groups of load balancers."""

from __future__ import annotations

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources.balancer_kinds import (
    Kind,
    attribute_change,
    short_name,
    shown_tags,
    update_tags,
    with_tags,
)
from sandbox.cloudformation.resources.ec2_kinds import picked
from sandbox.cloudformation.resources.failures import undone_by

NO_GROUP = "TargetGroupNotFound"
_ATTRIBUTES = "TargetGroupAttributes"
_FIXED = ("TargetType", "Protocol", "ProtocolVersion", "Port", "VpcId", "IpAddressType")
_HEALTH = (
    "HealthCheckEnabled",
    "HealthCheckIntervalSeconds",
    "HealthCheckPath",
    "HealthCheckPort",
    "HealthCheckProtocol",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "Matcher",
)
_KIND = Kind(
    "describe_target_groups",
    "TargetGroups",
    "TargetGroupArns",
    "delete_target_group",
    "TargetGroupArn",
    NO_GROUP,
)


class TargetGroup:
    """AWS::ElasticLoadBalancingV2::TargetGroup. Its targets come from Auto Scaling groups."""

    type_name = "AWS::ElasticLoadBalancingV2::TargetGroup"
    properties = frozenset({"Name", *_FIXED, *_HEALTH, _ATTRIBUTES, "Tags"})
    open_lists = frozenset({_ATTRIBUTES})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the group."""
        elb = call.client("elbv2")
        answer = elb.create_target_group(
            Name=properties.get("Name", short_name(call)),
            **_given(properties, *_FIXED, *_HEALTH),
            **with_tags(call, properties),
        )
        arn = answer["TargetGroups"][0]["TargetGroupArn"]
        with undone_by(lambda: self.delete(call, arn, properties)):
            if attributes := properties.get(_ATTRIBUTES):
                elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=attributes)
            return self._physical(call, arn)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the group with all of its attributes."""
        group = _KIND.described(call, physical_id)
        if group is None:
            return None
        answer = call.client("elbv2").describe_target_group_attributes(TargetGroupArn=physical_id)
        return {
            "Name": group["TargetGroupName"],
            **_given(group, *_FIXED, *_HEALTH),
            _ATTRIBUTES: answer["Attributes"],
            **shown_tags(call, physical_id),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change health checks, attributes and tags."""
        elb = call.client("elbv2")
        if any(before.get(name) != after.get(name) for name in _HEALTH):
            elb.modify_target_group(TargetGroupArn=physical_id, **_given(after, *_HEALTH))
        if changed := attribute_change(before, after, _ATTRIBUTES):
            elb.modify_target_group_attributes(TargetGroupArn=physical_id, Attributes=changed)
        update_tags(call, physical_id, before=before, after=after)
        return self._physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the group."""
        del properties
        _KIND.remove(call, physical_id)

    def _physical(self, call: Call, arn: str) -> Physical:
        group = _KIND.described(call, arn) or {}
        return Physical(
            arn,
            {
                "TargetGroupArn": arn,
                "TargetGroupName": group["TargetGroupName"],
                "TargetGroupFullName": arn.rpartition(":")[2],
                "LoadBalancerArns": group["LoadBalancerArns"],
            },
        )


def _given(properties: Properties, *names: str) -> dict[str, object]:
    return picked(dict(properties), *names)


HANDLERS = (TargetGroup(),)
