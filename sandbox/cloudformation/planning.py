# SPDX-License-Identifier: Apache-2.0
"""Turn a stack's source into what resolves it: conditions, the graph, scopes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

from sandbox.cloudformation import parameters
from sandbox.cloudformation.conditions import evaluate_conditions
from sandbox.cloudformation.dynamic import Dynamic
from sandbox.cloudformation.graph import Reference, dependencies
from sandbox.cloudformation.intrinsics import NO_VALUE, Scope, Unresolvable
from sandbox.cloudformation.schemas import schema
from sandbox.cloudformation.stacks import Source
from sandbox.cloudformation.template import Template, as_text, parse
from sandbox.cloudformation.world import World


@dataclass(slots=True)
class LiveLookups:
    """Reads what functions want from the region; `imported` tells which exports were."""

    world: World
    imported: set[str] = field(default_factory=set)

    def zones(self, region: str) -> list[str]:
        """Return a region's availability zones."""
        if region != self.world.region:
            raise Unresolvable(
                f"Fn::GetAZs of {region} is not supported: this region is {self.world.region}."
            )
        return sorted(zone.name for zone in RegionsAndZonesBackend.zones[region])

    def export(self, name: str) -> str:
        """Return an export's value."""
        with self.world.lock:
            found = self.world.stacks().exports().get(name)
        if found is None:
            raise Unresolvable(f"No export named {name} found.")
        self.imported.add(name)
        return found[1].value

    def stack_output(self, stack_name: str, output: str) -> str:
        """Return an output of another stack."""
        with self.world.lock:
            stack = self.world.stacks().find(stack_name)
            if stack is None or not stack.is_living:
                raise Unresolvable(f"Fn::GetStackOutput: Stack with id {stack_name} does not exist")
            found = {each.name: each.value for each in stack.outputs}
        if output not in found:
            raise Unresolvable(f"Fn::GetStackOutput: stack {stack_name} has no output {output}")
        return found[output]


@dataclass(frozen=True, slots=True)
class Plan:
    """A source that is ready to be made into resources."""

    source: Source
    template: Template
    values: Mapping[str, Any]
    conditions: Mapping[str, bool]
    graph: Mapping[str, frozenset[str]]
    lookups: LiveLookups
    dynamic: Dynamic

    def scope(self, resource: Callable[[Reference], Any]) -> Scope:
        """Return a scope in which references to resources mean what `resource` says."""
        return Scope(self.template, self.values, self.conditions, resource, self.lookups)

    def properties(self, logical_id: str, scope: Scope) -> dict[str, Any]:
        """Return a resource's properties with functions resolved and scalars as the schema's types."""
        resource = self.template.resources[logical_id]
        resolved: dict[str, Any] = scope.resolve(resource.get("Properties") or {})
        described = schema(resource["Type"])
        return described.coerce(resolved) if described else resolved

    def actual(self, type_name: str, properties: Mapping[str, Any], *, with_secrets: bool) -> dict[str, Any]:
        """Return properties with dynamic references looked up."""
        resolved: dict[str, Any] = self.dynamic.resolve(dict(properties), with_secrets=with_secrets)
        described = schema(type_name)
        return described.coerce(resolved) if described else resolved


def make_plan(world: World, stack_id: str, stack_name: str, source: Source) -> Plan:
    """Prepare a source whose parameters are looked up. Calls nothing.

    Raises:
        Unresolvable: a condition or a parameter can't be known.
        AwsError: the template is wrong.
    """
    template = parse(source.body)
    dynamic = Dynamic(world.client)
    lookups = LiveLookups(world)
    values: dict[str, Any] = {
        **source.values,
        "AWS::AccountId": world.account_id,
        "AWS::Region": world.region,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
        "AWS::StackId": stack_id,
        "AWS::StackName": stack_name,
        "AWS::NotificationARNs": [],
    }
    conditions = evaluate_conditions(template, values, lookups)
    return Plan(
        source=source,
        template=template,
        values=values,
        conditions=conditions,
        graph=dependencies(template, conditions),
        lookups=lookups,
        dynamic=dynamic,
    )


def look_up_parameters(world: World, source: Source) -> None:
    """Fill in the values of parameters, of which some are in the parameter store."""
    dynamic = Dynamic(world.client)
    found = parameters.resolved(parse(source.body), source.parameters, dynamic.parameter)
    with world.lock:
        source.values.update(found)


def output_values(plan: Plan, scope: Scope) -> dict[str, dict[str, Any]]:
    """Resolve the outputs that the conditions keep: value, description and export name of each."""
    found = {}
    for name, stated in plan.template.section("Outputs").items():
        if not plan.conditions.get(stated.get("Condition", ""), True):
            continue
        value = scope.resolve(stated["Value"])
        if isinstance(value, dict | list) or value is NO_VALUE:
            raise Unresolvable(
                f"Template format error: Output {name} is malformed. The Value field of every "
                "Outputs member must evaluate to a String."
            )
        export = (stated.get("Export") or {}).get("Name")
        found[name] = {
            "value": as_text(value),
            "description": stated.get("Description"),
            "export": None if export is None else scope.text(export, where="the name of an export"),
        }
    return found
