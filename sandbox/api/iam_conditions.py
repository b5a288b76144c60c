# SPDX-License-Identifier: Apache-2.0
"""Evaluate the conditions of policies.

moto takes an operator it does not know for fulfilled, so the usual "deny when not aws:SecureTransport" would
deny everything; and it takes a condition that is not met for a denial.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from moto.iam.access_control import IAMPolicyStatement, PermissionResult

from sandbox.api.calls import Environ
from sandbox.api.errors import unsupported
from sandbox.api.patches import Patches

# The request being answered, for the keys that come from it.
current_environ: ContextVar[Environ | None] = ContextVar("current_environ", default=None)

Keys = Mapping[str, str]


def _wildcard(wanted: str, actual: str) -> bool:
    return fnmatch.fnmatchcase(actual, wanted.replace("[", "[[]"))


def _in_network(wanted: str, actual: str) -> bool:
    return ipaddress.ip_address(actual) in ipaddress.ip_network(wanted, strict=False)


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda wanted, actual: compare(float(actual), float(wanted))


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringEqualsIgnoreCase": lambda wanted, actual: wanted.lower() == actual.lower(),
    "StringLike": _wildcard,
    "ArnEquals": _wildcard,
    "ArnLike": _wildcard,
    "Bool": lambda wanted, actual: wanted.lower() == actual.lower(),
    "IpAddress": _in_network,
    "NumericEquals": _number(lambda actual, wanted: actual == wanted),
    "NumericLessThan": _number(lambda actual, wanted: actual < wanted),
    "NumericLessThanEquals": _number(lambda actual, wanted: actual <= wanted),
    "NumericGreaterThan": _number(lambda actual, wanted: actual > wanted),
    "NumericGreaterThanEquals": _number(lambda actual, wanted: actual >= wanted),
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
}


def install(patches: Patches) -> None:
    """Replace moto's evaluation."""
    patches.replace(IAMPolicyStatement, "_check_conditions", _check)
    patches.replace(
        IAMPolicyStatement, "is_action_permitted", _permitted(IAMPolicyStatement.is_action_permitted)
    )


def is_met(conditions: Mapping[str, Mapping[str, Any]], keys: Keys) -> bool:
    """Whether every condition holds for the request with these keys."""
    return all(
        _holds(operator, _as_list(wanted), keys.get(key.lower()))
        for operator, expected in conditions.items()
        for key, wanted in expected.items()
    )


def keys_of(environ: Environ | None) -> dict[str, str]:
    """Return the condition keys that the request itself gives, by lower-case name.

    Loopback stands for TLS: there is no certificate to have here, and policies that insist on it shall not
    have to be written differently for the local region.
    """
    keys = {"aws:securetransport": "true"}
    if environ is None:
        return keys
    keys["aws:sourceip"] = environ.get("REMOTE_ADDR", "127.0.0.1")
    for name, value in environ.items():
        if name.startswith("HTTP_X_AMZ_"):
            keys[f"s3:{name.removeprefix('HTTP_').replace('_', '-').lower()}"] = value
    return keys


def _permitted(original: Callable[..., PermissionResult]) -> Callable[..., PermissionResult]:
    def is_action_permitted(
        statement: Any,
        action: str,
        resource: str = "*",
        principal: str | None = None,
        incoming_condition_values: dict[str, str] | None = None,
    ) -> PermissionResult:
        """Leave a statement aside whose conditions do not hold."""
        if not _check(statement, incoming_condition_values):
            return PermissionResult.NEUTRAL
        return original(statement, action, resource, principal, incoming_condition_values)

    return is_action_permitted


def _check(statement: Any, incoming_condition_values: dict[str, str] | None) -> bool:
    given = {key.lower(): value for key, value in (incoming_condition_values or {}).items()}
    return is_met(statement._statement.get("Condition") or {}, keys_of(current_environ.get()) | given)


def _holds(operator: str, wanted: list[str], actual: str | None) -> bool:
    operator = operator.rpartition(":")[2]
    if operator == "Null":
        return (actual is None) is (wanted[0].lower() == "true")
    if operator.endswith("IfExists"):
        return actual is None or _holds(operator.removesuffix("IfExists"), wanted, actual)
    if operator in _NEGATED:
        return actual is None or not any(_OPERATORS[_NEGATED[operator]](each, actual) for each in wanted)
    if operator not in _OPERATORS:
        raise unsupported(f"The policy condition operator {operator}")
    return actual is not None and any(_OPERATORS[operator](each, actual) for each in wanted)


def _as_list(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(each) for each in values]
