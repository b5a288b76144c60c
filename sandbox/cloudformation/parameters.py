# SPDX-License-Identifier: Apache-2.0
"""Give a template's parameters their values.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.cloudformation.template import Template, as_text, invalid

_PLAIN = frozenset({"String", "Number", "CommaDelimitedList", "List<Number>", "List<String>"})
_AWS_SPECIFIC = re.compile(r"(AWS::[A-Za-z0-9]+::[A-Za-z0-9:.]+|List<AWS::[A-Za-z0-9]+::[A-Za-z0-9:.]+>)")
_STORED = re.compile(r"AWS::SSM::Parameter::Value<(?P<kind>.+)>")


def given(
    template: Template, stated: Sequence[Mapping[str, Any]], previous: Mapping[str, str] | None
) -> dict[str, str]:
    """Return the value of every parameter, checked.

    Args:
        template: The template.
        stated: The caller's `Parameters`.
        previous: The values of the stack as it is; None when it is made.

    Raises:
        AwsError: ValidationError in AWS's words.
    """
    known = template.section("Parameters")
    if strangers := sorted({each["ParameterKey"] for each in stated} - known.keys()):
        raise invalid(f"Parameters: [{', '.join(strangers)}] do not exist in the template")
    values = {name: as_text(it["Default"]) for name, it in known.items() if "Default" in it}
    values |= {each["ParameterKey"]: _stated(each, previous or {}) for each in stated}
    if missing := [name for name in known if name not in values]:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    for name, described in known.items():
        _check(name, described, values[name])
    return values


def _stated(each: Mapping[str, Any], previous: Mapping[str, str]) -> str:
    name = each["ParameterKey"]
    if not each.get("UsePreviousValue"):
        return str(each.get("ParameterValue", ""))
    if name not in previous:
        raise invalid(f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true")
    return previous[name]


def kind_of(described: Mapping[str, Any]) -> tuple[str, bool]:
    """Return a parameter's type, and whether its value is the name of one in the parameter store."""
    kind = str(described.get("Type"))
    stored = _STORED.fullmatch(kind)
    return (stored["kind"], True) if stored else (kind, False)


def are_stored(template: Template) -> bool:
    """Return whether any value of a parameter has to be looked up."""
    return any(kind_of(described)[1] for described in template.section("Parameters").values())


def resolved(
    template: Template, values: Mapping[str, str], look_up: Callable[[str], str]
) -> dict[str, str | list[str]]:
    """Return parameters as the template uses them: lists as lists, and what the parameter store has."""
    found: dict[str, str | list[str]] = {}
    for name, described in template.section("Parameters").items():
        kind, is_stored = kind_of(described)
        text = look_up(values[name]) if is_stored else values[name]
        found[name] = _items(text) if _is_list(kind) else text
    return found


def _is_list(kind: str) -> bool:
    return kind == "CommaDelimitedList" or kind.startswith("List<")


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")] if text else []


def _check(name: str, described: Mapping[str, Any], value: str) -> None:
    kind, is_stored = kind_of(described)
    if kind not in _PLAIN and not _AWS_SPECIFIC.fullmatch(kind):
        raise invalid(f"Template format error: Unrecognized parameter type: {kind}")
    if is_stored:
        return
    problem = _problem(name, described, kind, value)
    if problem is not None:
        raise invalid(described.get("ConstraintDescription") and _constraint(name, described) or problem)


def _constraint(name: str, described: Mapping[str, Any]) -> str:
    return f"Parameter '{name}' failed to satisfy constraint: {described['ConstraintDescription']}"


def _problem(name: str, described: Mapping[str, Any], kind: str, value: str) -> str | None:
    items = _items(value) if _is_list(kind) else [value]
    for item in items:
        if kind in ("Number", "List<Number>") and not _is_number(item):
            return f"Parameter '{name}' must be a number."
        allowed = [as_text(each) for each in described.get("AllowedValues", ())]
        if allowed and item not in allowed:
            return f"Parameter '{name}' must be one of AllowedValues"
        pattern = described.get("AllowedPattern")
        if pattern is not None and not re.fullmatch(pattern, item):
            return f"Parameter '{name}' must match pattern {pattern}"
    return _length_problem(name, described, value) or _range_problem(name, described, kind, value)


def _length_problem(name: str, described: Mapping[str, Any], value: str) -> str | None:
    if len(value) < int(described.get("MinLength", 0)):
        return f"Parameter '{name}' must contain at least {described['MinLength']} characters"
    if "MaxLength" in described and len(value) > int(described["MaxLength"]):
        return f"Parameter '{name}' must contain at most {described['MaxLength']} characters"
    return None


def _range_problem(name: str, described: Mapping[str, Any], kind: str, value: str) -> str | None:
    if kind != "Number":
        return None
    if "MinValue" in described and float(value) < float(described["MinValue"]):
        return f"Parameter '{name}' must be a number not less than {described['MinValue']}"
    if "MaxValue" in described and float(value) > float(described["MaxValue"]):
        return f"Parameter '{name}' must be a number not greater than {described['MaxValue']}"
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
