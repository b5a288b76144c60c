# SPDX-License-Identifier: Apache-2.0
"""What of a template refers to what, and the order that follows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.cloudformation.template import Template, invalid

# ${!Literal} stays as it is.
VARIABLE = re.compile(r"\$\{([^!{}][^{}]*)\}")
_PSEUDO = "AWS::"


@dataclass(frozen=True, slots=True)
class Reference:
    """A Ref (no attribute) or a Fn::GetAtt, as such or within Fn::Sub."""

    name: str
    attribute: str | None = None


def references(value: Any) -> Iterator[Reference]:
    """Find all references within a value, pseudo parameters left out."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        if len(value) == 1:
            (function, argument) = next(iter(value.items()))
            if function in _FUNCTIONS:
                yield from _FUNCTIONS[function](argument)
                return
        for item in value.values():
            yield from references(item)


def _ref(argument: Any) -> Iterator[Reference]:
    if isinstance(argument, str) and not argument.startswith(_PSEUDO):
        yield Reference(argument)


def _get_att(argument: Any) -> Iterator[Reference]:
    if isinstance(argument, str):
        argument = argument.split(".", 1)
    if isinstance(argument, list) and argument and isinstance(argument[0], str):
        attribute = ".".join(part for part in argument[1:] if isinstance(part, str))
        yield Reference(argument[0], attribute)
        yield from references(argument[1:])


def _sub(argument: Any) -> Iterator[Reference]:
    text: Any = argument
    variables: dict[str, Any] = {}
    if isinstance(argument, list) and argument:
        text, variables = argument[0], argument[1] if len(argument) > 1 else {}
        yield from references(variables)
    if not isinstance(text, str):
        return
    for name in map(str.strip, VARIABLE.findall(text)):
        if name in variables or name.startswith(_PSEUDO):
            continue
        logical_id, dot, attribute = name.partition(".")
        yield Reference(logical_id, attribute if dot else None)


_FUNCTIONS = {"Ref": _ref, "Fn::GetAtt": _get_att, "Fn::Sub": _sub}


def check_references(template: Template) -> None:
    """Refuse a template that refers to something it does not have.

    Raises:
        AwsError: ValidationError that names what is missing.
    """
    _check_conditions(template)
    resources = set(template.resources)
    for section, known in (
        ("Resources", resources | set(template.section("Parameters"))),
        ("Outputs", resources | set(template.section("Parameters"))),
        ("Conditions", set(template.section("Parameters"))),
    ):
        found = list(references(template.section(section)))
        if missing := sorted({each.name for each in found if each.attribute is None} - known):
            raise invalid(
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] "
                f"in the {section} block of the template"
            )
        for each in found:
            if each.attribute is not None and each.name not in resources:
                raise invalid(
                    f"Template error: instance of Fn::GetAtt references undefined resource {each.name}"
                )
    for logical_id, resource in template.resources.items():
        if missing := sorted(set(depends_on(resource)) - resources):
            raise invalid(
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] "
                f"in the Resources block of the template ({logical_id}.DependsOn)"
            )


def _check_conditions(template: Template) -> None:
    known = template.section("Conditions").keys()
    for section in ("Resources", "Outputs"):
        stated = {each["Condition"] for each in template.section(section).values() if "Condition" in each}
        if missing := sorted(stated - known):
            raise invalid(
                f"Template format error: Unresolved condition dependency {missing[0]} "
                f"in the {section} block of the template"
            )


def depends_on(resource: Mapping[str, Any]) -> list[str]:
    """Return the names in DependsOn."""
    stated = resource.get("DependsOn") or []
    return [stated] if isinstance(stated, str) else list(stated)


def dependencies(template: Template, conditions: Mapping[str, bool]) -> dict[str, frozenset[str]]:
    """Return for each resource that the conditions keep what it needs first.

    Raises:
        AwsError: ValidationError, when resources need each other.
    """
    kept = {
        name: resource
        for name, resource in template.resources.items()
        if conditions.get(resource.get("Condition", ""), True)
    }
    graph = {
        name: frozenset(
            {each.name for each in references(resource.get("Properties") or {})} | set(depends_on(resource))
        )
        & kept.keys()
        for name, resource in kept.items()
    }
    in_order(graph)
    return graph


def in_order(graph: Mapping[str, frozenset[str]]) -> list[str]:
    """Return names, each after what it needs, otherwise in the order they are given.

    Raises:
        AwsError: ValidationError, when some need each other.
    """
    done: dict[str, None] = {}
    waiting = dict(graph)
    while waiting:
        ready = [name for name, needs in waiting.items() if needs <= done.keys()]
        if not ready:
            raise invalid(f"Circular dependency between resources: [{', '.join(sorted(_cycle(waiting)))}]")
        for name in ready:
            done[name] = None
            del waiting[name]
    return list(done)


def _cycle(waiting: Mapping[str, frozenset[str]]) -> set[str]:
    """Leave out what only hangs on a cycle: whatever nothing else that waits needs."""
    names = set(waiting)
    while needless := names - {need for name in names for need in waiting[name]}:
        names -= needless
    return names
