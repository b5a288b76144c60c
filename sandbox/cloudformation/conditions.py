# SPDX-License-Identifier: Apache-2.0
"""The conditions of a template, and whether it has only functions that the region has.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-conditions.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sandbox.api.errors import unsupported
from sandbox.cloudformation.graph import Reference
from sandbox.cloudformation.intrinsics import FUNCTIONS, Lookups, Scope, Unresolvable
from sandbox.cloudformation.template import Template, as_text


def check_functions(template: Template) -> None:
    """Refuse functions and dynamic references that the region does not have, wherever they are.

    Raises:
        AwsError: UnsupportedOperation that names them.
    """
    unknown = sorted(
        set(_function_names(template.document)) - FUNCTIONS.keys() - _LOGIC.keys() - {"Fn::Equals"}
    )
    if "{{resolve:ssm-secure:" in template.body:
        unknown.append("{{resolve:ssm-secure:..}}")
    if unknown:
        raise unsupported(f"cloudformation with {', '.join(unknown)}")


def _function_names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if len(value) == 1:
            yield from (name for name in value if str(name).startswith("Fn::"))
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _function_names(item)


def evaluate_conditions(template: Template, values: Mapping[str, Any], lookups: Lookups) -> dict[str, bool]:
    """Return what each condition of a template is."""
    conditions = _Conditions(template, values, lookups)
    return {name: conditions.named(name, ()) for name in template.section("Conditions")}


class _Conditions:
    def __init__(self, template: Template, values: Mapping[str, Any], lookups: Lookups) -> None:
        self._stated = template.section("Conditions")
        self._known: dict[str, bool] = {}
        self._scope = Scope(template, values, self._known, _no_resource, lookups)

    def named(self, name: str, seen: tuple[str, ...]) -> bool:
        if name in seen:
            raise Unresolvable(f"Template error: Circular dependency between conditions: {', '.join(seen)}")
        if name not in self._stated:
            raise Unresolvable(f"Template error: unresolved condition dependency {name}")
        if name not in self._known:
            self._known[name] = self._evaluate(self._stated[name], (*seen, name))
        return self._known[name]

    def _evaluate(self, expression: Any, seen: tuple[str, ...]) -> bool:
        if not isinstance(expression, dict) or len(expression) != 1:
            raise Unresolvable("Template error: a condition must be one function")
        (function, argument) = next(iter(expression.items()))
        if function == "Condition":
            return self.named(argument, seen)
        if not isinstance(argument, list):
            raise Unresolvable(f"Template error: {function} requires a list")
        if function == "Fn::Equals":
            one, other = (self._scope.resolve(each) for each in argument)
            return as_text(one) == as_text(other)
        if function not in _LOGIC:
            raise Unresolvable(f"Template error: a condition can't be {function}")
        return _LOGIC[function](self._evaluate(each, seen) for each in argument)


_LOGIC: Mapping[str, Callable[[Iterator[bool]], bool]] = {
    "Fn::And": all,
    "Fn::Or": any,
    "Fn::Not": lambda results: not next(results),
}


def _no_resource(reference: Reference) -> Any:
    raise Unresolvable(f"Template error: conditions can't refer to the resource {reference.name}")
