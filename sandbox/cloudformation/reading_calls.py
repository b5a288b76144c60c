# SPDX-License-Identifier: Apache-2.0
"""The operations of the API that only read."""

from __future__ import annotations

import json
from typing import Any

from sandbox.cloudformation import views
from sandbox.cloudformation.engine import Engine
from sandbox.cloudformation.outputs import importers
from sandbox.cloudformation.requests import (
    Parameters,
    find_stack,
    needed_capabilities,
    read_template,
)
from sandbox.cloudformation.stacks import Stack, StackResource
from sandbox.cloudformation.template import Template, as_text, invalid, parse

Answer = dict[str, Any]


def describe_stacks(engine: Engine, asked: Parameters) -> Answer:
    """DescribeStacks: one, or all that live."""
    world = engine.world
    found = [find_stack(world, asked)] if asked.get("StackName") else world.stacks().living()[::-1]
    return views.listed("Stacks", [views.stack(each) for each in found], asked)


def list_stacks(engine: Engine, asked: Parameters) -> Answer:
    """ListStacks: also the deleted ones."""
    wanted = asked.get("StackStatusFilter") or ()
    found = [
        views.stack_summary(each)
        for each in reversed(engine.world.stacks().by_id.values())
        if not wanted or each.status in wanted
    ]
    return views.listed("StackSummaries", found, asked)


def describe_stack_events(engine: Engine, asked: Parameters) -> Answer:
    """DescribeStackEvents, the newest first."""
    if not asked.get("StackName"):
        raise invalid("Stack name must be specified.")
    stack = find_stack(engine.world, asked)
    newest_first = stack.events[::-1]
    events, token = views.page(newest_first, asked.get("NextToken"))
    return views.present(StackEvents=[views.event(stack, each) for each in events], NextToken=token)


def _resource(stack: Stack, logical_id: str) -> StackResource:
    if logical_id not in stack.resources:
        raise invalid(f"Resource {logical_id} does not exist for stack {stack.name}")
    return stack.resources[logical_id]


def describe_stack_resource(engine: Engine, asked: Parameters) -> Answer:
    """DescribeStackResource."""
    stack = find_stack(engine.world, asked)
    found = _resource(stack, asked["LogicalResourceId"])
    metadata = json.dumps(found.template.get("Metadata") or {})
    shown = views.resource_summary(found) | {
        "StackName": stack.name,
        "StackId": stack.stack_id,
        "Metadata": metadata,
    }
    return {"StackResourceDetail": shown}


def describe_stack_resources(engine: Engine, asked: Parameters) -> Answer:
    """DescribeStackResources: of a stack, or the whole stack of one physical resource."""
    if asked.get("StackName"):
        stack = find_stack(engine.world, asked)
    else:
        stack = _stack_of(engine, asked.get("PhysicalResourceId"))
    wanted = asked.get("LogicalResourceId")
    found = [_resource(stack, wanted)] if wanted else list(stack.resources.values())
    return {"StackResources": [views.resource(stack, each) for each in found]}


def _stack_of(engine: Engine, physical_id: str | None) -> Stack:
    for stack in engine.world.stacks().living():
        if physical_id and any(each.physical_id == physical_id for each in stack.resources.values()):
            return stack
    raise invalid(f"Stack for {physical_id} does not exist")


def list_stack_resources(engine: Engine, asked: Parameters) -> Answer:
    """ListStackResources."""
    stack = find_stack(engine.world, asked)
    found = [views.resource_summary(each) for each in stack.resources.values()]
    return views.listed("StackResourceSummaries", found, asked)


def get_template(engine: Engine, asked: Parameters) -> Answer:
    """GetTemplate, as it was given."""
    if asked.get("StackName"):
        stack = find_stack(engine.world, asked)
    else:
        stack = _stack_of_change_set(engine, asked["ChangeSetName"])
    body = stack.source.body
    if wanted := asked.get("ChangeSetName"):
        change_set = stack.find_change_set(wanted)
        if change_set is None:
            raise invalid(f"ChangeSet [{wanted}] does not exist")
        body = change_set.source.body
    # boto3 turns a JSON body into an object and leaves YAML as text.
    return {"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}


def _stack_of_change_set(engine: Engine, change_set_id: str) -> Stack:
    for stack in engine.world.stacks().living():
        if stack.find_change_set(change_set_id) is not None:
            return stack
    raise invalid(f"ChangeSet [{change_set_id}] does not exist")


def validate_template(engine: Engine, asked: Parameters) -> Answer:
    """ValidateTemplate."""
    template = read_template(engine.world, asked, None)
    shown = [
        views.present(
            ParameterKey=name,
            DefaultValue=as_text(described["Default"]) if "Default" in described else None,
            NoEcho=False,
            Description=described.get("Description"),
        )
        for name, described in template.section("Parameters").items()
    ]
    return _summary(template) | {"Parameters": shown}


def get_template_summary(engine: Engine, asked: Parameters) -> Answer:
    """GetTemplateSummary, of a template or a stack's."""
    world = engine.world
    if asked.get("StackName"):
        template = parse(find_stack(world, asked).source.body)
    else:
        template = read_template(world, asked, None)
    shown = [
        views.present(
            ParameterKey=name,
            ParameterType=described.get("Type"),
            DefaultValue=as_text(described["Default"]) if "Default" in described else None,
            NoEcho=False,
            Description=described.get("Description"),
            ParameterConstraints=views.allowed_values(described),
        )
        for name, described in template.section("Parameters").items()
    ]
    return _summary(template) | views.present(
        Parameters=shown,
        ResourceTypes=sorted({each["Type"] for each in template.resources.values()}),
        Version=template.document.get("AWSTemplateFormatVersion"),
        Metadata=json.dumps(template.section("Metadata")) if template.section("Metadata") else None,
    )


def _summary(template: Template) -> Answer:
    needed, types = needed_capabilities(template)
    return views.present(
        Description=template.description,
        Capabilities=[needed] if needed else [],
        CapabilitiesReason=(
            f"The following resource(s) require capabilities: [{', '.join(types)}]" if needed else None
        ),
    )


def list_exports(engine: Engine, asked: Parameters) -> Answer:
    """ListExports."""
    found = [
        {"ExportingStackId": stack.stack_id, "Name": name, "Value": output.value}
        for name, (stack, output) in sorted(engine.world.stacks().exports().items())
    ]
    return views.listed("Exports", found, asked)


def list_imports(engine: Engine, asked: Parameters) -> Answer:
    """ListImports: the stacks that import an export."""
    name = asked["ExportName"]
    stacks = engine.world.stacks()
    if name not in stacks.exports():
        raise invalid(f"No export named {name} found.")
    found = importers(stacks, name)
    if not found:
        raise invalid(f"Export '{name}' is not imported by any stack.")
    return views.listed("Imports", found, asked)
