# SPDX-License-Identifier: Apache-2.0
"""Application load balancers.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-elasticloadbalancingv2-loadbalancer.html
"""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources.balancer_kinds import (
    Description,
    Kind,
    attribute_change,
    short_name,
    shown_tags,
    update_tags,
    with_tags,
)
from sandbox.cloudformation.resources.ec2_kinds import picked
from sandbox.cloudformation.resources.failures import undone_by, wait_until, wait_while_wanted

NO_BALANCER = "LoadBalancerNotFound"
_READY_WITHIN_S = 120.0
_ATTRIBUTES = "LoadBalancerAttributes"
_KIND = Kind(
    "describe_load_balancers",
    "LoadBalancers",
    "LoadBalancerArns",
    "delete_load_balancer",
    "LoadBalancerArn",
    NO_BALANCER,
)


class LoadBalancer:
    """AWS::ElasticLoadBalancingV2::LoadBalancer: ready when it is active."""

    type_name = "AWS::ElasticLoadBalancingV2::LoadBalancer"
    properties = frozenset(
        {"Name", "Type", "Scheme", "IpAddressType", "Subnets", "SecurityGroups", _ATTRIBUTES, "Tags"}
    )
    open_lists = frozenset({_ATTRIBUTES})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the balancer, set its attributes, and wait for it."""
        elb = call.client("elbv2")
        answer = elb.create_load_balancer(
            Name=properties.get("Name", short_name(call)),
            **picked(dict(properties), "Type", "Scheme", "IpAddressType", "Subnets", "SecurityGroups"),
            **with_tags(call, properties),
        )
        arn = answer["LoadBalancers"][0]["LoadBalancerArn"]
        with undone_by(lambda: self.delete(call, arn, properties)):
            if attributes := properties.get(_ATTRIBUTES):
                elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)
            wait_while_wanted(call, lambda: _state(call, arn) != "provisioning", limit_s=_READY_WITHIN_S)
            if _state(call, arn) not in ("active", "provisioning"):
                raise HandlerError(f"The load balancer {arn} failed")
            return self._physical(call, arn)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the balancer with all of its attributes."""
        balancer = _KIND.described(call, physical_id)
        if balancer is None:
            return None
        answer = call.client("elbv2").describe_load_balancer_attributes(LoadBalancerArn=physical_id)
        return {
            "Name": balancer["LoadBalancerName"],
            **picked(balancer, "Type", "Scheme", "IpAddressType", "SecurityGroups"),
            "Subnets": [zone["SubnetId"] for zone in balancer["AvailabilityZones"]],
            _ATTRIBUTES: answer["Attributes"],
            **shown_tags(call, physical_id),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change subnets, groups, attributes and tags."""
        elb = call.client("elbv2")
        if set(before.get("Subnets", ())) != set(after.get("Subnets", ())):
            elb.set_subnets(LoadBalancerArn=physical_id, Subnets=after["Subnets"])
        if set(before.get("SecurityGroups", ())) != set(after.get("SecurityGroups", ())):
            elb.set_security_groups(LoadBalancerArn=physical_id, SecurityGroups=after["SecurityGroups"])
        if changed := attribute_change(before, after, _ATTRIBUTES):
            elb.modify_load_balancer_attributes(LoadBalancerArn=physical_id, Attributes=changed)
        update_tags(call, physical_id, before=before, after=after)
        return self._physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the balancer and wait until its interfaces leave their subnets and groups."""
        del properties
        _KIND.remove(call, physical_id)
        wait_until(call, lambda: not _interfaces(call, physical_id))

    def _physical(self, call: Call, arn: str) -> Physical:
        balancer = _KIND.described(call, arn) or {}
        return Physical(
            arn,
            {
                "LoadBalancerArn": arn,
                "LoadBalancerName": balancer["LoadBalancerName"],
                "LoadBalancerFullName": _full_name(arn),
                "DNSName": balancer["DNSName"],
                "CanonicalHostedZoneID": balancer["CanonicalHostedZoneId"],
            },
        )


def _full_name(arn: str) -> str:
    """Return what metrics call the balancer: app/<name>/<id>."""
    return arn.partition(":loadbalancer/")[2]


def _state(call: Call, arn: str) -> Any:
    balancer: Description = _KIND.described(call, arn) or {"State": {"Code": "failed"}}
    return balancer["State"]["Code"]


def _interfaces(call: Call, arn: str) -> list[Description]:
    described = {"Name": "description", "Values": [f"ELB {_full_name(arn)}"]}
    answer = call.client("ec2").describe_network_interfaces(Filters=[described])
    interfaces: list[Description] = answer["NetworkInterfaces"]
    return interfaces


HANDLERS = (LoadBalancer(),)
