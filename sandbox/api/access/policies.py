# SPDX-License-Identifier: Apache-2.0
"""Decide from policies whether an action on a resource is allowed. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sandbox.api.iam_conditions import is_met

Policy = Mapping[str, Any]
_VARIABLE = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True, slots=True)
class Need:
    """One permission that a call needs. `keys` are the condition keys of it, by lower-case name."""

    action: str
    resource: str
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a need is not met, in AWS's words."""

    need: Need
    reason: str


def deny(need: Need, policies: Sequence[Policy], boundary: Policy | None = None) -> Denial | None:
    """Return why the policies of an identity don't allow what is needed, or None if they do."""
    every = [*policies, *([boundary] if boundary else [])]
    if any(_applies(statement, need) for statement in _statements(every, "Deny")):
        return Denial(need, f"with an explicit deny in an identity-based policy: {need.action}")
    if not any(_applies(statement, need) for statement in _statements(policies, "Allow")):
        return Denial(need, f"because no identity-based policy allows the {need.action} action")
    if boundary and not any(_applies(statement, need) for statement in _statements([boundary], "Allow")):
        return Denial(need, f"because no permissions boundary allows the {need.action} action")
    return None


def _statements(policies: Iterable[Policy], effect: str) -> Iterator[Mapping[str, Any]]:
    for policy in policies:
        for statement in _listed(policy.get("Statement")):
            if statement.get("Effect") == effect:
                yield statement


def _applies(statement: Mapping[str, Any], need: Need) -> bool:
    return (
        _names(_lowered(statement), "Action", need.action.lower(), need.keys)
        and _names(statement, "Resource", need.resource, need.keys)
        and is_met(_filled_conditions(statement.get("Condition") or {}, need.keys), need.keys)
    )


def _names(
    statement: Mapping[str, Any],
    element: str,
    actual: str,
    keys: Mapping[str, str],
    *,
    is_action: bool = False,
) -> bool:
    """Whether the element, or its Not form, covers the value."""
    if f"Not{element}" in statement:
        listed = _listed(statement[f"Not{element}"])
        return not any(_matches(_filled(each, keys), actual, is_action) for each in listed)
    return any(_matches(_filled(each, keys), actual, is_action) for each in _listed(statement.get(element)))


def _matches(pattern: str, actual: str, is_action: bool) -> bool:
    return bool(_compiled(pattern, is_action).fullmatch(actual))


@lru_cache(maxsize=4096)
def _compiled(pattern: str, is_action: bool) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(text, re.IGNORECASE | re.DOTALL if is_action else re.DOTALL)


def _lowered(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the statement's actions in lower case: they are the same in any."""
    names = ("Action", "NotAction")
    return {name: [each.lower() for each in _listed(statement[name])] for name in names if name in statement}


def _filled(text: str, keys: Mapping[str, str]) -> str:
    """Put the request's keys in the place of policy variables; an unknown one matches nothing."""
    return _VARIABLE.sub(lambda found: keys.get(found[1].lower(), "\0"), text) if "${" in text else text


def _filled_conditions(
    conditions: Mapping[str, Mapping[str, Any]], keys: Mapping[str, str]
) -> Mapping[str, Mapping[str, Any]]:
    return {
        operator: {
            key: [_filled(str(each), keys) for each in _listed(value)] for key, value in expected.items()
        }
        for operator, expected in conditions.items()
    }


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
