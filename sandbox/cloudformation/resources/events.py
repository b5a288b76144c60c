# SPDX-License-Identifier: Apache-2.0
"""EventBridge's rules on the default bus."""

from __future__ import annotations

import json
from typing import Any

from sandbox.cloudformation.handler import Call, HandlerError, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by, unless_absent

GONE = ("ResourceNotFoundException",)
_TARGET = ("Arn", "Id", "InputTransformer", "SqsParameters")


class Rules:
    """AWS::Events::Rule."""

    type_name = "AWS::Events::Rule"
    properties = frozenset(
        {
            "Description",
            "EventPattern",
            "Name",
            "State",
            "Tags",
            *(f"Targets.{name}" for name in _TARGET),
        }
    )

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the rule with its targets."""
        name = properties.get("Name", call.name)
        if _find(call, name) is not None:
            raise HandlerError(f"{self.type_name} '{name}' already exists.")
        tags = tagging.as_list(tagging.wanted(call, properties))
        call.client("events").put_rule(Name=name, Tags=tags, **_given(properties))
        with undone_by(lambda: self.delete(call, name, properties)):
            _aim(call, name, properties)
        return _physical(call, name)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return what it waits for, and whom it tells."""
        rule = _find(call, physical_id)
        if rule is None:
            return None
        client = call.client("events")
        shown: dict[str, Any] = {key: rule[key] for key in ("Description", "Name", "State") if rule.get(key)}
        shown["EventPattern"] = json.loads(rule["EventPattern"])
        if targets := client.list_targets_by_rule(Rule=physical_id)["Targets"]:
            shown["Targets"] = targets
        return shown | tagging.shown(client.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"])

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change the rule and its targets."""
        client = call.client("events")
        client.put_rule(Name=physical_id, **_given(after))
        _aim(call, physical_id, after)
        physical = _physical(call, physical_id)
        change = tagging.change(call, before, after)
        if change.put:
            tags = tagging.as_list(change.put)
            client.tag_resource(ResourceARN=physical.attributes["Arn"], Tags=tags)
        if change.removed:
            client.untag_resource(ResourceARN=physical.attributes["Arn"], TagKeys=change.removed)
        return physical

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the rule with its targets."""
        with absent_is_fine(*GONE):
            _aim(call, physical_id, {**properties, "Targets": []})
            call.client("events").delete_rule(Name=physical_id)


def _find(call: Call, name: str) -> dict[str, Any] | None:
    answer = unless_absent(lambda: call.client("events").describe_rule(Name=name), *GONE)
    return answer and dict(answer)


def _physical(call: Call, name: str) -> Physical:
    arn = f"arn:aws:events:{call.region}:{call.account_id}:rule/{name}"
    return Physical(name, {"Arn": arn, "RuleName": name})


def _given(properties: Properties) -> dict[str, Any]:
    given = {key: properties[key] for key in ("Description", "State") if key in properties}
    return given | {"EventPattern": json.dumps(properties["EventPattern"])}


def _aim(call: Call, name: str, properties: Properties) -> None:
    """Make the targets those of the template."""
    client = call.client("events")
    wanted = properties.get("Targets", [])
    kept = {target["Id"] for target in wanted}
    present = client.list_targets_by_rule(Rule=name)["Targets"]
    if dropped := [target["Id"] for target in present if target["Id"] not in kept]:
        client.remove_targets(Rule=name, Ids=dropped)
    if wanted:
        client.put_targets(Rule=name, Targets=wanted)


HANDLERS = (Rules(),)
