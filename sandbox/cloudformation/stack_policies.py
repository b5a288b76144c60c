# SPDX-License-Identifier: Apache-2.0
"""Decide whether a stack's policy lets an update touch a resource.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html
With a policy everything is denied that it does not allow, and a denial beats what is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from sandbox.cloudformation.stacks import StackResource
from sandbox.cloudformation.template import invalid


def check(body: str) -> None:
    """Refuse a text that is no stack policy.

    Raises:
        AwsError: ValidationError.
    """
    try:
        statements = json.loads(body)["Statement"]
    except (ValueError, KeyError, TypeError) as error:
        raise invalid("Error validating stack policy: Invalid stack policy") from error
    for each in statements:
        if each.get("Effect") not in ("Allow", "Deny") or not _named(each, "Resource"):
            raise invalid("Error validating stack policy: Invalid stack policy")


def denial(body: str | None, action: str, resource: StackResource) -> str | None:
    """Return why the policy forbids `action` (`Update:Modify`, ..) on the resource; None if it doesn't."""
    if body is None:
        return None
    matching = [each for each in json.loads(body)["Statement"] if _matches(each, action, resource)]
    is_allowed = any(each["Effect"] == "Allow" for each in matching)
    is_denied = any(each["Effect"] == "Deny" for each in matching)
    if is_allowed and not is_denied:
        return None
    what = "denied by" if is_denied else "not allowed by"
    return f"Action {what} stack policy: {action} of LogicalResourceId/{resource.logical_id}"


def _matches(statement: Mapping[str, Any], action: str, resource: StackResource) -> bool:
    return (
        _chosen(statement, "Action", action)
        and _chosen(statement, "Resource", f"LogicalResourceId/{resource.logical_id}")
        and _type_matches(statement, resource.type_name)
    )


def _chosen(statement: Mapping[str, Any], name: str, value: str) -> bool:
    if f"Not{name}" in statement:
        return not any(fnmatchcase(value, each) for each in _listed(statement[f"Not{name}"]))
    return any(fnmatchcase(value, each) for each in _listed(statement.get(name, ())))


def _type_matches(statement: Mapping[str, Any], type_name: str) -> bool:
    for operator, stated in (statement.get("Condition") or {}).items():
        types = _listed(stated.get("ResourceType", ()))
        is_like = operator == "StringLike"
        if not any(fnmatchcase(type_name, each) if is_like else type_name == each for each in types):
            return False
    return True


def _named(statement: Mapping[str, Any], name: str) -> bool:
    return name in statement or f"Not{name}" in statement


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
