# SPDX-License-Identifier: Apache-2.0
"""Read what callers ask for, and refuse in AWS's words what cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.api.errors import AwsError, unsupported
from sandbox.cloudformation import parameters
from sandbox.cloudformation.conditions import check_functions
from sandbox.cloudformation.graph import check_references, dependencies
from sandbox.cloudformation.stacks import Source, Stack
from sandbox.cloudformation.template import Template, check_size, invalid, parse
from sandbox.cloudformation.validation import check_types, problems
from sandbox.cloudformation.world import World

Parameters = Mapping[str, Any]

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-template.html
_IAM_TYPES = frozenset(
    f"AWS::IAM::{name}"
    for name in (
        "AccessKey",
        "Group",
        "InstanceProfile",
        "ManagedPolicy",
        "Policy",
        "Role",
        "User",
        "UserToGroupAddition",
    )
)
_NAMED = {
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
}
_IAM, _NAMED_IAM = "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"
_TAG_LIMIT = 50


def find_stack(world: World, asked: Parameters) -> Stack:
    """Return the stack that is named.

    Raises:
        AwsError: ValidationError if there is none.
    """
    name = asked["StackName"]
    stack = world.stacks().find(name)
    if stack is None:
        raise invalid(f"Stack with id {name} does not exist")
    return stack


def find_living(world: World, asked: Parameters) -> Stack:
    """Return the stack that is named, unless it is deleted."""
    stack = find_stack(world, asked)
    if not stack.is_living:
        raise invalid(f"Stack [{stack.name}] does not exist")
    return stack


def read_template(world: World, asked: Parameters, stack: Stack | None) -> Template:
    """Return the template of a request, its shape and references checked."""
    body = asked.get("TemplateBody")
    if asked.get("UsePreviousTemplate"):
        if body is not None:
            raise invalid("You cannot specify both usePreviousTemplate and Template Body/Template URL.")
        if stack is None or not stack.source.body:
            raise invalid("There is no previous template to use.")
        body = stack.source.body
    if body is None:
        raise invalid("Either Template URL or Template Body must be specified.")
    check_size(body)
    template = parse(body)
    for name, described in template.section("Parameters").items():
        if described.get("NoEcho"):
            raise unsupported(f"cloudformation with the NoEcho parameter {name}")
    check_functions(template)
    check_references(template)
    check_types(template, world.handlers())
    dependencies(template, {})
    return template


def read_source(template: Template, asked: Parameters, stack: Stack | None) -> Source:
    """Return what a stack shall be made from."""
    previous = stack.source.parameters if stack is not None else None
    values = parameters.given(template, asked.get("Parameters") or [], previous)
    stated = asked.get("Tags")
    tags = {each["Key"]: each["Value"] for each in stated or []}
    if stated is None and stack is not None:
        tags = dict(stack.source.tags)
    if len(tags) > _TAG_LIMIT:
        raise invalid(f"Tags cannot be more than {_TAG_LIMIT}")
    if reserved := [name for name in tags if name.lower().startswith("aws:")]:
        raise invalid(f"aws: prefixed tag key names are not allowed for external use. ({reserved[0]})")
    return Source(body=template.body, parameters=values, values={}, tags=tags)


def needed_capabilities(template: Template) -> tuple[str | None, list[str]]:
    """Return the capability a template needs, and the types it needs it for."""
    types = sorted({each["Type"] for each in template.resources.values()} & _IAM_TYPES)
    is_named = any(
        _NAMED.get(each["Type"], "") in (each.get("Properties") or {}) for each in template.resources.values()
    )
    return (_NAMED_IAM if is_named else _IAM) if types else None, types


def check_capabilities(template: Template, asked: Parameters) -> tuple[str, ...]:
    """Return the capabilities that the caller acknowledges.

    Raises:
        AwsError: InsufficientCapabilitiesException if the template needs others.
    """
    given = tuple(asked.get("Capabilities") or ())
    needed, _ = needed_capabilities(template)
    if needed is not None and needed not in given and _NAMED_IAM not in given:
        raise AwsError("InsufficientCapabilitiesException", f"Requires capabilities : [{needed}]")
    return given


def check_problems(world: World, template: Template) -> None:
    """Refuse properties that the region can't apply.

    Raises:
        AwsError: ValidationError that names them all.
    """
    if found := problems(template, world.handlers()):
        raise invalid("; ".join(found))
