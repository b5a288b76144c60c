# SPDX-License-Identifier: Apache-2.0
"""Resolve intrinsic functions.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
What only an operation will bring is KNOWN_AFTER_APPLY, which every function hands on, as change sets show it.
"""

from __future__ import annotations

import base64
import ipaddress
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sandbox.cloudformation.graph import VARIABLE, Reference
from sandbox.cloudformation.template import Template, as_text
from sandbox.cloudformation.validation import is_function

KNOWN_AFTER_APPLY = "{{changeSet:KNOWN_AFTER_APPLY}}"
NO_VALUE = object()
_CIDR_LIMIT = 256
_PAIR = 2


class Unresolvable(Exception):
    """A function that can't be resolved, in AWS's words."""


class Lookups(Protocol):
    """What functions read from outside the template."""

    def zones(self, region: str) -> list[str]:
        """Return the names of a region's availability zones."""

    def export(self, name: str) -> str:
        """Return the value of an export, or raise Unresolvable."""

    def stack_output(self, stack_name: str, output: str) -> str:
        """Return an output of another stack, or raise Unresolvable."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean.

    Attributes:
        values: Parameters, and pseudo parameters, by name.
        resource: Return what a reference to a resource gives.
    """

    template: Template
    values: Mapping[str, Any]
    conditions: Mapping[str, bool]
    resource: Callable[[Reference], Any]
    lookups: Lookups

    def resolve(self, value: Any) -> Any:
        """Return `value` without functions; absent values (AWS::NoValue) are left out of what holds them."""
        if isinstance(value, list):
            items = (self.resolve(item) for item in value)
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if is_function(value):
            (name, argument) = next(iter(value.items()))
            if name != "Condition":
                return self._call(name, argument)
        resolved = {name: self.resolve(item) for name, item in value.items()}
        return {name: item for name, item in resolved.items() if item is not NO_VALUE}

    def text(self, value: Any, *, where: str) -> str:
        """Return a value that has to be text."""
        resolved = self.resolve(value)
        if isinstance(resolved, dict | list) or resolved is NO_VALUE:
            raise Unresolvable(f"Template error: {where} must be a string")
        return as_text(resolved)

    def refer(self, reference: Reference) -> Any:
        """Return what a Ref or a Fn::GetAtt gives."""
        if reference.attribute is None and reference.name in self.values:
            return self.values[reference.name]
        return self.resource(reference)

    def _call(self, name: str, argument: Any) -> Any:
        function = FUNCTIONS.get(name)
        if function is None:
            raise Unresolvable(f"{name} is not supported by the local AWS region.")
        return function(self, argument)


def _ref(scope: Scope, argument: Any) -> Any:
    if argument == "AWS::NoValue":
        return NO_VALUE
    return scope.refer(Reference(str(argument)))


def _get_att(scope: Scope, argument: Any) -> Any:
    parts = argument.split(".", 1) if isinstance(argument, str) else argument
    if not isinstance(parts, list) or len(parts) < _PAIR:
        raise Unresolvable("Template error: every Fn::GetAtt object requires two non-empty parameters")
    attribute = ".".join(scope.text(part, where="the attribute of Fn::GetAtt") for part in parts[1:])
    return scope.refer(Reference(parts[0], attribute))


def _sub(scope: Scope, argument: Any) -> str:
    text, variables = (argument, {}) if isinstance(argument, str) else _pair(argument, "Fn::Sub")
    known = {name: scope.text(value, where=f"${{{name}}}") for name, value in variables.items()}

    def value(name: str) -> str:
        if name in known:
            return known[name]
        logical_id, dot, attribute = name.partition(".")
        found = scope.refer(Reference(logical_id, attribute if dot else None))
        return scope.text(found, where=f"${{{name}}}")

    replaced = VARIABLE.sub(lambda match: value(match.group(1).strip()), text)
    return replaced.replace("${!", "${")


def _join(scope: Scope, argument: Any) -> str:
    delimiter, items = _pair(argument, "Fn::Join")
    values = _list(scope, items, "Fn::Join")
    return as_text(delimiter).join(scope.text(item, where="an item of Fn::Join") for item in values)


def _split(scope: Scope, argument: Any) -> list[str]:
    delimiter, text = _pair(argument, "Fn::Split")
    return scope.text(text, where="the source of Fn::Split").split(delimiter)


def _select(scope: Scope, argument: Any) -> Any:
    position, items = _pair(argument, "Fn::Select")
    index = int(scope.text(position, where="the index of Fn::Select"))
    values = _list(scope, items, "Fn::Select")
    if not 0 <= index < len(values):
        if any(KNOWN_AFTER_APPLY in as_text(value) for value in values):
            return KNOWN_AFTER_APPLY
        raise Unresolvable(f"Template error: Fn::Select cannot select nonexistent value at index {index}")
    return values[index]


