# SPDX-License-Identifier: Apache-2.0
"""Functions at CloudFront's edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.handler import Call, Physical, Properties
from sandbox.cloudformation.resources import edge_tags, tagging
from sandbox.cloudformation.resources.api_shapes import to_api, to_template
from sandbox.cloudformation.resources.failures import absent_is_fine, unless_absent


class EdgeFunctions:
    """AWS::CloudFront::Function."""

    type_name = "AWS::CloudFront::Function"
    properties = frozenset({"Name", "AutoPublish", "FunctionCode", "FunctionConfig", "Tags"})

    def create(self, call: Call, properties: Properties) -> Physical:
        """Make it, and publish it if asked."""
        client = call.client("cloudfront")
        tags = tagging.as_list(tagging.wanted(call, properties))
        made = client.create_function(
            Name=properties["Name"],
            FunctionCode=properties["FunctionCode"].encode(),
            FunctionConfig=_function_configuration(client, properties),
            Tags={"Items": tags},
        )
        return self._publish(client, properties, made)

    def read(self, call: Call, physical_id: str) -> Properties | None:
        """Return code and configuration of the stage that is edited."""
        client = call.client("cloudfront")
        name = physical_id.rpartition("/")[2]
        answer = unless_absent(lambda: client.describe_function(Name=name), "NoSuchFunctionExists")
        if answer is None:
            return None
        shape = client.meta.service_model.shape_for("FunctionConfig")
        return {
            "Name": name,
            "FunctionCode": client.get_function(Name=name)["FunctionCode"].read().decode(),
            "FunctionConfig": to_template(shape, answer["FunctionSummary"]["FunctionConfig"]),
            **edge_tags.shown(call, physical_id),
        }

    def update(self, call: Call, physical_id: str, *, before: Properties, after: Properties) -> Physical:
        """Change the code, and publish it if asked."""
        client = call.client("cloudfront")
        name = physical_id.rpartition("/")[2]
        changed = client.update_function(
            Name=name,
            IfMatch=client.describe_function(Name=name)["ETag"],
            FunctionCode=after["FunctionCode"].encode(),
            FunctionConfig=_function_configuration(client, after),
        )
        edge_tags.retag(call, physical_id, before=before, after=after)
        return self._publish(client, after, changed)

    def delete(self, call: Call, physical_id: str, properties: Properties) -> None:
        """Remove it."""
        del properties
        client = call.client("cloudfront")
        name = physical_id.rpartition("/")[2]
        with absent_is_fine("NoSuchFunctionExists"):
            client.delete_function(Name=name, IfMatch=client.describe_function(Name=name)["ETag"])

    def _publish(self, client: Any, properties: Properties, put: Mapping[str, Any]) -> Physical:
        stage = "DEVELOPMENT"
        if properties.get("AutoPublish"):
            client.publish_function(Name=properties["Name"], IfMatch=put["ETag"])
            stage = "LIVE"
        arn = put["FunctionSummary"]["FunctionMetadata"]["FunctionARN"]
        attributes = {"FunctionARN": arn, "FunctionMetadata.FunctionARN": arn, "Stage": stage}
        return Physical(arn, attributes)


def _function_configuration(client: Any, properties: Properties) -> Any:
    shape = client.meta.service_model.shape_for("FunctionConfig")
    return to_api(shape, properties["FunctionConfig"])


HANDLERS = (EdgeFunctions(),)
