# SPDX-License-Identifier: Apache-2.0
"""Operations on lifecycle hooks.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox.api.errors import AwsError
from sandbox.autoscaling.api import shapes
from sandbox.autoscaling.api.context import Answer, Context, Parameters, invalid
from sandbox.autoscaling.group import Group
from sandbox.autoscaling.member import ON_LAUNCH, ON_TERMINATION, Hook, HookAction, Member

_MOST_HOOKS = 50
_SHORTEST_S, _LONGEST_S = 30, 7200
_RESULTS = ("CONTINUE", "ABANDON")
_ATTRIBUTES = {
    "HeartbeatTimeout": "heartbeat_s",
    "DefaultResult": "default_result",
    "NotificationTargetARN": "target_arn",
    "RoleARN": "role_arn",
    "NotificationMetadata": "metadata",
}


class Hooks:
    """Operations on lifecycle hooks and on the actions of instances that wait for them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def put_lifecycle_hook(self, parameters: Parameters) -> Answer:
        """Make or change a hook; instances that wait already keep the hook they wait for."""
        group = self._context.group(parameters)
        name = parameters["LifecycleHookName"]
        before = group.hooks.get(name)
        if before is None and len(group.hooks) >= _MOST_HOOKS:
            raise AwsError("LimitExceeded", f"A group has at most {_MOST_HOOKS} lifecycle hooks.")
        group.hooks[name] = new_hook(parameters, before)
        return {}

    def describe_lifecycle_hooks(self, parameters: Parameters) -> Answer:
        """Show a group's hooks."""
        group = self._context.group(parameters)
        names = parameters.get("LifecycleHookNames") or sorted(group.hooks)
        return {
            "LifecycleHooks": [shapes.hook(group, group.hooks[name]) for name in names if name in group.hooks]
        }

    def delete_lifecycle_hook(self, parameters: Parameters) -> Answer:
        """Remove a hook; what waits for it waits no longer, as if it had been completed."""
        group = self._context.group(parameters)
        hook = self._hook(group, parameters)
        del group.hooks[hook.name]
        for member in group.in_motion():
            for action in member.actions:
                if action.hook.name == hook.name and action.result is None:
                    action.result = action.hook.default_result
                    action.how = "Lifecycle hook deleted"
                    group.look_at(member)
        self._context.wake(group.name)
        return {}

    def complete_lifecycle_action(self, parameters: Parameters) -> Answer:
        """Let an instance go on, or give it up."""
        group = self._context.group(parameters)
        result = parameters["LifecycleActionResult"]
        if result not in _RESULTS:
            raise invalid("LifecycleActionResult must be CONTINUE or ABANDON.")
        action, member = self._action(group, parameters)
        action.result = result
        action.how = f"Lifecycle Action Completed with {result} Result"
        group.look_at(member)
        self._context.wake(group.name)
        return {}

    def record_lifecycle_action_heartbeat(self, parameters: Parameters) -> Answer:
        """Begin the heartbeat timeout again."""
        group = self._context.group(parameters)
        action, _ = self._action(group, parameters)
        action.beat(self._context.now())
        self._context.wake(group.name)
        return {}

    def describe_lifecycle_hook_types(self, parameters: Parameters) -> Answer:
        """Show the transitions that a hook may have."""
        del parameters
        return {"LifecycleHookTypes": [ON_LAUNCH, ON_TERMINATION]}

    def _hook(self, group: Group, parameters: Parameters) -> Hook:
        hook = group.hooks.get(parameters["LifecycleHookName"])
        if hook is None:
            raise invalid(f"Lifecycle Hook with name {parameters['LifecycleHookName']} does not exist")
        return hook

    def _action(self, group: Group, parameters: Parameters) -> tuple[HookAction, Member]:
        token, instance_id = parameters.get("LifecycleActionToken"), parameters.get("InstanceId")
        if not token and not instance_id:
            raise invalid("Either an instance ID or a lifecycle action token is required.")
        for member in group.in_motion():
            for action in member.actions:
                is_asked = action.hook.name == parameters["LifecycleHookName"] and action.result is None
                if is_asked and token in (None, action.token) and instance_id in (None, member.instance_id):
                    return action, member
        what = f"instance ID {instance_id}" if instance_id else f"token {token}"
        raise invalid(f"No active Lifecycle Action found with {what}")


def new_hook(given: Mapping[str, Any], before: Hook | None = None) -> Hook:
    """Return a hook as a request describes it, or what the request makes of the one there is."""
    transition = given.get("LifecycleTransition") or (before.transition if before else None)
    if transition not in (ON_LAUNCH, ON_TERMINATION):
        raise invalid(
            f"Lifecycle transition {transition} is not valid; it is {ON_LAUNCH} or {ON_TERMINATION}."
        )
    hook = before or Hook(given["LifecycleHookName"], transition)
    changes = {attribute: given[name] for name, attribute in _ATTRIBUTES.items() if name in given}
    hook = replace(hook, transition=transition, **changes)
    if not _SHORTEST_S <= hook.heartbeat_s <= _LONGEST_S:
        raise invalid(f"Heartbeat timeout must be between {_SHORTEST_S} and {_LONGEST_S} seconds.")
    if hook.default_result not in _RESULTS:
        raise invalid("Lifecycle hook default result must be CONTINUE or ABANDON.")
    if hook.target_arn and not hook.role_arn:
        raise invalid("A lifecycle hook with a notification target needs a role.")
    return hook
