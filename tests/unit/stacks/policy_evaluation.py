# SPDX-License-Identifier: Apache-2.0
"""Judge a request by policies, as IAM does: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

It knows the operators of our policies only and stops at any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Statement = Mapping[str, Any]
Context = Mapping[str, str]


def is_allowed(
    statements: Iterable[Statement], action: str, resource: str, context: Context | None = None
) -> bool:
    """Tell whether a request is allowed: by one statement, and denied by none."""
    hits = [
        statement["Effect"] for statement in statements if _covers(statement, action, resource, context or {})
    ]
    return "Allow" in hits and "Deny" not in hits


def listed(value: Any) -> list[Any]:
    """Return one or several values as a list."""
    return value if isinstance(value, list) else [value]


def _covers(statement: Statement, action: str, resource: str, context: Context) -> bool:
    return (
        any(_is_like(action.lower(), pattern.lower()) for pattern in listed(statement["Action"]))
        and any(_is_like(resource, pattern) for pattern in listed(statement["Resource"]))
        and all(
            _OPERATORS[operator](context.get(key), [str(each) for each in listed(wanted)])
            for operator, tests in statement.get("Condition", {}).items()
            for key, wanted in tests.items()
        )
    )


def _is_like(value: str, pattern: str) -> bool:
    return bool(re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), value))


def _any_like(value: str | None, wanted: list[str]) -> bool:
    return value is not None and any(_is_like(value, pattern) for pattern in wanted)


# Each gets the value of the request, None if it has none, and what the policy wants.
_OPERATORS: Mapping[str, Callable[[str | None, list[str]], bool]] = {
    "StringEquals": lambda value, wanted: value in wanted,
    "StringNotEquals": lambda value, wanted: value not in wanted,
    "StringLike": _any_like,
    "ArnLike": _any_like,
    "Bool": lambda value, wanted: value in wanted,
    "Null": lambda value, wanted: [str(value is None).lower()] == wanted,
}
