# SPDX-License-Identifier: Apache-2.0
"""What groups did.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeScalingActivities.html
"""

from __future__ import annotations

from sandbox.autoscaling.api import shapes
from sandbox.autoscaling.api.context import Answer, Context, Parameters, page


class Activities:
    """Operations on activities."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def describe_scaling_activities(self, parameters: Parameters) -> Answer:
        """Show what groups did, the latest first."""
        state = self._context.state()
        name = parameters.get("AutoScalingGroupName")
        if name is not None and name not in state.groups and not parameters.get("IncludeDeletedGroups"):
            self._context.group(parameters)
        if name is not None:
            found = state.activities.get(name, [])[::-1]
        else:
            every = [each for some in state.activities.values() for each in some]
            found = sorted(every, key=lambda each: each.started_at, reverse=True)
        alive = {group.arn for group in state.groups.values()}
        if not parameters.get("IncludeDeletedGroups"):
            found = [each for each in found if each.group_arn in alive]
        if ids := parameters.get("ActivityIds"):
            found = [each for each in found if each.activity_id in ids]
        shown, following = page(found, parameters, usual=100, most=100)
        return {
            "Activities": [shapes.activity(each, is_deleted=each.group_arn not in alive) for each in shown],
            **following,
        }
