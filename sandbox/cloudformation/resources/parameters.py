# SPDX-License-Identifier: Apache-2.0
"""Parameters of Systems Manager; CloudFormation makes no secret ones."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources.ec2_kinds import Description, picked
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent
from sandbox.cloudformation.resources.tagging import SYSTEM_PREFIX

NOT_THERE = "ParameterNotFound"
_VALUE = ("Name", "Type", "Value", "DataType")
_ABOUT = ("Description", "AllowedPattern", "Tier")


class Parameter:
    """AWS::SSM::Parameter, of the types String and StringList."""

    type_name = "AWS::SSM::Parameter"
    properties = frozenset({*_VALUE, *_ABOUT, "Tags"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make the parameter; one of the name that is there is an error."""
        name = properties.get("Name", call.name)
        tags = call.tags | properties.get("Tags", {})
        call.client("ssm").put_parameter(
            **_given(properties, name),
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
        return self._physical(call, name)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return the parameter."""
        parameter = _parameter(call, physical_id)
        if parameter is None:
            return None
        ssm = call.client("ssm")
        named = {"Key": "Name", "Option": "Equals", "Values": [physical_id]}
        about = ssm.describe_parameters(ParameterFilters=[named])["Parameters"][0]
        listed = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=physical_id)["TagList"]
        tags = {tag["Key"]: tag["Value"] for tag in listed if not tag["Key"].startswith(SYSTEM_PREFIX)}
        return {
            **picked(parameter, *_VALUE),
            **picked(about, *_ABOUT),
            **({"Tags": tags} if tags else {}),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Put another value and other tags."""
        ssm = call.client("ssm")
        ssm.put_parameter(**_given(after, physical_id), Overwrite=True)
        tags = {
            key: value
            for key, value in (call.tags | after.get("Tags", {})).items()
            if not key.startswith(SYSTEM_PREFIX)
        }
        named = {"ResourceType": "Parameter", "ResourceId": physical_id}
        former = {key for key in call.former_tags if not key.startswith(SYSTEM_PREFIX)}
        if removed := sorted((former | set(before.get("Tags", {}))) - set(tags)):
            ssm.remove_tags_from_resource(**named, TagKeys=removed)
        if tags:
            listed = [{"Key": key, "Value": value} for key, value in tags.items()]
            ssm.add_tags_to_resource(**named, Tags=listed)
        return self._physical(call, physical_id)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove the parameter."""
        del properties
        with absent_is_fine(NOT_THERE):
            call.client("ssm").delete_parameter(Name=physical_id)

    def _physical(self, call: Call, name: str) -> Physical:
        parameter = _parameter(call, name) or {}
        arn = parameter.get("ARN", "")
        return Physical(name, {"Arn": arn, **picked(parameter, "Type", "Value")})


def _parameter(call: Call, name: str) -> Description | None:
    answer = unless_absent(lambda: call.client("ssm").get_parameter(Name=name), NOT_THERE)
    return answer["Parameter"] if answer else None


def _given(properties: Properties, name: str) -> dict[str, Any]:
    return picked(dict(properties), "Type", "Value", "DataType", *_ABOUT) | {"Name": name}


HANDLERS = (Parameter(),)
