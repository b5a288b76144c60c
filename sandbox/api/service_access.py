# SPDX-License-Identifier: Apache-2.0
"""Whether a resource's policy lets a service of AWS do something, as AWS checks when it is told to."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping
from typing import Any

from sandbox.api.iam_conditions import is_met


def allows(policy: str, principal: str, action: str, *, keys: Mapping[str, str]) -> bool:
    """Whether a statement of the policy allows it; `keys` are those that the request would carry."""
    carried = {"aws:securetransport": "true", **keys}
    return any(
        statement["Effect"] == "Allow"
        and _names(statement.get("Principal"), principal)
        and any(fnmatch.fnmatchcase(action.lower(), each.lower()) for each in listed(statement.get("Action")))
        and is_met(statement.get("Condition") or {}, carried)
        for statement in listed(json.loads(policy).get("Statement"))
    )


def listed(value: Any) -> list[Any]:
    """Return what may stand alone or in a list as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _names(principal: Any, service: str) -> bool:
    if isinstance(principal, Mapping):
        return service in listed(principal.get("Service")) or "*" in listed(principal.get("AWS"))
    return bool(principal == "*")
