# SPDX-License-Identifier: Apache-2.0
"""Groups that databases name: of subnets and of parameters."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from botocore import xform_name

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources import tagging
from sandbox.cloudformation.resources.failures import absent_is_fine, undone_by, unless_absent

# RDS takes so many parameters in a call.
BATCH = 20


def retag(call: Call, arn: str, *, before: Properties, after: Properties) -> None:
    """Bring the tags of a resource of RDS to what a template has now."""
    client = call.client("rds")
    change = tagging.change(call, before, after)
    if change.put:
        client.add_tags_to_resource(ResourceName=arn, Tags=tagging.as_list(change.put))
    if change.removed:
        client.remove_tags_from_resource(ResourceName=arn, TagKeys=change.removed)


class SubnetGroups:
    """AWS::RDS::DBSubnetGroup."""

    type_name = "AWS::RDS::DBSubnetGroup"
    properties = frozenset({"DBSubnetGroupDescription", "DBSubnetGroupName", "SubnetIds", "Tags"})
    _gone = ("DBSubnetGroupNotFoundFault", "DBSubnetGroupNotFound")

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the group."""
        made = call.client("rds").create_db_subnet_group(
            DBSubnetGroupName=properties.get("DBSubnetGroupName", call.name.lower()),
            DBSubnetGroupDescription=properties["DBSubnetGroupDescription"],
            SubnetIds=properties["SubnetIds"],
            Tags=tagging.as_list(tagging.wanted(call, properties)),
        )
        return self._physical(made["DBSubnetGroup"])

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return its subnets."""
        client = call.client("rds")
        answer = unless_absent(
            lambda: client.describe_db_subnet_groups(DBSubnetGroupName=physical_id), *self._gone
        )
        if answer is None:
            return None
        group = answer["DBSubnetGroups"][0]
        tags = client.list_tags_for_resource(ResourceName=group["DBSubnetGroupArn"])["TagList"]
        return {
            "DBSubnetGroupName": group["DBSubnetGroupName"],
            "DBSubnetGroupDescription": group["DBSubnetGroupDescription"],
            "SubnetIds": [subnet["SubnetIdentifier"] for subnet in group["Subnets"]],
            **tagging.shown(tags),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change its subnets."""
        changed = call.client("rds").modify_db_subnet_group(
            DBSubnetGroupName=physical_id,
            DBSubnetGroupDescription=after["DBSubnetGroupDescription"],
            SubnetIds=after["SubnetIds"],
        )
        physical = self._physical(changed["DBSubnetGroup"])
        retag(call, physical.attributes["DBSubnetGroupArn"], before=before, after=after)
        return physical

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the group."""
        del properties
        with absent_is_fine(*self._gone):
            call.client("rds").delete_db_subnet_group(DBSubnetGroupName=physical_id)

    def _physical(self, group: Mapping[str, Any]) -> Physical:
        return Physical(group["DBSubnetGroupName"], {"DBSubnetGroupArn": group["DBSubnetGroupArn"]})


class ParameterGroups:
    """AWS::RDS::DBClusterParameterGroup and AWS::RDS::DBParameterGroup, which differ by their `noun`."""

    def __init__(self, noun: str, *, arn_attribute: str | None) -> None:
        self.type_name = f"AWS::RDS::{noun}"
        self.properties = frozenset({f"{noun}Name", "Description", "Family", "Parameters", "Tags"})
        self._noun = noun
        self._name = f"{noun}Name"
        self._arn_attribute = arn_attribute
        self._gone = ("DBParameterGroupNotFound", "DBParameterGroupNotFoundFault")

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the group with its parameters."""
        name = properties.get(self._name, call.name.lower())
        made = self._do(
            call,
            "Create{}",
            name,
            DBParameterGroupFamily=properties["Family"],
            Description=properties["Description"],
            Tags=tagging.as_list(tagging.wanted(call, properties)),
        )[self._noun]
        with undone_by(lambda: self.delete(call, name, properties)):
            self._set(call, name, properties.get("Parameters", {}))
        return self._physical(made)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return its parameters."""
        answer = unless_absent(lambda: self._do(call, "Describe{}s", physical_id), *self._gone)
        groups = [] if answer is None else answer[f"{self._noun}s"]
        if not groups:
            return None
        parameters = self._parameters(call, physical_id)
        client = call.client("rds")
        tags = client.list_tags_for_resource(ResourceName=self._arn(groups[0]))["TagList"]
        return {
            self._name: groups[0][self._name],
            "Description": groups[0]["Description"],
            "Family": groups[0]["DBParameterGroupFamily"],
            "Parameters": parameters,
            **tagging.shown(tags),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Set parameters, and take away those that the template has no more."""
        wanted = after.get("Parameters", {})
        self._set(call, physical_id, wanted)
        removed = set(before.get("Parameters", {})) - set(wanted)
        for batch in _batches(sorted(removed)):
            parameters = [{"ParameterName": name, "ApplyMethod": "pending-reboot"} for name in batch]
            self._do(call, "Reset{}", physical_id, Parameters=parameters)
        group = self._do(call, "Describe{}s", physical_id)[f"{self._noun}s"][0]
        retag(call, self._arn(group), before=before, after=after)
        return self._physical(group)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the group."""
        del properties
        with absent_is_fine(*self._gone):
            self._do(call, "Delete{}", physical_id)

    def _do(self, call: Call, operation: str, name: str, **parameters: Any) -> Any:
        method = xform_name(operation.format(self._noun))
        return getattr(call.client("rds"), method)(**{self._name: name}, **parameters)

    def _set(self, call: Call, name: str, parameters: Mapping[str, Any]) -> None:
        for batch in _batches(sorted(parameters.items())):
            given = [
                {"ParameterName": key, "ParameterValue": str(value), "ApplyMethod": "pending-reboot"}
                for key, value in batch
            ]
            self._do(call, "Modify{}", name, Parameters=given)

    def _parameters(self, call: Call, name: str) -> dict[str, str]:
        operation = "DescribeDBClusterParameters" if "Cluster" in self._noun else "DescribeDBParameters"
        listed = getattr(call.client("rds"), xform_name(operation))(**{self._name: name})["Parameters"]
        return {each["ParameterName"]: each["ParameterValue"] for each in listed}

    def _arn(self, group: Mapping[str, Any]) -> str:
        return str(group[f"{self._noun}Arn"])

    def _physical(self, group: Mapping[str, Any]) -> Physical:
        attributes = {self._arn_attribute: self._arn(group)} if self._arn_attribute else {}
        return Physical(group[self._name], attributes)


def _batches(values: Iterable[Any]) -> Iterable[list[Any]]:
    remaining = iter(values)
    while batch := list(itertools.islice(remaining, BATCH)):
        yield batch


HANDLERS = (
    SubnetGroups(),
    ParameterGroups("DBClusterParameterGroup", arn_attribute=None),
    ParameterGroups("DBParameterGroup", arn_attribute="DBParameterGroupArn"),
)
