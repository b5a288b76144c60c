# SPDX-License-Identifier: Apache-2.0
"""Read a template's text: JSON or YAML, its sections and what of its shape AWS refuses at once.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import yaml

from sandbox.api.errors import AwsError

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
BODY_LIMIT = 51_200
RESOURCE_LIMIT = 500
SECTIONS = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Parameters",
        "Mappings",
        "Conditions",
        "Resources",
        "Outputs",
    }
)
_REFUSED_SECTIONS = frozenset({"Transform", "Rules", "Hooks"})
RESOURCE_KEYS = frozenset(
    {
        "Type",
        "Properties",
        "Condition",
        "DependsOn",
        "Metadata",
        "DeletionPolicy",
        "UpdateReplacePolicy",
        "CreationPolicy",
        "UpdatePolicy",
    }
)
_LOGICAL_ID = re.compile(r"[A-Za-z0-9]{1,255}")


def invalid(message: str) -> AwsError:
    """Return AWS's error for a template or a request that it does not take."""
    return AwsError("ValidationError", message)


@dataclass(frozen=True, slots=True)
class Template:
    """A template whose shape is right. Nothing of it is resolved."""

    body: str
    document: Mapping[str, Any]

    def section(self, name: str) -> Mapping[str, Any]:
        """Return a section; an absent one is empty."""
        found: Mapping[str, Any] = self.document.get(name) or {}
        return found

    @property
    def resources(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the resources by logical id."""
        return self.section("Resources")

    @property
    def description(self) -> str | None:
        """Return the description."""
        found: str | None = self.document.get("Description")
        return found


def check_size(body: str) -> None:
    """Refuse a body that is too long to be sent with the call."""
    if len(body.encode()) > BODY_LIMIT:
        shown = f"{body[:100]}..."
        raise invalid(
            f"1 validation error detected: Value '{shown}' at 'templateBody' failed to satisfy constraint: "
            f"Member must have length less than or equal to {BODY_LIMIT}"
        )


@lru_cache(maxsize=64)
def parse(body: str) -> Template:
    """Read a template. The result is shared: it must not be changed.

    Raises:
        AwsError: ValidationError in AWS's words.
    """
    document = _load(body)
    if not isinstance(document, dict):
        raise invalid("Template format error: unsupported structure.")
    _check_sections(document)
    for logical_id, resource in document["Resources"].items():
        _check_resource(logical_id, resource)
    for name, output in (document.get("Outputs") or {}).items():
        if not isinstance(output, dict) or "Value" not in output:
            raise invalid(f"Template format error: Output {name} must have a Value member.")
    return Template(body, document)


def _check_sections(document: Mapping[str, Any]) -> None:
    if refused := sorted(_REFUSED_SECTIONS & set(document)):
        raise AwsError(
            "UnsupportedOperation",
            f"A template with {', '.join(refused)} is not supported by the local AWS region.",
        )
    if unknown := sorted(set(map(str, document)) - SECTIONS):
        raise invalid(f"Invalid template property or properties [{', '.join(unknown)}]")
    for name in ("Parameters", "Mappings", "Conditions", "Resources", "Outputs"):
        if not isinstance(document.get(name) or {}, dict):
            raise invalid(f"Template format error: {name} must be an object.")
    if not document.get("Resources"):
        raise invalid("Template format error: At least one Resources member must be defined.")
    if len(document["Resources"]) > RESOURCE_LIMIT:
        raise invalid(
            f"Template format error: Number of resources, {len(document['Resources'])}, "
            f"is greater than maximum allowed, {RESOURCE_LIMIT}"
        )


def _check_resource(logical_id: str, resource: Any) -> None:
    if not _LOGICAL_ID.fullmatch(logical_id):
        raise invalid(f"Template format error: Resource name {logical_id} is non alphanumeric.")
    if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
        raise invalid(
            f"Template format error: [/Resources/{logical_id}] "
            "Every Resources object must contain a Type member."
        )
    if unknown := sorted(set(resource) - RESOURCE_KEYS):
        raise invalid(
            f"Invalid template resource property '{unknown[0]}' at [/Resources/{logical_id}/{unknown[0]}]"
        )
    if not isinstance(resource.get("Properties") or {}, dict):
        raise invalid(f"Template format error: [/Resources/{logical_id}/Properties] must be an object.")


def _load(body: str) -> Any:
    if body.lstrip().startswith("{"):
        try:
            return json.loads(body)
        except json.JSONDecodeError as error:
            raise invalid(
                f"Template format error: JSON not well-formed. (line {error.lineno}, column {error.colno})"
            ) from error
    try:
        return yaml.load(body, Loader=_Loader)  # noqa: S506 - a SafeLoader with short forms
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise invalid(f"Template format error: YAML not well-formed.{where}") from error


class _Loader(yaml.SafeLoader):
    """YAML with the short forms of intrinsic functions; dates stay the text they are."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


def _no_date(loader: _Loader, node: yaml.ScalarNode) -> str:
    del loader
    return str(node.value)


_Loader.add_multi_constructor("!", _short_form)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _no_date)


def as_text(value: Any) -> str:
    """Return a scalar as templates write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
