# SPDX-License-Identifier: Apache-2.0
"""Correct moto's listener rules, as `balancer_corrections` does its balancers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.elbv2 import exceptions
from moto.elbv2.models import ELBv2Backend

from sandbox.api.errors import AwsError, unsupported
from sandbox.api.patches import Patches
from sandbox.balancing.actions import check_actions, refresh

_FIRST_PRIORITY, _LAST_PRIORITY = 1, 50000


def install(patches: Patches) -> None:
    """Put the corrections in place."""
    own = {
        "create_rule": _create_rule,
        "modify_rule": _modify_rule,
        "delete_rule": _delete_rule,
        "set_rule_priorities": _set_rule_priorities,
    }
    for name, make in own.items():
        patches.replace(ELBv2Backend, name, make(getattr(ELBv2Backend, name)))


def _create_rule(original: Callable[..., Any]) -> Callable[..., Any]:
    def create(
        backend: Any, listener_arn: str, conditions: Any, priority: Any, actions: Any, **options: Any
    ) -> Any:
        """Compare priorities as numbers."""
        check_actions(backend, actions, load_balancer_arn=_balancer_of(backend, listener_arn))
        _check_conditions(conditions)
        number = _priority(priority)
        made = original(backend, listener_arn, conditions, number, actions, **options)
        refresh(backend)
        return made

    return create


def _modify_rule(original: Callable[..., Any]) -> Callable[..., Any]:
    def modify(backend: Any, rule_arn: str, conditions: Any, actions: Any) -> Any:
        """Check before changing. The default rule changes with its listener only."""
        rule = backend.describe_rules(listener_arn=None, rule_arns=[rule_arn])[0]
        if rule.is_default:
            raise AwsError("OperationNotPermitted", f"Default rule '{rule_arn}' cannot be modified")
        if actions:
            check_actions(backend, actions, load_balancer_arn=_balancer_of(backend, rule.listener_arn))
        _check_conditions(conditions or ())
        changed = original(backend, rule_arn, conditions, actions)
        refresh(backend)
        return changed

    return modify


def _delete_rule(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete(backend: Any, arn: str) -> None:
        """Refuse what is not there, and the default rule."""
        rule = backend.describe_rules(listener_arn=None, rule_arns=[arn])[0]
        if rule.is_default:
            raise AwsError("OperationNotPermitted", f"Default rule '{arn}' cannot be deleted")
        original(backend, arn)
        refresh(backend)

    return delete


def _set_rule_priorities(original: Callable[..., Any]) -> Callable[..., Any]:
    del original

    def set_priorities(backend: Any, rule_priorities: list[dict[str, Any]]) -> list[Any]:
        """Let rules change places in one call; only a rule that is not in it can be in the way."""
        wanted = {each["RuleArn"]: _priority(each["Priority"]) for each in rule_priorities}
        if len(set(wanted.values())) < len(rule_priorities):
            raise exceptions.DuplicatePriorityError(str(rule_priorities[0]["Priority"]))
        rules = backend.describe_rules(listener_arn=None, rule_arns=list(wanted))
        for rule in rules:
            listener = backend.describe_listeners(None, [rule.listener_arn])[0]
            others = [each for each in listener.rules.values() if each.arn not in wanted]
            if rule.is_default:
                raise AwsError("OperationNotPermitted", f"The priority of rule '{rule.arn}' is fixed")
            if any(each.priority == wanted[rule.arn] for each in others):
                raise exceptions.PriorityInUseError()
        for rule in rules:
            rule.priority = wanted[rule.arn]
        return list(rules)

    return set_priorities


def _balancer_of(backend: Any, listener_arn: str) -> str:
    return str(backend.describe_listeners(None, [listener_arn])[0].load_balancer_arn)


def _priority(value: Any) -> int:
    number = int(value)
    if not _FIRST_PRIORITY <= number <= _LAST_PRIORITY:
        raise AwsError("ValidationError", f"Priority must be between {_FIRST_PRIORITY} and {_LAST_PRIORITY}")
    return number


def _check_conditions(conditions: Any) -> None:
    for condition in conditions:
        if others := sorted(name for name in condition if name.startswith("Regex")):
            raise unsupported(f"elbv2 with condition {others[0]}")
        for name, config in condition.items():
            if name.endswith("Config") and "RegexValues" in config:
                raise unsupported(f"elbv2 with {name}.RegexValues")
