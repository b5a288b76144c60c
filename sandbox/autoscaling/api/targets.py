# SPDX-License-Identifier: Apache-2.0
"""Operations on the target groups that a group's instances serve.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/attach-load-balancer-asg.html
"""

from __future__ import annotations

from dataclasses import replace

from sandbox.autoscaling.api.context import Answer, Context, Parameters, page
from sandbox.autoscaling.group import Group
from sandbox.autoscaling.member import Lifecycle


class TargetGroups:
    """Operations on target groups. Instances follow soon: they are registered or deregistered."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def attach_load_balancer_target_groups(self, parameters: Parameters) -> Answer:
        """Let the instances serve more target groups."""
        group = self._context.group(parameters)
        arns = list(parameters["TargetGroupARNs"])
        self._context.facts.check_target_groups(arns)
        self._set(group, tuple(dict.fromkeys([*group.settings.target_groups, *arns])))
        return {}

    def detach_load_balancer_target_groups(self, parameters: Parameters) -> Answer:
        """Let the instances serve fewer target groups."""
        group = self._context.group(parameters)
        gone = set(parameters["TargetGroupARNs"])
        self._set(group, tuple(arn for arn in group.settings.target_groups if arn not in gone))
        return {}

    def describe_load_balancer_target_groups(self, parameters: Parameters) -> Answer:
        """Show the target groups, and whether the instances are registered."""
        group = self._context.group(parameters)
        shown, following = page(group.settings.target_groups, parameters, usual=100, most=100)
        states = [{"LoadBalancerTargetGroupARN": arn, "State": self._state(group, arn)} for arn in shown]
        return {"LoadBalancerTargetGroups": states, **following}

    def _state(self, group: Group, arn: str) -> str:
        serving = group.in_state(Lifecycle.IN_SERVICE)
        if not all(arn in member.target_groups for member in serving):
            return "Adding"
        return "InService" if serving and group.settings.checks_targets else "Added"

    def _set(self, group: Group, arns: tuple[str, ...]) -> None:
        group.settings = replace(group.settings, target_groups=arns)
        look_at_serving(group)
        group.look_at_moving()
        self._context.wake(group.name)


def look_at_serving(group: Group) -> None:
    """See to it that the next look takes in every instance in service."""
    for member in group.in_state(Lifecycle.IN_SERVICE):
        group.look_at(member)
