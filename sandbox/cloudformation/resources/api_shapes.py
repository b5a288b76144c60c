# SPDX-License-Identifier: Apache-2.0
"""Turn properties of a template into parameters of an API operation and back, by botocore's shapes.

The two differ by habit: in capital letters (`RoleARN`, `roleARN`), and in lists that CloudFront counts
(`{"Quantity": 1, "Items": [..]}`). What differs by more than that is given as `names`, template to API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import HandlerError

NO_NAMES: Mapping[str, str] = {}


def to_api(shape: Any, value: Any, names: Mapping[str, str] = NO_NAMES) -> Any:
    """Return a template's value as the API takes it."""
    if shape.type_name == "structure":
        if _is_counted(shape):
            return _counted(shape, value, names)
        return {
            member: to_api(shape.members[member], each, names)
            for member, each in _by_member(shape, value, names)
        }
    if shape.type_name == "list":
        return [to_api(shape.member, each, names) for each in value]
    if shape.type_name == "map":
        return {key: to_api(shape.value, each, names) for key, each in value.items()}
    return _scalar(shape, value)


def to_template(
    shape: Any, value: Any, names: Mapping[str, str] = NO_NAMES, *, keeps_items: bool = False
) -> Any:
    """Return an API's value as a template has it; `keeps_items` leaves `Items` above counted lists."""
    back = {api: template for template, api in names.items()}
    return _to_template(shape, value, back, keeps_items)


def _to_template(shape: Any, value: Any, back: Mapping[str, str], keeps_items: bool) -> Any:
    if shape.type_name == "structure":
        if _is_counted(shape):
            items = _to_template(shape.members["Items"], value.get("Items", []), back, keeps_items)
            return {"Items": items} if keeps_items else items
        return {
            back.get(member, member[0].upper() + member[1:]): _to_template(
                shape.members[member], each, back, keeps_items
            )
            for member, each in value.items()
        }
    if shape.type_name == "list":
        return [_to_template(shape.member, each, back, keeps_items) for each in value]
    return value


def _is_counted(shape: Any) -> bool:
    return {"Quantity", "Items"} <= set(shape.members)


def _counted(shape: Any, value: Any, names: Mapping[str, str]) -> dict[str, Any]:
    beside = dict(value) if isinstance(value, Mapping) else {"Items": value}
    items = beside.pop("Items", [])
    if "Enabled" in shape.members:
        beside.setdefault("Enabled", bool(items))
    counted = {"Quantity": len(items), "Items": to_api(shape.members["Items"], items, names)}
    return counted | {
        member: to_api(shape.members[member], each, names)
        for member, each in _by_member(shape, beside, names)
    }


def _by_member(shape: Any, value: Mapping[str, Any], names: Mapping[str, str]) -> list[tuple[str, Any]]:
    lower = {member.lower(): member for member in shape.members}
    found = []
    for name, each in value.items():
        member = lower.get(names.get(name, name).lower())
        if member is None:
            raise HandlerError(f"Encountered unsupported property {name}")
        found.append((member, each))
    return found


def _scalar(shape: Any, value: Any) -> Any:
    if shape.type_name == "string" and not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value