def _if(scope: Scope, argument: Any) -> Any:
    if not isinstance(argument, list) or len(argument) != _PAIR + 1:
        raise Unresolvable("Template error: Fn::If requires a list argument with three elements")
    condition, if_true, if_false = argument
    if condition not in scope.conditions:
        raise Unresolvable(f"Template error: unresolved condition dependency {condition}")
    return scope.resolve(if_true if scope.conditions[condition] else if_false)


def _get_azs(scope: Scope, argument: Any) -> list[str]:
    region = scope.text(argument, where="the region of Fn::GetAZs")
    return scope.lookups.zones(region or scope.values["AWS::Region"])


def _cidr(scope: Scope, argument: Any) -> list[str]:
    if not isinstance(argument, list) or len(argument) not in (_PAIR, _PAIR + 1):
        raise Unresolvable("Template error: every Fn::Cidr object requires two or three parameters")
    block, *numbers = (scope.text(each, where="a parameter of Fn::Cidr") for each in argument)
    count = int(numbers[0])
    if not 1 <= count <= _CIDR_LIMIT:
        raise Unresolvable(f"Template error: Fn::Cidr count must be between 1 and {_CIDR_LIMIT}")
    if block == KNOWN_AFTER_APPLY:
        return [KNOWN_AFTER_APPLY] * count
    network = ipaddress.ip_network(block)
    host_bits = int(numbers[1]) if len(numbers) > 1 else 8
    found = network.subnets(new_prefix=network.max_prefixlen - host_bits)
    cidrs = [str(each) for each in itertools.islice(found, count)]
    if len(cidrs) < count:
        raise Unresolvable(
            f"Template error: Fn::Cidr can't make {count} blocks of {host_bits} bits in {block}"
        )
    return cidrs


def _base64(scope: Scope, argument: Any) -> str:
    text = scope.text(argument, where="the value of Fn::Base64")
    return text if KNOWN_AFTER_APPLY in text else base64.b64encode(text.encode()).decode()


def _find_in_map(scope: Scope, argument: Any) -> Any:
    *names, default = argument if len(argument) > _PAIR + 1 else (*argument, NO_VALUE)
    found: Any = scope.template.section("Mappings")
    keys = [scope.text(each, where="a key of Fn::FindInMap") for each in names]
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            if isinstance(default, dict) and "DefaultValue" in default:
                return scope.resolve(default["DefaultValue"])
            raise Unresolvable(f"Template error: Unable to get mapping for {'::'.join(keys)}")
        found = found[key]
    return found


def _import_value(scope: Scope, argument: Any) -> str:
    return scope.lookups.export(scope.text(argument, where="the name of Fn::ImportValue"))


def _get_stack_output(scope: Scope, argument: Any) -> str:
    """Resolve a weak reference: read when the stack is made or changed, and nothing more.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getstackoutput.html
    """
    if not isinstance(argument, dict) or not {"StackName", "OutputName"} <= argument.keys():
        raise Unresolvable("Template error: Fn::GetStackOutput requires StackName and OutputName")
    named = {
        name: scope.text(value, where=f"{name} of Fn::GetStackOutput") for name, value in argument.items()
    }
    if named.get("Region", scope.values["AWS::Region"]) != scope.values["AWS::Region"] or "RoleArn" in named:
        raise Unresolvable(
            "Fn::GetStackOutput of another region or account is not supported by the local AWS region."
        )
    return scope.lookups.stack_output(named["StackName"], named["OutputName"])


def _length(scope: Scope, argument: Any) -> Any:
    items = scope.resolve(argument)
    if items == KNOWN_AFTER_APPLY:
        return items
    if not isinstance(items, list):
        raise Unresolvable("Template error: Fn::Length needs a list")
    return len(items)


def _list(scope: Scope, value: Any, function: str) -> list[Any]:
    found = scope.resolve(value)
    if found == KNOWN_AFTER_APPLY:
        return [found]
    if not isinstance(found, list):
        raise Unresolvable(f"Template error: every {function} object requires a list")
    return found


def _pair(argument: Any, function: str) -> tuple[Any, Any]:
    if not isinstance(argument, list) or len(argument) != _PAIR:
        raise Unresolvable(f"Template error: every {function} object requires two parameters")
    return argument[0], argument[1]


FUNCTIONS: Mapping[str, Callable[[Scope, Any], Any]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Split": _split,
    "Fn::Select": _select,
    "Fn::If": _if,
    "Fn::GetAZs": _get_azs,
    "Fn::Cidr": _cidr,
    "Fn::Base64": _base64,
    "Fn::FindInMap": _find_in_map,
    "Fn::ImportValue": _import_value,
    "Fn::GetStackOutput": _get_stack_output,
    "Fn::Length": _length,
}
