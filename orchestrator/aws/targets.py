# SPDX-License-Identifier: Apache-2.0
"""What load balancers think of machines."""

from __future__ import annotations

from orchestrator.aws.session import AwsSession, translated
from orchestrator.domain.fleet import TargetHealth


class AwsTargets:
    """The target groups of one region."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    @translated
    def health(self, target_group_arn: str) -> tuple[TargetHealth, ...]:
        """Return all targets of a target group, in one call.

        https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetHealth.html
        """
        found = self._session.client("elbv2").describe_target_health(TargetGroupArn=target_group_arn)
        return tuple(
            TargetHealth(
                instance_id=each["Target"]["Id"],
                state=each["TargetHealth"]["State"],
                reason=each["TargetHealth"].get("Reason", ""),
            )
            for each in found["TargetHealthDescriptions"]
        )
