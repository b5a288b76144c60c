# SPDX-License-Identifier: Apache-2.0
"""Check the actions of rules, and note which balancers use each target group."""

from __future__ import annotations

from typing import Any

from moto.elbv2 import exceptions

from sandbox.api.errors import AwsError, unsupported
from sandbox.balancing.state import used_groups

_ACTIONS = ("forward", "redirect", "fixed-response")


def refresh(backend: Any) -> None:
    """Write down anew which balancers use each target group; moto only ever adds to it."""
    users: dict[str, list[str]] = {}
    for arn, record in backend.load_balancers.items():
        for group in used_groups(record):
            users.setdefault(group, []).append(arn)
    for arn, group in backend.target_groups.items():
        group.load_balancer_arns = users.get(arn, [])


def check_actions(backend: Any, actions: Any, *, load_balancer_arn: str) -> None:
    """Refuse actions that this region has not, and target groups that are not there."""
    if len(actions) != 1:
        raise unsupported(f"elbv2 with {len(actions)} actions in a rule")
    action = actions[0]
    if action["Type"] not in _ACTIONS:
        raise unsupported(f"elbv2 with action {action['Type']}")
    config = action.get("ForwardConfig", {})
    if _is_true(config.get("TargetGroupStickinessConfig", {}).get("Enabled", False)):
        raise unsupported("elbv2 with ForwardConfig.TargetGroupStickinessConfig")
    for arn in backend._get_target_group_arns_from(action_data=action):
        if arn not in backend.target_groups:
            raise exceptions.ActionTargetGroupNotFoundError(arn)
        if any(user != load_balancer_arn for user in backend.target_groups[arn].load_balancer_arns):
            message = f"Target group '{arn}' cannot be associated with more than one load balancer"
            raise AwsError("TargetGroupAssociationLimit", message)


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"
