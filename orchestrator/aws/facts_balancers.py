# SPDX-License-Identifier: Apache-2.0
"""How many targets load balancers have and take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.aws.session import AwsSession, translated
from orchestrator.domain.preflight.facts import TargetLimits
from orchestrator.errors import AwsError

_PER_GROUP = "targets-per-target-group"
_PER_APPLICATION_BALANCER = "targets-per-application-load-balancer"
_PER_NETWORK_BALANCER = "targets-per-network-load-balancer"
# Each target group's targets take a call; an application load balancer may have a hundred target groups.
_MOST_GROUPS = 20


class AwsBalancerFacts:
    """Elastic Load Balancing of one account and region."""

    _session: AwsSession

    @property
    def _elb(self) -> Any:
        return self._session.client("elbv2")

    @translated
    def target_limits(self) -> TargetLimits:
        """Return how many targets target groups and load balancers take.

        https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
        """
        pages = self._elb.get_paginator("describe_account_limits").paginate()
        told = {raw["Name"]: int(raw["Max"]) for page in pages for raw in page["Limits"]}
        names = (_PER_GROUP, _PER_APPLICATION_BALANCER, _PER_NETWORK_BALANCER)
        if missing := [name for name in names if name not in told]:
            raise AwsError("elbv2", "DescribeAccountLimits", "NoSuchLimit", f"no limit {', '.join(missing)}")
        return TargetLimits(*(told[name] for name in names))

    @translated
    def balancer_targets(self, target_group_arns: Sequence[str]) -> Mapping[str, int]:
        """Return how many targets are behind each load balancer in front of these target groups.

        Raises:
            AwsError: Code TooManyTargetGroups when the count would take too many calls.
        """
        own = self._elb.describe_target_groups(TargetGroupArns=list(target_group_arns))["TargetGroups"]
        balancers = sorted({arn for raw in own for arn in raw["LoadBalancerArns"]})
        groups = {arn: self._groups_of(arn) for arn in balancers}
        every = sorted({group for of_one in groups.values() for group in of_one})
        if len(every) > _MOST_GROUPS:
            why = f"{len(every)} target groups are behind the load balancers, more than {_MOST_GROUPS}"
            raise AwsError("elbv2", "DescribeTargetHealth", "TooManyTargetGroups", why)
        counts = {arn: self._count(arn) for arn in every}
        return {_name(arn): sum(counts[group] for group in of_one) for arn, of_one in groups.items()}

    def _groups_of(self, balancer_arn: str) -> list[str]:
        pages = self._elb.get_paginator("describe_target_groups").paginate(LoadBalancerArn=balancer_arn)
        return [raw["TargetGroupArn"] for page in pages for raw in page["TargetGroups"]]

    def _count(self, target_group_arn: str) -> int:
        found = self._elb.describe_target_health(TargetGroupArn=target_group_arn)
        return len(found["TargetHealthDescriptions"])


def _name(balancer_arn: str) -> str:
    """Return a load balancer as its ARN names it: `app/<name>/<id>`."""
    return balancer_arn.partition(":loadbalancer/")[2]
